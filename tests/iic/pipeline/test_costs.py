"""Time and memory that stages record."""

import os
from pathlib import Path

import numpy as np
import pytest

from iic.pipeline.costs import COSTS, Cost, note_cost, peak_memory, read_costs


def test_costs_are_appended_and_the_last_of_a_stage_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = tmp_path / "costs"
    monkeypatch.setenv(COSTS, str(costs))
    for stage, seconds in (("train", 2.0), ("evaluate", 3.456), ("train", 7.0)):
        monkeypatch.setattr("sys.argv", [f"/somewhere/stages/{stage}.py"])
        note_cost(seconds)
    found = read_costs(costs)
    assert {stage: cost.seconds for stage, cost in found.items()} == {
        "train": 7.0,
        "evaluate": 3.46,
    }
    assert all(cost.peak_mb > 10 for cost in found.values())


def test_nothing_is_recorded_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COSTS, raising=False)
    monkeypatch.chdir(tmp_path)
    note_cost(1.0)
    assert list(tmp_path.iterdir()) == []
    assert read_costs(tmp_path / "none") == {}


def test_costs_are_numbers_of_seconds_and_megabytes(tmp_path: Path) -> None:
    costs = tmp_path / "costs"
    costs.write_text("report 1.25 300\n")
    assert read_costs(costs) == {"report": Cost(1.25, 300.0)}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_the_peak_holds_what_was_freed_again() -> None:
    before = peak_memory()
    size = 200_000_000
    np.ones(size, np.uint8).sum()
    assert peak_memory() >= max(before, size / 1e6)
    assert peak_memory() * 1e6 < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
