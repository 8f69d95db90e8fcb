"""Run a grid of variants as DVC experiments and check the claims about them.

The results of reports/studies/NAME.csv (one row per run) and NAME-curves.csv (one row per epoch)
are not run again; new ones are added. The page NAME.md and its figures are made from these tables.
"""

import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined

from iic.core.files import write_bytes, write_text
from iic.experiments.claims import COLUMNS, CONFIDENCE, TABLES, Column, judge, summary
from iic.experiments.grid import Experiment, Grid, experiments_of, read_grid
from iic.experiments.measures import Result, result_of
from iic.experiments.queue import remove_results, run_missing
from iic.experiments.reading import array_of
from iic.experiments.tables import read_results, write_results
from iic.pipeline.paths import IMAGES, STUDIES
from iic.render.figures import variants_figure
from iic.render.pictures import png

# Title and unit of each panel, by curve. The losses of different alphas cannot be compared, their
# mutual information can.
CURVE_PANELS = {
    "loss": ("Loss", "nats"),
    "cluster_mutual_information": ("Mutual information, clustering head", "nats"),
    "acc": ("Accuracy, test", "share of images"),
}


class StudyFiles(NamedTuple):
    """Paths of a study's files.

    Attributes:
        table: CSV file with one row per run.
        curves: CSV file with one row per epoch of each run.
        page: Markdown page.
        figures: PNG file by the name of the figure.
    """

    table: Path
    curves: Path
    page: Path
    figures: dict[str, Path]


def run_study(path: Path, jobs: int = 1, *, again: bool = False) -> StudyFiles:
    """Run the missing experiments of a grid, then write its tables, figures and page.

    Args:
        path: Path of the grid, such as studies/article.yaml.
        jobs: Number of experiments to run at once.
        again: Whether to repeat experiments that have results.

    Returns:
        Paths of the files written.

    Raises:
        InputError: The grid or a table is invalid, or an experiment failed.
    """
    grid = read_grid(path)
    wanted = experiments_of(grid, path)
    paths = files_of_study(grid, path)
    if again:
        remove_results(wanted)
    _complete_tables(wanted, paths, jobs, again=again)
    # Read back, so that new and old results are rounded alike.
    stored = read_results(paths.table, paths.curves)
    results = [stored[experiment.name] for experiment in wanted]
    for name, figure in paths.figures.items():
        write_bytes(
            figure, png(variants_figure(list(CURVE_PANELS.values()), _curves(results, grid, name)))
        )
    write_text(paths.page, render_study(results, grid, path, paths))
    return paths


def files_of_study(grid: Grid, path: Path) -> StudyFiles:
    """Return the paths of the files about a grid.

    Args:
        grid: Grid of variants and seeds.
        path: Path of the grid's file.
    """
    name = grid.report or path.stem
    return StudyFiles(
        table=STUDIES / f"{name}.csv",
        curves=STUDIES / f"{name}-curves.csv",
        page=STUDIES / f"{name}.md",
        figures={figure: STUDIES / f"{name}-{figure}.png" for figure in grid.lines},
    )


def _complete_tables(
    wanted: Sequence[Experiment], paths: StudyFiles, jobs: int, *, again: bool
) -> None:
    """Run the experiments that the tables lack, and add each result to them."""
    results = {} if again else read_results(paths.table, paths.curves)
    results = {e.name: results[e.name] for e in wanted if e.name in results}
    images: dict[str, np.ndarray] = {}
    for experiment in run_missing([e for e in wanted if e.name not in results], jobs):
        data = experiment.params.data.name
        if data not in images:
            images[data] = array_of(experiment.name, IMAGES, "test_images")
        results[experiment.name] = result_of(experiment, images[data])
        sys.stderr.write(f"{len(results)} of {len(wanted)}: {experiment.name}\n")
        rows = [results[e.name] for e in wanted if e.name in results]
        write_results(rows, paths.table, paths.curves)


def _curves(results: Sequence[Result], grid: Grid, figure: str) -> dict[str, list[np.ndarray]]:
    """Return the curves (runs, epochs) of each panel by the variants of a figure."""
    return {
        variant: [
            np.array([r.curves[panel] for r in results if r.variant == variant])
            for panel in CURVE_PANELS
        ]
        for variant in grid.lines[figure]
    }


def render_study(results: Sequence[Result], grid: Grid, path: Path, paths: StudyFiles) -> str:
    """Render the page of a study as Markdown.

    Args:
        results: Result of each experiment of the grid.
        grid: Grid of variants and seeds.
        path: Path of the grid's file.
        paths: Paths of the study's files.

    Returns:
        Markdown.
    """
    columns = {name: _by_variant(results, name) for name in COLUMNS}
    measured = {
        name: column
        for name, column in columns.items()
        if not all(np.isnan(list(values.values())).any() for values in column.values())
    }
    text = files("iic.experiments").joinpath("study.md.j2").read_text("utf-8")
    # S701: Markdown needs no escaping; all inserted text comes from the grid's file.
    environment = Environment(undefined=StrictUndefined, trim_blocks=True)  # noqa: S701
    return environment.from_string(text).render(
        grid=grid,
        title=grid.title or f"The grid `{path}`",
        command=f"iic study {path}",
        confidence=round(100 * CONFIDENCE),
        claims=[(claim.says, judge(claim, columns[claim.column])) for claim in grid.claims],
        tables={
            title: {name: meaning for name, meaning in table.items() if name in measured}
            for title, table in TABLES.items()
        },
        cells={
            variant: {
                name: summary(name, list(column[variant].values()), "<br>")
                for name, column in measured.items()
            }
            for variant in grid.variants
        },
        table=paths.table.name,
        curves=paths.curves.name,
        figures={name: figure.name for name, figure in paths.figures.items()},
    )


def _by_variant(results: Sequence[Result], column: str) -> Column:
    table: dict[str, dict[int, float]] = {}
    for result in results:
        table.setdefault(result.variant, {})[result.seed] = result.columns[column]
    return table
