"""Options that several subcommands share."""

from pathlib import Path

import click

from iic.pipeline.paths import MODEL


def _named(_context: click.Context, _option: click.Parameter, folder: Path) -> Path:
    """Card and data lie beside the folder, by its name, which `.` does not tell."""
    return folder if folder.name else folder.absolute()


model_option = click.option(
    "--model",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=MODEL,
    show_default=True,
    callback=_named,
    help="Folder of the trained model.",
)
