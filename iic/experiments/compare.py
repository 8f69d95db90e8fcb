"""Compare runs on one page: experiments, commits and the workspace."""

from collections.abc import Sequence
from pathlib import Path

from iic.core.files import write_text
from iic.evaluation.paths import ACCURACY, CLASS_COLUMNS, PREDICTIONS
from iic.experiments.compare_page import ComparedRun, render_comparison
from iic.experiments.reading import array_of, columns_of, metrics_of, settings_of
from iic.pipeline.paths import HISTORY, IMAGES


def write_comparison(names: Sequence[str], out: Path) -> None:
    """Write a self-contained HTML page that compares runs.

    Args:
        names: Names of two or more runs: experiments, commits, or "workspace".
        out: Path of the page to write.

    Raises:
        InputError: A run cannot be read, has no labels, or used other data than the first.
    """
    runs = [read_run(name) for name in names]
    write_text(out, render_comparison(runs, array_of(names[0], IMAGES, "test_images")))


def read_run(name: str) -> ComparedRun:
    """Read the data that the page shows of an experiment, a commit or the workspace."""
    return ComparedRun(
        name=name,
        settings=settings_of(name),
        metrics=metrics_of(name),
        history=columns_of(name, HISTORY),
        accuracy=columns_of(name, ACCURACY),
        predictions=columns_of(name, PREDICTIONS, CLASS_COLUMNS),
    )
