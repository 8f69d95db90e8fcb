"""Options that several commands share."""

from pathlib import Path

import click

from iic.pipeline.paths import MODEL


def _with_name(_context: click.Context, _option: click.Parameter, folder: Path) -> Path:
    """Make a path such as `.` absolute, since the model's card is found by the folder's name."""
    return folder if folder.name else folder.absolute()


model_option = click.option(
    "--model",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=MODEL,
    callback=_with_name,
    help="Folder of the trained model.",
)
jobs_option = click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1),
    default=1,
    help="Number of experiments to run at once.",
)
again_option = click.option("--again", is_flag=True, help="Repeat runs that already have results.")
set_option = click.option(
    "-S",
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a parameter, such as loss.alpha=1.0; may be given several times.",
)
