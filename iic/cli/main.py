"""The command `iic`: its subcommands, their groups, and one-line errors."""

import getpass
import logging
import os
import sys
from pathlib import Path

import click

from iic.cli.choose import choose
from iic.cli.compare import compare
from iic.cli.errors import show_mistake
from iic.cli.explore import explore
from iic.cli.export import export
from iic.cli.info import info
from iic.cli.predict import predict
from iic.cli.recipe import recipe
from iic.cli.repair import repair
from iic.cli.seeds import seeds
from iic.cli.segment import segment
from iic.cli.study import study
from iic.cli.sweep import sweep
from iic.pipeline.stage import one_line_errors

_GROUPS = {
    "Use a trained model": (predict, segment, explore, export, info),
    "Run and compare experiments": (recipe, seeds, choose, study, sweep, compare),
    "Maintain": (repair,),
}
_HELP = """\
Invariant Information Clustering: cluster images without labels.

`dvc repro` runs the pipeline: it trains the model and writes the report. The commands below use
the model and run experiments. `iic COMMAND --help` describes a command.

\b
  iic info                                   show versions, model and metrics
  iic predict scans/ --out clusters.csv      assign your own images to clusters
  iic segment photos/ --out segments/        segment your own pictures
  iic recipe fast --run                      train a variant as a DVC experiment
  iic compare HEAD fast                      compare it with the committed run
"""


class _GroupedCommands(click.Group):
    """A command group whose help lists the subcommands under headings."""

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click passes it
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the subcommands of each group with their short help."""
        for heading, commands in _GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(command.name or "", command.get_short_help_str(80)) for command in commands]
                )


@click.group(
    cls=_GroupedCommands,
    help=_HELP,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)
def cli() -> None:
    """Group all subcommands."""


for _commands in _GROUPS.values():
    for _command in _commands:
        cli.add_command(_command)


def _name_user() -> None:
    """Name a user whom the system does not know, as in a container, since DVC needs a name."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"user-{os.getuid()}"
        # As Docker does; nobody else can write there.
        os.environ.setdefault("HOME", "/")


def main() -> None:
    """Run the command line; an error of the user ends it with one line."""
    with one_line_errors("finished results are kept; run the same command again for the rest"):
        if sys.stdout is None:
            # Closed by the shell's `>&-`.
            sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
        _name_user()
        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
        logging.getLogger("iic").setLevel(logging.INFO)
        try:
            cli.main(standalone_mode=False)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader of the output, such as `head`, has ended.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except click.ClickException as error:
            show_mistake(error)
            sys.exit(error.exit_code)
        except click.Abort as error:
            raise KeyboardInterrupt from error
