"""Parameters of all kinds: invalid ones, odd ones, and those that spoil a training."""

import random
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from iic.core.errors import InputError
from iic.core.files import read_arrays
from iic.pipeline import stage as common
from iic.pipeline.paths import HISTORY, MODEL, SNAPSHOTS
from iic.pipeline.resume import FOLDER as STATES
from iic.pipeline.stage import read_params
from stages import train
from tools.chaos import odd, overrides, parameters
from tools.chaos.campaigns import CAMPAIGNS
from tools.chaos.counting import Count
from tools.chaos.examples import distinct
from tools.chaos.variants import Variant, text

LINE = "error: params.yaml: seed: 'x' should be an integer"


def last(counts) -> Count:
    """The count after the last trial."""
    return list(counts)[-1]


def test_examples_are_as_many_as_wanted_all_different_and_those_of_the_seed():
    numbers = st.integers(0, 60)
    found = distinct(numbers, 40, random.Random(3))
    assert len(set(found)) == 40
    assert found == distinct(numbers, 40, random.Random(3))
    assert found != distinct(numbers, 40, random.Random(4))
    with pytest.raises(ValueError, match="no more than 61 different examples"):
        distinct(numbers, 62, random.Random(0))


def test_invalid_files_are_refused_before_any_work():
    count = last(parameters.refusals(parameters.invalid(150, random.Random(1))))
    assert count.lost == []
    assert count.tried == pytest.approx(150, abs=10)
    assert set(count.details) == set(parameters.KINDS)


def test_the_campaign_tries_five_hundred():
    assert sum(round(500 * kind.share) for kind in parameters.KINDS.values()) == 500
    assert CAMPAIGNS["bad-parameters"].run is parameters.in_file


def test_a_refusal_that_does_not_name_the_key_is_lost():
    changed = text().replace("seed: 0", "seed: x").encode()
    fine, lost = (
        last(parameters.refusals([("kind", Variant("a change", changed, (named,)))])).lost
        for named in ("seed: 'x' should", "nobody")
    )
    assert fine == []
    assert lost[0].startswith(
        "kind: a change: does not name nobody: \"error: params.yaml: seed: 'x'"
    )


def test_a_valid_file_is_lost():
    count = last(parameters.refusals([("kind", Variant("none", text().encode(), ()))]))
    assert count.lost == ["kind: none: accepted, began to work"]


@pytest.mark.parametrize(
    ("refuse", "lost"),
    [
        (lambda: 1 / 0, "ZeroDivisionError instead of a refusal"),
        (lambda: Path("output").touch(), "accepted, began to work, left a file"),
    ],
)
def test_an_exception_and_a_file_left_are_lost(refuse, lost, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common, "read_params", lambda path: refuse())
    assert parameters.not_refused([]).startswith(lost)


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        (LINE, ""),
        (f"{LINE}\nparams.yaml: data: missing", ""),
        (f"{LINE}\nand more", "no line of its own"),
        ("params.yaml: seed: 'x'", "no line of its own"),
        (f"{LINE}\x1b[31m", "shows control characters"),
        (f"{LINE}\u202e", "shows control characters"),
        (LINE + "x" * 500, "1 lines, 550 characters"),
        ("\n".join([LINE, *["params.yaml: x: y"] * 30]), "31 lines"),
        ("error: params.yaml: data: missing", "does not name seed"),
    ],
)
def test_words_that_are_no_refusal_are_lost(said, lost):
    found = parameters.wrong_with(said, ["seed"])
    assert found.startswith(lost)
    assert bool(found) == bool(lost)


def test_invalid_overrides_are_refused_by_dvc_or_by_the_first_stage():
    count = last(overrides.in_process(distinct(overrides.invalid(), 20, random.Random(2))))
    assert count.lost == []
    assert set(count.details) == {"refused by DVC", "refused by the first stage"}


def test_overrides_that_are_fine_are_lost():
    (lost,) = last(overrides.in_process([("seed=5", "seed")])).lost
    assert lost == "-S seed=5: accepted, began to work"
    (lost,) = last(overrides.in_process([("seed=x", "nobody")])).lost
    assert lost.startswith("-S seed=x: does not name nobody")


@pytest.mark.parametrize(
    ("status", "said", "writes", "lost"),
    [
        (1, LINE, False, ""),
        (0, LINE, False, "accepted"),
        (1, f"{LINE}\nTraceback (most recent call last)", False, "a traceback"),
        (1, "failed", False, "does not name seed: 'failed'"),
        (1, LINE, True, "began to work"),
    ],
)
def test_what_dvc_says_and_leaves_is_looked_at(status, said, writes, lost, tmp_path, monkeypatch):
    def run(command, **_):
        (tmp_path / "params.yaml").touch()
        if writes:
            (tmp_path / "output").touch()
        return subprocess.CompletedProcess(command, status, "", said)

    monkeypatch.setattr(overrides.subprocess, "run", run)
    monkeypatch.setattr(overrides, "call", lambda *command, cwd: None)
    assert overrides.run_with(tmp_path, "seed=x", "seed") == lost


def test_odd_parameters_run_to_the_end_or_are_refused():
    chosen = [
        (("train.batch_size", "1"),),
        (
            *(("train.batch_size", "1437"), ("train.epochs", "1"), ("augment.ops", "[]")),
            *(("model.clusters", "2"), ("model.overclusters", "500")),
        ),
    ]
    count = last(odd.trials(chosen))
    assert count.lost == []
    assert count.details["refused by params.yaml"] == 1
    assert count.details["ran to the end"] == 1


def test_the_campaign_tries_a_hundred_odd_ones(monkeypatch):
    monkeypatch.setattr(odd, "trials", lambda chosen: chosen)
    chosen = odd.on_digits(random.Random(0))
    assert len(set(chosen)) == 100
    assert chosen[: len(odd.NAMED)] == list(odd.NAMED)


@pytest.mark.parametrize(
    ("broken", "lost"),
    [
        (ValueError("of\nthe code"), "download: ValueError: of the code"),
        (InputError("two\nlines"), "refused in 2 lines"),
        (InputError("a reason"), "refused, but data/images.npz is there"),
    ],
)
def test_odd_parameters_that_break_a_stage_are_lost(broken, lost, monkeypatch):
    def main(params):
        Path("data").mkdir()
        Path("data/images.npz").touch()
        raise broken

    monkeypatch.setattr("stages.download.main", main)
    (found,) = last(odd.trials([()])).lost
    assert found == f": {lost}"


def test_outputs_that_lack_and_metrics_that_are_no_numbers_are_lost(monkeypatch):
    for stage in ("download", "augment", "neighbors", "train", "evaluate", "report"):
        monkeypatch.setattr(f"stages.{stage}.main", lambda params: None)
    monkeypatch.setattr(odd, "_diagnosed", lambda params: [])
    (found,) = last(odd.trials([()])).lost
    assert found.startswith(": without data/images.npz, data/labels.npz, ")


@pytest.fixture
def before_training(pipeline_run, tmp_path, monkeypatch) -> Path:
    """The finished pipeline; the current folder holds what its training began with."""
    shutil.copytree(pipeline_run / "data", tmp_path / "data")
    (tmp_path / SNAPSHOTS).unlink()
    (tmp_path / HISTORY.parent).mkdir()
    monkeypatch.chdir(tmp_path)
    return pipeline_run


class Diverging(keras.optimizers.schedules.PolynomialDecay):
    """The schedule of a training whose second epoch takes steps that no number can hold."""

    def __call__(self, step):
        return tf.where(step < 15, super().__call__(step), 1e38)


def test_a_training_that_becomes_nan_leaves_nothing_that_spoils_the_next(
    before_training, monkeypatch, capsys
):
    params = read_params(before_training / "params.yaml")
    with monkeypatch.context() as patched:
        patched.setattr(keras.optimizers.schedules, "PolynomialDecay", Diverging)
        with pytest.raises(InputError) as refused:
            train.main(params)
    assert str(refused.value) == (
        "the loss is no longer finite in epoch 2; lower train.learning_rate"
    )
    assert not any(path.exists() for path in (MODEL, SNAPSHOTS, HISTORY))
    (state,) = STATES.rglob("*.npz")
    kept = read_arrays(state, [name for name in np.load(state) if name != "history"])
    assert all(np.isfinite(array).all() for array in kept.values())
    # The same settings go on after the first epoch, as if nothing had been.
    train.main(params)
    made = [path for path in (*MODEL.rglob("*"), SNAPSHOTS, HISTORY) if path.is_file()]
    assert len(made) > 3
    for path in made:
        assert path.read_bytes() == (before_training / path).read_bytes(), path
    said = capsys.readouterr().out
    assert (said.count("Epoch 1/2"), said.count("Epoch 2/2")) == (1, 1)
    assert not any(STATES.glob("*"))
