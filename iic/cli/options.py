"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from iic.pipeline.paths import MODEL

_F = TypeVar("_F", bound=Callable[..., Any])


def _with_name(_context: click.Context, _option: click.Parameter, folder: Path) -> Path:
    """Make a path such as `.` absolute, since the model's card is found by the folder's name."""
    return folder if folder.name else folder.absolute()


def model_option_at(default: Path) -> Callable[[_F], _F]:
    """Return the option --model with a default folder."""
    return click.option(
        "--model",
        metavar="DIR",
        type=click.Path(path_type=Path),
        default=default,
        callback=_with_name,
        help="Folder of the trained model.",
    )


model_option = model_option_at(MODEL)
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
