"""The command `iic`: its subcommands, and how a user's mistake ends it."""

import sys

import click

from commands.explore import explore
from commands.sweep import sweep
from stages.common import one_line_errors


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Invariant Information Clustering: images sorted without labels."""


for _command in (sweep, explore):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; a user's mistake ends it with one line."""
    with one_line_errors("what was finished is kept; run this again for the rest"):
        try:
            cli.main(standalone_mode=False)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort as error:
            raise KeyboardInterrupt from error
