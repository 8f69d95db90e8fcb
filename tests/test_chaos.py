"""The campaign of kills: what it takes for lost is lost."""

import shutil
from pathlib import Path

import pytest

from benchmarks import chaos
from benchmarks.chaos import Campaign, Trial


def test_the_stage_that_was_killed_is_the_last_one_that_began():
    said = "Running stage 'download':\n> python\nRunning stage 'train':\n> python -m stages.train\n"
    assert chaos._stage_of(said) == "train"
    assert chaos._stage_of("Verifying data sources\n") == "none"


def test_what_is_not_as_before_is_named(pipeline_run, tmp_path):
    clone = tmp_path / "clone"
    shutil.copytree(pipeline_run, clone, symlinks=True)
    lock = (clone / "dvc.lock").read_bytes()
    assert chaos._lost(clone, lock) == ""
    assert chaos._lost(clone, lock + b"\n") == "dvc.lock differs"
    (clone / ".resume/x").mkdir(parents=True)
    assert chaos._lost(clone, lock) == "a state is left"
    (clone / ".resume/x").rmdir()
    table = clone / "reports/metrics.json"
    table.write_text(table.read_text() + " ")
    assert chaos._lost(clone, lock) == "DVC sees a change, Git sees a change"


def test_a_campaign_counts_its_trials(monkeypatch):
    trials = iter([Trial("train", True, ""), Trial("none", False, "a state is left")])
    monkeypatch.setattr(chaos, "_prepare", lambda clone, campaign: 10.0)
    moments = []
    monkeypatch.setattr(
        chaos, "_trial", lambda clone, moment: moments.append(moment) or next(trials)
    )
    first, second = chaos.run_campaign(Campaign("tour", [], 2), seed=0)
    assert first == {"kills": 1, "lost": [], "resumed": 1, "stages": {"train": 1}}
    assert second == {
        "kills": 2, "lost": ["a state is left"], "resumed": 1, "stages": {"none": 1, "train": 1},
    }  # fmt: skip
    assert all(0 <= moment <= 10 for moment in moments)
    assert len(set(moments)) == 2


@pytest.mark.parametrize("name", chaos.CAMPAIGNS)
def test_campaigns_are_of_recipes_that_exist(name):
    assert Path(f"recipes/{chaos.CAMPAIGNS[name].recipe}.yaml").is_file()
