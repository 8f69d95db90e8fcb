"""The two tables of a study."""

import numpy as np
import pytest

from iic.core.errors import InputError
from iic.experiments.claims import (
    COLUMNS,
)
from iic.experiments.measures import Result
from iic.experiments.tables import read_results, write_results


def result(name: str, variant: str, value: float) -> Result:
    curves = {"loss": np.array([value, -1.25]), "acc": np.array([0.5, 0.75])}
    return Result(name, variant, 3, dict.fromkeys(COLUMNS, value), curves)


@pytest.fixture
def stored(tmp_path):
    """Return the paths of both tables, and the two results in them."""
    paths = tmp_path / "runs.csv", tmp_path / "epochs.csv"
    results = [result("one", "a", 0.25), result("two", "b", float("nan"))]
    write_results(results, *paths)
    return paths, results


def test_tables_are_read_back_as_written(stored):
    paths, results = stored
    found = read_results(*paths)
    assert list(found) == ["one", "two"]
    for wanted in results:
        got = found[wanted.experiment]
        assert got[:3] == wanted[:3]
        assert got.columns == pytest.approx(wanted.columns, nan_ok=True)
        assert list(got.curves) == list(wanted.curves)
        for name, curve in wanted.curves.items():
            np.testing.assert_array_equal(got.curves[name], curve)


def test_missing_tables_have_no_results(tmp_path):
    assert read_results(tmp_path / "runs.csv", tmp_path / "epochs.csv") == {}


def test_runs_without_epochs_or_a_column_are_left_out(stored):
    (runs, epochs), _ = stored
    whole = epochs.read_text()
    epochs.write_text("".join(line for line in whole.splitlines(True) if not line.startswith("b,")))
    assert list(read_results(runs, epochs)) == ["one"]
    epochs.write_text(whole)
    runs.write_text(runs.read_text().replace("best_epoch", "another"))
    assert read_results(runs, epochs) == {}


def test_the_purity_that_older_tables_call_accuracy_has_its_present_name(stored):
    (runs, epochs), _ = stored
    lines = [line.split(",") for line in runs.read_text().splitlines()]
    purity = lines[0].index("over_purity")
    runs.write_text("".join(f"{','.join(c[:purity] + c[purity + 1 :])}\n" for c in lines))
    old = read_results(runs, epochs)["one"]
    assert old.columns["over_purity"] == 0.25
    assert np.isnan(old.columns["over_acc"])
    # It stays so when new runs are added to the table.
    write_results([old], runs, epochs)
    again = read_results(runs, epochs)["one"]
    assert again.columns == pytest.approx(old.columns, nan_ok=True)


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        ("runs.csv", lambda text: text.replace(b"0.25", b"much")),
        ("epochs.csv", lambda text: text[:-5]),
        ("epochs.csv", lambda text: text.replace(b"epoch", b"time")),
        ("epochs.csv", lambda text: text + b"\xff"),
        ("runs.csv", lambda text: text.replace(b"\n", b"\n<<<<<<< HEAD\n", 1)),
        ("epochs.csv", lambda text: text + b"=======\n"),
    ],
)
def test_a_damaged_table_is_named_with_its_remedy(stored, table, damage):
    (runs, epochs), _ = stored
    path = runs.with_name(table)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"{table}: .*`git restore .*{table}`"):
        read_results(runs, epochs)
