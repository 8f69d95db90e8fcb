"""A page that compares runs: `make compare RUNS="HEAD workspace"`.

Names are those of `dvc exp show`, or any commit; `workspace` is the run in this folder.
"""

import argparse
import sys
from pathlib import Path

from iic.core.files import write_text
from iic.evaluation.paths import ACCURACY, CLASS_COLUMNS, PREDICTIONS
from iic.experiments.cli import run_main
from iic.experiments.compare_page import ComparedRun, render_comparison
from iic.experiments.reading import array_of, columns_of, metrics_of, settings_of
from iic.pipeline.paths import HISTORY, IMAGES, REPORTS

PAGE = REPORTS / "compare.html"


def read_run(name: str) -> ComparedRun:
    """What is compared of an experiment, a commit or the workspace."""
    return ComparedRun(
        name=name,
        settings=settings_of(name),
        metrics=metrics_of(name),
        history=columns_of(name, HISTORY),
        accuracy=columns_of(name, ACCURACY),
        predictions=columns_of(name, PREDICTIONS, CLASS_COLUMNS),
    )


def main(arguments: list[str]) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="+", help="experiment, commit, or workspace; two or more")
    parser.add_argument("--out", type=Path, default=PAGE, help=f"default {PAGE}")
    options = parser.parse_args(arguments)
    names = list(dict.fromkeys(options.run))
    if len(names) < 2:
        parser.error("name two runs or more, for example: main workspace")
    runs = [read_run(name) for name in names]
    write_text(options.out, render_comparison(runs, array_of(names[0], IMAGES, "test_images")))
    sys.stdout.write(f"{options.out}\n")


if __name__ == "__main__":
    run_main(main)
