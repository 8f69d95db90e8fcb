"""A study's results as two CSV files: one row per run, and one row per epoch of each run."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from iic.core.errors import InputError
from iic.core.files import read_text, write_table
from iic.experiments.claims import COLUMNS
from iic.experiments.measures import RENAMED, Result

_RUN = ("experiment", "variant", "seed")
_EPOCH = ("variant", "seed", "epoch")


def write_results(results: Sequence[Result], runs: Path, epochs: Path) -> None:
    """Write both tables; numbers have six significant digits.

    Args:
        results: One or more results.
        runs: Path of the table with one row per run.
        epochs: Path of the table with one row per epoch of each run.
    """
    names = list(results[0].curves)
    rows = [
        (r.variant, r.seed, epoch, *values)
        for r in results
        for epoch, values in enumerate(zip(*(r.curves[name] for name in names), strict=True), 1)
    ]
    _write(epochs, (*_EPOCH, *names), rows)
    # Last, so that each row of this table has its epochs in the other one.
    _write(runs, (*_RUN, *COLUMNS), [(*r[:3], *(r.columns[c] for c in COLUMNS)) for r in results])


def read_results(runs: Path, epochs: Path) -> dict[str, Result]:
    """Read both tables; either may be missing.

    Args:
        runs: Path of the table with one row per run.
        epochs: Path of the table with one row per epoch of each run.

    Returns:
        Result by the name of its experiment, without runs that lack a column or their epochs.

    Raises:
        InputError: A table is damaged.
    """
    if not runs.exists() or not epochs.exists():
        return {}
    curves = _read_curves(epochs)
    results = {}
    for row in _read_rows(runs):
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
    """Return the curves (epochs,) by name, by variant and seed."""
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in _read_rows(path):
        if not row.keys() >= set(_EPOCH):
            raise InputError(_damaged(path))
        curves = found[row["variant"], row["seed"]]
        for name, text in row.items():
            if name not in _EPOCH:
                curves[RENAMED.get(name, name)].append(_number(text, path))
    return {
        key: {name: np.array(values) for name, values in curves.items()}
        for key, curves in found.items()
    }


def _write(path: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    write_table(path, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _read_rows(path: Path) -> Iterator[dict[str, str]]:
    text = read_text(path, "run `iic study`", f"run `git restore {path}`")
    yield from csv.DictReader(text.splitlines())


def _number(text: str, path: Path) -> float:
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise InputError(_damaged(path)) from error


def _damaged(path: Path) -> str:
    return f"{path}: damaged; run `git restore {path}`"
