"""A study's results as two CSV files: a row a run, and a row for each of its epochs."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from iic.core.errors import InputError
from iic.core.files import read_text, write_table
from iic.experiments.claims import COLUMNS
from iic.experiments.measures import Result

_RUN = ("experiment", "variant", "seed")
_EPOCH = ("variant", "seed", "epoch")


def write_results(results: Sequence[Result], runs: Path, epochs: Path) -> None:
    """Write both tables; floats to six significant digits.

    Args:
        results: at least one.
        runs: where the row a run goes.
        epochs: where the row an epoch goes.
    """
    names = list(results[0].curves)
    rows = [
        (r.variant, r.seed, epoch, *values)
        for r in results
        for epoch, values in enumerate(zip(*(r.curves[name] for name in names), strict=True), 1)
    ]
    _write(epochs, (*_EPOCH, *names), rows)
    # Last, so that a row here always has its epochs there.
    _write(runs, (*_RUN, *COLUMNS), [(*r[:3], *(r.columns[c] for c in COLUMNS)) for r in results])


def read_results(runs: Path, epochs: Path) -> dict[str, Result]:
    """What the tables hold, by experiment; runs that lack one of today's columns are left out.

    Raises:
        InputError: a table is damaged.
    """
    if not runs.exists() or not epochs.exists():
        return {}
    curves = _read_curves(epochs)
    results = {}
    for row in _rows(runs):
        if not {*_RUN, *COLUMNS} <= row.keys() or (row["variant"], row["seed"]) not in curves:
            continue
        results[row["experiment"]] = Result(
            row["experiment"],
            row["variant"],
            int(_number(row["seed"], runs)),
            {name: _number(row[name], runs) for name in COLUMNS},
            curves[row["variant"], row["seed"]],
        )
    return results


def _read_curves(path: Path) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Curves (epochs,) by name, by variant and seed."""
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(path):
        if not row.keys() >= set(_EPOCH):
            raise InputError(_damaged(path))
        curves = found[row["variant"], row["seed"]]
        for name, text in row.items():
            if name not in _EPOCH:
                curves[name].append(_number(text, path))
    return {
        key: {name: np.array(values) for name, values in curves.items()}
        for key, curves in found.items()
    }


def _write(path: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    write_table(path, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    text = read_text(path, "run `make study`", f"`git restore {path}` brings it back")
    yield from csv.DictReader(text.splitlines())


def _number(text: str, path: Path) -> float:
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise InputError(_damaged(path)) from error


def _damaged(path: Path) -> str:
    return f"{path}: damaged; `git restore {path}` brings back what was committed"
