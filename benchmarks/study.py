"""Run a grid of variants as DVC experiments and hold the article's claims against it: `make study`.

`python -m benchmarks.study study/article.yaml` runs what has no result yet, then writes
reports/study.csv (a row a run), study-curves.csv (a row an epoch), study-curves.png and study.md.
Other grids have other names there (`report` in the grid).
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined

from benchmarks.claims import COLUMNS, CONFIDENCE, Column, judge, summary
from benchmarks.cli import run_main
from benchmarks.experiments import array_of, columns_of
from benchmarks.grid import Experiment, Grid, experiments_of, read_grid
from benchmarks.queue import remove_results, run_missing
from benchmarks.styles import crossed
from iic.datasets import DIGITS
from iic.errors import InputError
from iic.figures import variants_figure
from iic.files import write_bytes, write_table, write_text
from iic.matching import contingency_table, majority_match, purity
from iic.pictures import png
from stages.common import ACCURACY, HISTORY, IMAGES, PREDICTIONS, REPORTS

SEVEN = 7
ARTICLE_EPOCHS = 100
# Data whose class 7 is the digit.
HANDWRITTEN = ("mnist", "digits")
# The figure shows the loss and the accuracy, as the article does.
PANELS = {"loss": ("Loss", "nats"), "acc": ("Accuracy, test", "share of images")}


class Outputs(NamedTuple):
    """What is written about a grid."""

    table: Path
    curves: Path
    picture: Path
    page: Path


class Result(NamedTuple):
    """What one run gave: its columns, and its curves (epochs,) by name."""

    variant: str
    seed: int
    columns: dict[str, float]
    curves: dict[str, np.ndarray]


def outputs_of(grid: Grid, path: Path) -> Outputs:
    """Where the results of a grid go; `path` is the grid's own."""
    name = grid.report or f"study-{path.stem}"
    return Outputs(
        *(REPORTS / f"{name}{end}" for end in (".csv", "-curves.csv", "-curves.png", ".md"))
    )


def result_of(experiment: Experiment, test_images: np.ndarray) -> Result:
    """What a run gave, from the files of its experiment."""
    history, accuracy, predictions = (
        columns_of(experiment.name, path) for path in (HISTORY, ACCURACY, PREDICTIONS)
    )
    labels = predictions["label"].astype(int)
    clusters, overclusters = (
        contingency_table(labels, predictions[head].astype(int), DIGITS, k)
        for head, k in experiment.params.model.head_sizes.items()
    )
    owned = np.bincount(clusters.argmax(axis=0)[clusters.sum(axis=0) > 0], minlength=DIGITS)
    held, pure = np.nan, np.nan
    if experiment.params.data.name in HANDWRITTEN:
        sevens = labels == SEVEN
        inside = predictions["overcluster"][sevens].astype(int)
        held, pure = _held(crossed(test_images[sevens]), inside)
    columns = {
        "acc": accuracy["acc"][-1],
        "best_acc": accuracy["acc"][:ARTICLE_EPOCHS].max(),
        "change_after_100": change_after(accuracy["acc"], ARTICLE_EPOCHS),
        "over_acc": purity(overclusters),
        "merged": (owned == 0).sum(),
        "split": (owned > 1).sum(),
        "evenness": history["cluster_marginal_entropy"][-1] / np.log(clusters.shape[1]),
        "over_digits": np.isin(np.arange(DIGITS), majority_match(overclusters)).sum(),
        "crossed_held": held,
        "crossed_pure": pure,
    }
    curves = {name: table[name] for name, table in (("loss", history), ("acc", accuracy))}
    return Result(
        experiment.variant,
        experiment.seed,
        {name: float(value) for name, value in columns.items()},
        curves,
    )


def change_after(values: np.ndarray, epoch: int) -> float:
    """Last value minus that of an epoch; not a number where training ended there or before."""
    return float(values[-1] - values[epoch - 1]) if len(values) > epoch else np.nan


def _held(is_crossed: np.ndarray, overclusters: np.ndarray) -> tuple[float, float]:
    """Largest share of the crossed sevens in one overcluster, and their share of its sevens."""
    if not is_crossed.any():
        return 0.0, 0.0
    sevens = np.bincount(overclusters)
    inside = np.bincount(overclusters[is_crossed], minlength=len(sevens))
    fullest = inside.argmax()
    return inside[fullest] / is_crossed.sum(), inside[fullest] / sevens[fullest]


def write_tables(results: Sequence[Result], outputs: Outputs) -> None:
    """Write a row a run and a row an epoch."""
    runs: dict[str, Sequence[object]] = {
        "variant": [r.variant for r in results],
        "seed": [r.seed for r in results],
    }
    runs |= {name: [r.columns[name] for r in results] for name in COLUMNS}
    write_table(outputs.table, runs)
    rows = [
        (r.variant, r.seed, epoch, *values)
        for r in results
        for epoch, values in enumerate(zip(*(r.curves[name] for name in PANELS), strict=True), 1)
    ]
    names = ("variant", "seed", "epoch", *PANELS)
    write_table(outputs.curves, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def draw(results: Sequence[Result], path: Path) -> None:
    """Write the figure: one line a variant."""
    variants = dict.fromkeys(result.variant for result in results)
    figure = variants_figure(
        list(PANELS.values()),
        {
            variant: [
                np.array([r.curves[panel] for r in results if r.variant == variant])
                for panel in PANELS
            ]
            for variant in variants
        },
    )
    write_bytes(path, png(figure))


def page(results: Sequence[Result], grid: Grid, path: Path, outputs: Outputs) -> str:
    """The claims with what was measured, then mean and spread of each variant, as Markdown."""
    table = {name: _by_variant(results, name) for name in COLUMNS}
    text = files("benchmarks").joinpath("study.md.j2").read_text("utf-8")
    # S701: Markdown needs no escaping; all that is put in comes from the grid's own file.
    environment = Environment(undefined=StrictUndefined, trim_blocks=True)  # noqa: S701
    return environment.from_string(text).render(
        claims=[(claim.says, judge(claim, table[claim.column])) for claim in grid.claims],
        variants=[
            (
                variant,
                len(seeds),
                [summary(c, list(table[c][variant].values())) for c in COLUMNS],
            )
            for variant, seeds in table["acc"].items()
        ],
        columns=COLUMNS,
        title=grid.title or f"The grid `{path}`",
        command=f"python -m benchmarks.study {path}",
        confidence=round(100 * CONFIDENCE),
        table=outputs.table.name,
        picture=outputs.picture.name,
    )


def _by_variant(results: Sequence[Result], column: str) -> Column:
    table: dict[str, dict[int, float]] = {}
    for result in results:
        table.setdefault(result.variant, {})[result.seed] = result.columns[column]
    return table


def main(arguments: list[str]) -> None:
    """Run what is missing of a grid and write its tables, figure and page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("grid", type=Path, help="a file in study/")
    parser.add_argument("--jobs", type=int, default=1, help="experiments at once (default 1)")
    parser.add_argument("--again", action="store_true", help="also run what has results")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        raise InputError(f"--jobs {options.jobs}: at least one experiment runs at a time")
    grid = read_grid(options.grid)
    wanted = experiments_of(grid, options.grid)
    results: dict[str, Result] = {}
    images: dict[str, np.ndarray] = {}
    if options.again:
        remove_results(wanted)
    for experiment in run_missing(wanted, options.jobs):
        sys.stderr.write(f"{len(results) + 1} of {len(wanted)}: {experiment.name}\n")
        name = experiment.params.data.name
        if name not in images:
            images[name] = array_of(experiment.name, IMAGES, "test_images")
        results[experiment.name] = result_of(experiment, images[name])
    in_order = [results[experiment.name] for experiment in wanted]
    outputs = outputs_of(grid, options.grid)
    write_tables(in_order, outputs)
    draw(in_order, outputs.picture)
    write_text(outputs.page, page(in_order, grid, options.grid, outputs))


if __name__ == "__main__":
    run_main(
        main, "what was finished is kept; DVC's worker goes on, `dvc queue stop --kill` ends it"
    )
