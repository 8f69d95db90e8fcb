"""One-line messages for mistakes on the command line and for interruptions."""

from contextlib import AbstractContextManager

import click

from iic.pipeline.stage import one_line_errors

# Raised by click 8.2 or later for `iic` without a command.
_NO_COMMAND = getattr(click.exceptions, "NoArgsIsHelpError", ())


def show_mistake(error: click.ClickException) -> None:
    """Print a mistake on the command line on one line that names the command's help."""
    if isinstance(error, _NO_COMMAND):
        error.show()
        return
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    hint = f"; see `{context.command_path} --help`" if context else ""
    click.echo(f"error: {message.rstrip('.')}{hint}", err=True)


def queue_errors() -> AbstractContextManager[None]:
    """Exit with one line on an error or an interruption, which leaves DVC's worker running."""
    return one_line_errors(
        "finished results are kept; DVC's worker goes on, `dvc queue stop --kill` stops it"
    )
