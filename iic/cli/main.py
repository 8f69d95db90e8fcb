"""The command `iic`: its subcommands, and how a user's mistake ends it."""

import logging
import os
import sys
from pathlib import Path

import click

from iic.cli.choose import choose
from iic.cli.explore import explore
from iic.cli.export import export
from iic.cli.info import info
from iic.cli.predict import predict
from iic.cli.sweep import sweep
from iic.pipeline.stage import one_line_errors

_HELP = """\
Invariant Information Clustering: images sorted without labels.

`dvc repro` trains and reports. These commands look at what it made and use it:

\b
  iic info                                what is here, and how good it is
  iic predict scans/ --out clusters.csv   clusters of your own images
  iic explore                             a page to look into the clusters
  iic export --format onnx                the network for another runtime
  iic choose 5 10 20                      how many clusters there may be
  iic sweep studies/mine.yaml               a grid on several machines

`iic COMMAND --help` tells the rest.
"""


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """All subcommands."""


for _command in (choose, explore, export, info, predict, sweep):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; a user's mistake ends it with one line."""
    with one_line_errors("what was finished is kept; run this again for the rest"):
        if sys.stdout is None:
            # Closed by the shell's `>&-`.
            sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
        logging.getLogger("iic").setLevel(logging.INFO)
        try:
            cli.main(standalone_mode=False)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read the output, `head` say, has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort as error:
            raise KeyboardInterrupt from error
