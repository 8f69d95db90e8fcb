"""Invalid, odd and diverging parameters."""

import inspect
import random
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from iic.core.errors import InputError
from iic.core.files import read_arrays
from iic.pipeline.paths import HISTORY, MODEL, SNAPSHOTS
from iic.pipeline.resume import FOLDER as STATES
from iic.pipeline.stage import read_params
from stages import train
from tools.chaos import parameters
from tools.chaos.campaigns import CAMPAIGNS
from tools.chaos.clones import Count
from tools.chaos.parameters import KINDS, TEXT, Invalid, examples
from tools.command import Ending

pytestmark = pytest.mark.long

LINE = "params.yaml: seed: 'x' should be an integer"


def last(counts) -> Count:
    """The count after the last trial."""
    return list(counts)[-1]


@settings(derandomize=True, database=None, deadline=None, max_examples=100)
@given(st.one_of([*KINDS.values()]))
def test_invalid_files_are_refused_in_one_line_that_names_the_key(file):
    assert parameters.judge(file) == ""


def test_campaign_tries_500_files_of_all_kinds():
    assert CAMPAIGNS["bad-parameters"].run is parameters.bad_files
    assert inspect.signature(parameters.bad_files).parameters["trials"].default == 500
    count = last(parameters.bad_files(random.Random(1), trials=25))
    assert (count.lost, count.tried) == ([], 25)
    assert set(count.details) == set(KINDS)


def test_examples_are_different_and_decided_by_the_seed():
    numbers = st.integers(0, 60)
    found = examples(numbers, 40, random.Random(3))
    assert len(set(found)) == 40
    assert found == examples(numbers, 40, random.Random(3))
    assert found != examples(numbers, 40, random.Random(4))
    assert len(examples(numbers, 100, random.Random(0))) == 61


def test_refusal_that_does_not_name_the_key_is_a_fault():
    content = TEXT.replace("seed: 0", "seed: x").encode()
    assert parameters.judge(Invalid("a kind", ("seed: 'x' should",), content)) == ""
    fault = parameters.judge(Invalid("a kind", ("nobody",), content))
    assert "does not name nobody: \"params.yaml: seed: 'x'" in fault


def test_accepted_file_is_a_fault():
    assert parameters.judge(Invalid("a kind", (), TEXT.encode())) == "accepted"


def test_exception_of_the_parser_is_a_fault(monkeypatch):
    monkeypatch.setattr(parameters, "read_params", lambda path: 1 / 0)
    fault = parameters.judge(Invalid("a kind", (), b""))
    assert fault == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (LINE, ""),
        (f"{LINE}\nparams.yaml: data: missing", ""),
        (f"{LINE}\nand more", "not one printable line for each mistake"),
        ("seed: 'x'", "not one printable line for each mistake"),
        (f"{LINE}\x1b[31m", "not one printable line for each mistake"),
        (f"{LINE}\u202e", "not one printable line for each mistake"),
        (LINE + "x" * 500, "1 lines, 543 characters"),
        ("\n".join([LINE, *["params.yaml: x: y"] * 30]), "31 lines"),
        ("params.yaml: data: missing", "does not name seed"),
    ],
)
def test_unclear_messages_are_faults(said, fault):
    found = parameters.fault_of_refusal(said, ["seed"])
    assert found.startswith(fault)
    assert bool(found) == bool(fault)


@pytest.mark.parametrize(
    ("status", "said", "writes", "fault"),
    [
        (1, LINE, False, ""),
        (0, LINE, False, "accepted"),
        (1, f"{LINE}\nTraceback (most recent call last)", False, "traceback: "),
        (1, "ERROR: failed", False, "does not name seed: 'ERROR: failed'"),
        (1, LINE, True, "began to work"),
    ],
)
def test_output_and_files_of_an_experiment_are_checked(
    status, said, writes, fault, tmp_path, monkeypatch
):
    def run(*command, cwd):
        if writes:
            (cwd / "reports").mkdir()
            (cwd / "reports/output").touch()
        return Ending(status, f"error: {said}" if LINE in said else said)

    monkeypatch.setattr(parameters, "ending_of", run)
    monkeypatch.setattr(parameters, "call", lambda *command, cwd: None)
    found = parameters.fault_of_experiment(tmp_path, "seed=x")
    assert found.startswith(fault)
    assert bool(found) == bool(fault)


def test_odd_settings_run_to_the_end_or_are_refused():
    one_batch = ("train.batch_size=1437", "train.epochs=1", "augment.ops=[]")
    heads = ("model.clusters=2", "model.overclusters=500")
    count = last(parameters.runs([("train.batch_size=1",), one_batch + heads]))
    assert count.lost == []
    assert count.details["refused by params.yaml"] == 1
    assert count.details["ran to the end"] == 1


def test_campaign_tries_each_odd_setting_and_no_key_twice_in_a_run(monkeypatch):
    monkeypatch.setattr(parameters, "runs", lambda chosen: chosen)
    chosen = parameters.odd_runs(random.Random(0))
    assert len(chosen) == 100
    expected = set(parameters._odd_values())
    assert {setting for settings in chosen for setting in settings} == expected
    keys = [[setting.partition("=")[0] for setting in settings] for settings in chosen]
    assert all(len(set(run)) == len(run) for run in keys)
    assert {"train.batch_size=1437", "augment.ops=[]", "model.clusters=2"} <= expected


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (ValueError("of\nthe code"), "download: ValueError: of the code"),
        (InputError("two\nlines"), "refused in 2 lines"),
        (InputError("a reason"), "refused, but data/images.npz is there"),
    ],
)
def test_settings_that_break_a_stage_are_lost(broken, fault, monkeypatch):
    def main(params):
        Path("data").mkdir(exist_ok=True)
        Path("data/images.npz").touch()
        raise broken

    monkeypatch.setattr("stages.download.main", main)
    assert last(parameters.runs([()])).lost == [f": {fault}"]


def test_missing_outputs_are_lost(monkeypatch):
    for stage in parameters.STAGES:
        monkeypatch.setattr(f"stages.{stage}.main", lambda params: None)
    monkeypatch.setattr(parameters, "_diagnosed", lambda params: [])
    (found,) = last(parameters.runs([()])).lost
    assert found.startswith(": without data/source.json, data/images.npz, ")


@pytest.fixture
def before_training(pipeline_run, tmp_path, monkeypatch) -> Path:
    """The finished pipeline; the current folder holds the inputs of its training."""
    shutil.copytree(pipeline_run / "data", tmp_path / "data")
    (tmp_path / SNAPSHOTS).unlink()
    (tmp_path / HISTORY.parent).mkdir()
    monkeypatch.chdir(tmp_path)
    return pipeline_run


class Diverging(keras.optimizers.schedules.PolynomialDecay):
    """A learning rate that becomes far too large in the second epoch."""

    def __call__(self, step):
        return tf.where(step < 15, super().__call__(step), 1e38)


def test_diverging_training_is_refused_and_the_next_one_resumes_from_finite_weights(
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
    # A training with the same settings resumes after the first epoch, with the same results.
    train.main(params)
    made = [path for path in (*MODEL.rglob("*"), SNAPSHOTS, HISTORY) if path.is_file()]
    assert len(made) > 3
    for path in made:
        assert path.read_bytes() == (before_training / path).read_bytes(), path
    said = capsys.readouterr().out
    assert (said.count("Epoch 1/2"), said.count("Epoch 2/2")) == (1, 1)
    assert not any(STATES.glob("*"))
