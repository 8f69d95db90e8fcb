"""Run a grid of variants as DVC experiments and hold the article's claims against it: `make study`.

`python -m iic.experiments.study studies/article.yaml` runs what reports/studies/article.csv (a row
a run) lacks and adds it there and to article-curves.csv (a row an epoch); then writes article.md
and its figures from these two.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined

from iic.core.errors import InputError
from iic.core.files import write_bytes, write_text
from iic.experiments.claims import COLUMNS, CONFIDENCE, TABLES, Column, judge, summary
from iic.experiments.cli import run_main
from iic.experiments.grid import Experiment, Grid, experiments_of, read_grid
from iic.experiments.measures import Result, result_of
from iic.experiments.queue import remove_results, run_missing
from iic.experiments.reading import array_of
from iic.experiments.tables import read_results, write_results
from iic.pipeline.paths import IMAGES, STUDIES
from iic.render.figures import variants_figure
from iic.render.pictures import png

# Loss and accuracy are the article's; information is comparable where the loss is not, over alphas.
PANELS = {
    "loss": ("Loss", "nats"),
    "cluster_mutual_information": ("Mutual information, clustering head", "nats"),
    "acc": ("Accuracy, test", "share of images"),
}


class Outputs(NamedTuple):
    """What is written about a grid."""

    table: Path
    curves: Path
    page: Path
    pictures: dict[str, Path]


def outputs_of(grid: Grid, path: Path) -> Outputs:
    """Where the results of a grid go; `path` is the grid's own."""
    name = grid.report or path.stem
    return Outputs(
        table=STUDIES / f"{name}.csv",
        curves=STUDIES / f"{name}-curves.csv",
        page=STUDIES / f"{name}.md",
        pictures={figure: STUDIES / f"{name}-{figure}.png" for figure in grid.lines},
    )


def draw(results: Sequence[Result], grid: Grid, pictures: Mapping[str, Path]) -> None:
    """Write the figures, each with one line a variant."""
    for figure, variants in grid.lines.items():
        curves = {
            variant: [
                np.array([r.curves[panel] for r in results if r.variant == variant])
                for panel in PANELS
            ]
            for variant in variants
        }
        write_bytes(pictures[figure], png(variants_figure(list(PANELS.values()), curves)))


def page(results: Sequence[Result], grid: Grid, path: Path, outputs: Outputs) -> str:
    """The claims with what was measured, then mean and spread of each variant, as Markdown."""
    columns = {name: _by_variant(results, name) for name in COLUMNS}
    measured = {
        name: column
        for name, column in columns.items()
        if not all(np.isnan(list(values.values())).any() for values in column.values())
    }
    text = files("iic.experiments").joinpath("study.md.j2").read_text("utf-8")
    # S701: Markdown needs no escaping; all that is put in comes from the grid's own file.
    environment = Environment(undefined=StrictUndefined, trim_blocks=True)  # noqa: S701
    return environment.from_string(text).render(
        grid=grid,
        title=grid.title or f"The grid `{path}`",
        command=f"python -m iic.experiments.study {path}",
        confidence=round(100 * CONFIDENCE),
        claims=[(claim.says, judge(claim, columns[claim.column])) for claim in grid.claims],
        tables={
            title: {name: meaning for name, meaning in table.items() if name in measured}
            for title, table in TABLES.items()
        },
        cells={
            variant: {name: _cell(name, column[variant]) for name, column in measured.items()}
            for variant in grid.variants
        },
        table=outputs.table.name,
        curves=outputs.curves.name,
        pictures={figure: path.name for figure, path in outputs.pictures.items()},
    )


def _cell(column: str, values: Mapping[int, float]) -> str:
    return summary(column, list(values.values()), "<br>")


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
    outputs = outputs_of(grid, options.grid)
    if options.again:
        remove_results(wanted)
    complete(wanted, outputs, options.jobs, again=options.again)
    # As stored, so that the page says the same whether its runs are of today or of a year ago.
    stored = read_results(outputs.table, outputs.curves)
    results = [stored[experiment.name] for experiment in wanted]
    draw(results, grid, outputs.pictures)
    write_text(outputs.page, page(results, grid, options.grid, outputs))


def complete(wanted: Sequence[Experiment], outputs: Outputs, jobs: int, *, again: bool) -> None:
    """Run what the tables lack and add it to them, one by one.

    Args:
        wanted: all experiments of the grid, in the order of the rows.
        outputs: which tables.
        jobs: experiments at once.
        again: run also what the tables have.
    """
    results = {} if again else read_results(outputs.table, outputs.curves)
    results = {e.name: results[e.name] for e in wanted if e.name in results}
    images: dict[str, np.ndarray] = {}
    for experiment in run_missing([e for e in wanted if e.name not in results], jobs):
        data = experiment.params.data.name
        if data not in images:
            images[data] = array_of(experiment.name, IMAGES, "test_images")
        results[experiment.name] = result_of(experiment, images[data])
        sys.stderr.write(f"{len(results)} of {len(wanted)}: {experiment.name}\n")
        rows = [results[e.name] for e in wanted if e.name in results]
        write_results(rows, outputs.table, outputs.curves)


if __name__ == "__main__":
    run_main(
        main, "what was finished is kept; DVC's worker goes on, `dvc queue stop --kill` ends it"
    )
