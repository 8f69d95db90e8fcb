"""The campaigns: what it takes for lost is lost, and what it counts is kept."""

import json
import random
import shutil
from pathlib import Path

import pytest

from iic.core.errors import InputError
from tools.chaos import campaigns, clones, kills
from tools.chaos.campaigns import Campaign
from tools.chaos.counting import Count


def test_the_stage_that_runs_is_the_one_that_dvc_names():
    assert kills.stage_of("Running stage 'train':\n") == "train"
    assert kills.stage_of("> python -m stages.train\n") == ""


def test_what_is_not_as_before_is_named(pipeline_run, tmp_path):
    clone = tmp_path / "clone"
    shutil.copytree(pipeline_run, clone, symlinks=True)
    lock = (clone / "dvc.lock").read_bytes()
    assert clones.lost(clone, lock) == ""
    assert clones.lost(clone, lock + b"\n") == "dvc.lock differs"
    (clone / ".resume/x").mkdir(parents=True)
    assert clones.lost(clone, lock) == "a state is left"
    (clone / ".resume/x").rmdir()
    table = clone / "reports/metrics.json"
    table.write_text(table.read_text() + " ")
    assert clones.lost(clone, lock) == "DVC sees a change, Git sees a change"


def test_a_campaign_kept_its_counts(monkeypatch, tmp_path, capsys):
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
    with pytest.raises(InputError, match="third: no such campaign"):
        campaigns.main(["third"])


def test_kills_cover_all_stages_and_the_training_on_mnist(monkeypatch):
    seen = []
    monkeypatch.setattr(
        kills, "_killed", lambda recipe, settings, stages, moments: seen.append((recipe, stages))
    )
    kills.on_digits(random.Random(0))
    kills.on_mnist(random.Random(0))
    (tour, six), (fast, one) = seen
    assert len(six) == 30
    assert set(six) == set(kills.STAGES)
    assert one == ["train"] * 5
    assert all(Path(f"recipes/{name}.yaml").is_file() for name in (tour, fast))
