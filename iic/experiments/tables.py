"""A study's results as two CSV files: one row per run, and one row per epoch of each run."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from iic.core.files import write_table
from iic.experiments.claims import COLUMNS
from iic.experiments.measures import RENAMED, Result
from iic.experiments.rows import damaged, number_in, seed_in, stored_rows

_RUN = ("experiment", "variant", "seed")
_EPOCH = ("variant", "seed", "epoch")
_COMMAND = "iic study"


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
    for row in map(_with_purity, stored_rows(runs, _COMMAND)):
        if not {*_RUN, *COLUMNS} <= row.keys() or (row["variant"], row["seed"]) not in curves:
            continue
        results[row["experiment"]] = Result(
            row["experiment"],
            row["variant"],
            seed_in(row, runs),
            {name: number_in(row[name], runs) for name in COLUMNS},
            curves[row["variant"], row["seed"]],
        )
    return results


def _with_purity(row: dict[str, str]) -> dict[str, str]:
    """Give the value that older tables call `over_acc`, a purity, its present name."""
    if "over_purity" in row or "over_acc" not in row:
        return row
    return row | {"over_purity": row["over_acc"], "over_acc": "nan"}


def _read_curves(path: Path) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Return the curves (epochs,) by name, by variant and seed."""
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in stored_rows(path, _COMMAND):
        if not row.keys() >= set(_EPOCH):
            raise damaged(path)
        curves = found[row["variant"], row["seed"]]
        for name, text in row.items():
            if name not in _EPOCH:
                curves[RENAMED.get(name, name)].append(number_in(text, path))
    return {
        key: {name: np.array(values) for name, values in curves.items()}
        for key, curves in found.items()
    }


def _write(path: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    write_table(path, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
