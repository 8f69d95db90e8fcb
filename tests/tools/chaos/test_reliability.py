"""The campaigns: what they count as lost, and how they keep their counts."""

import json
import random
import shutil
from pathlib import Path

import pytest

from iic.core.errors import InputError
from tools.chaos import campaigns, clones, kills
from tools.chaos.campaigns import Campaign
from tools.chaos.clones import Count
from tools.command import Ending


def test_stage_is_read_from_the_output_of_dvc():
    assert kills.stage_of("Running stage 'train':\n") == "train"
    assert kills.stage_of("> python -m stages.train\n") == ""


def test_differences_from_the_finished_clone_are_named(pipeline_run, tmp_path):
    clone, fine = tmp_path / "clone", Ending(0, "")
    shutil.copytree(pipeline_run, clone, symlinks=True)
    lock = (clone / "dvc.lock").read_bytes()
    assert clones.lost(clone, lock, fine) == ""
    assert clones.lost(clone, lock, Ending(1, "ERROR: no\nroom")) == "make repro: ERROR: no room"
    assert clones.lost(clone, lock + b"\n", fine) == "dvc.lock differs"
    (clone / ".resume/x").mkdir(parents=True)
    assert clones.lost(clone, lock, fine) == "a resume state is left"
    (clone / ".resume/x").rmdir()
    table = clone / "reports/metrics.json"
    table.write_text(table.read_text() + " ")
    assert clones.lost(clone, lock, fine) == (
        "DVC sees a change, Git sees a change, reports/metrics.json has other bytes"
    )


def test_counts_of_campaigns_are_kept(monkeypatch, tmp_path, capsys):
    def one(numbers):
        count = Count()
        count.add("", "a", "b")
        yield count
        count.add(f"{numbers.random()}", "b")
        yield count

    file = tmp_path / "reliability.json"
    monkeypatch.setattr(campaigns, "RELIABILITY", file)
    monkeypatch.setattr(
        campaigns, "CAMPAIGNS", {name: Campaign(name, one) for name in ("first", "second")}
    )
    campaigns.main(["second"])
    campaigns.main(["first", "--seed", "3"])
    number = str(random.Random(3).random())
    kept = json.loads(file.read_text())
    assert list(kept) == ["first", "second"]
    assert kept["first"] == {"tried": 2, "lost": [number], "details": {"a": 1, "b": 2}}
    assert f"first: 2, lost 1, last: {number}" in capsys.readouterr().err
    campaigns.main(["first", "--trials", "1"])
    assert json.loads(file.read_text())["first"]["tried"] == 1
    with pytest.raises(InputError, match="third: no such campaign"):
        campaigns.main(["third"])


def test_kills_cover_all_stages_and_the_training_on_mnist(monkeypatch):
    seen = []
    monkeypatch.setattr(
        kills, "_killed", lambda recipe, settings, stages, moments: seen.append((recipe, stages))
    )
    kills.on_digits(random.Random(0))
    kills.on_mnist(random.Random(0))
    (tour, every), (fast, one) = seen
    assert len(every) == 5 * len(kills.STAGES)
    assert set(every) == set(kills.STAGES)
    assert one == ["train"] * 5
    assert all(Path(f"recipes/{name}.yaml").is_file() for name in (tour, fast))
