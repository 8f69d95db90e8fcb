"""An interrupted training continues, and its result has the same bytes as an uninterrupted one."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, TINY, environment, override, run

from iic.core.params import Params, parse_params
from iic.pairs.batches import TrainingData
from iic.pairs.draws import make_draws
from iic.pairs.neighbors import nearest_neighbors
from iic.pipeline import resume
from iic.training.fit import TrainingResult
from iic.training.train import train

pytestmark = pytest.mark.long

EPOCHS = 3
# Runs a command with SIGINT at its default. A shell without job control starts background jobs with
# SIGINT ignored, and all their children inherit that.
INTERRUPTIBLE = (
    sys.executable,
    "-c",
    "import os, signal, sys\n"
    "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])",
)


@pytest.fixture(scope="module")
def params(params_text) -> Params:
    values = TINY | {
        "train.epochs": EPOCHS,
        "loss.teaching_from": 0.2,
        "augment.neighbors": 5,
        # A single layer, since each training traces its layers anew.
        "model.widths": [8],
    }
    return parse_params(override(params_text, values), "params.yaml")


@pytest.fixture(scope="module")
def data(digits, params) -> TrainingData:
    images = digits.train_images[:300]
    return TrainingData(
        images,
        digits.test_images[:50],
        **make_draws(params.seed, params.augment.views, len(images)),
        neighbors=nearest_neighbors(images, 5),
    )


@pytest.fixture(scope="module")
def whole(data, params) -> TrainingResult:
    """The result of an uninterrupted training that saves no state."""
    return train(data, params)


class Interrupt(keras.callbacks.Callback):
    """Records the epochs, and interrupts the training at the end of one, as Ctrl-C would."""

    def __init__(self, after: int | None = None) -> None:
        super().__init__()
        self.after, self.epochs = after, []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)
        if epoch + 1 == self.after:
            raise KeyboardInterrupt


def assert_same(one: TrainingResult, other: TrainingResult) -> None:
    for a, b in zip(one.network.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.history == other.history
    assert one.snapshots.keys() == other.snapshots.keys()
    for name, array in one.snapshots.items():
        np.testing.assert_array_equal(array, other.snapshots[name])
        assert array.dtype == other.snapshots[name].dtype


def test_training_interrupted_twice_gives_the_same_result(data, params, whole, tmp_path):
    for after, epochs in ((1, [0]), (2, [1])):
        interrupt = Interrupt(after)
        with pytest.raises(KeyboardInterrupt):
            train(data, params, [interrupt], tmp_path / "state")
        assert interrupt.epochs == epochs
    rest = Interrupt()
    assert_same(train(data, params, [rest], tmp_path / "state"), whole)
    assert rest.epochs == [2]


def test_training_interrupted_after_its_last_epoch_trains_no_further_epoch(
    data, params, whole, tmp_path
):
    with pytest.raises(KeyboardInterrupt):
        train(data, params, [Interrupt(EPOCHS)], tmp_path / "state")
    assert_same(train(data, params, [Interrupt(0)], tmp_path / "state"), whole)


def test_finished_teachers_are_not_trained_again(data, params, tmp_path):
    taught = params.with_values(student={"teachers": 2, "length": 3.0}, train={"epochs": 1})
    expected = train(data, taught)
    for after, saved in ((1, ["teacher-1"]), (2, ["network", "teacher-1", "teacher-2"])):
        with pytest.raises(KeyboardInterrupt):
            train(data, taught, [Interrupt(after)], tmp_path)
        assert sorted(path.stem for path in tmp_path.iterdir()) == saved
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("teacher-*")}
    assert_same(train(data, taught, state=tmp_path), expected)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.fixture(scope="module")
def state(data, params, tmp_path_factory) -> bytes:
    """The state file that an interruption after the first epoch leaves."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.raises(KeyboardInterrupt):
        train(data, params, [Interrupt(1)], folder)
    return (folder / "network.npz").read_bytes()


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damaged_state_is_reported_and_not_used(data, params, state, tmp_path, caplog, damage):
    file, content = tmp_path / "network.npz", bytearray(state)
    if damage == "flip":
        content[len(content) // 3] ^= 4
    file.write_bytes({"cut": content[: len(content) // 2], "flip": content, "empty": b""}[damage])
    again = Interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        train(data, params, [again], tmp_path)
    assert again.epochs == [0]
    assert "network.npz: not a readable NPZ file" in caplog.text
    assert "training starts from the first epoch" in caplog.text
    # The training from the beginning has written the same state.
    assert file.read_bytes() == state


def test_full_disk_loses_the_state_but_not_the_training(
    data, params, whole, tmp_path, caplog, monkeypatch
):
    def full(path, arrays):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("iic.training.checkpoint.write_arrays", full)
    assert_same(train(data, params, state=tmp_path), whole)
    assert "network.npz: No space left on device" in caplog.text


def test_key_of_the_state_depends_on_settings_code_data_and_machine(params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_bytes(b"one")
    inputs = [tmp_path / "data"]
    key = resume._key(params, inputs)
    assert resume._key(params.model_copy(update={"recipe": "other"}), inputs) == key
    assert resume._key(params.with_values(report={"label": "3"}), inputs) == key
    others = [params.with_values(loss={"alpha": 2.0}), params.model_copy(update={"seed": 1})]
    keys = {key, *(resume._key(other, inputs) for other in others)}
    (tmp_path / "data").write_bytes(b"two")
    keys.add(resume._key(params, inputs))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    keys.add(resume._key(params, inputs))
    monkeypatch.setattr(resume, "_code", lambda: [tmp_path / "data"])
    keys.add(resume._key(params, inputs))
    monkeypatch.setattr(resume, "usable_cores", lambda: 99)
    keys.add(resume._key(params, inputs))
    monkeypatch.setattr(resume, "instructions", lambda: {"avx3"})
    keys.add(resume._key(params, inputs))
    monkeypatch.setattr(resume, "processor_model", lambda: "other")
    keys.add(resume._key(params, inputs))
    assert len(keys) == 9


def test_key_covers_the_code_of_the_stage_and_its_imports(params, digits, monkeypatch):
    from stages import train as stage

    code = {path.resolve() for path in resume._code()}
    assert {ROOT / "iic/training/train.py", ROOT / "iic/pairs/noise.py"} <= code
    assert all(path.suffix == ".py" for path in code)

    def resumable(given, inputs):
        assert given is params
        # DVC runs the script as a program, so it is not among the imported modules.
        assert ROOT / "stages/train.py" in inputs
        raise AskedError

    class AskedError(Exception):
        pass

    monkeypatch.setattr(stage, "read_data", lambda: digits)
    monkeypatch.setattr(stage, "resumable", resumable)
    with pytest.raises(AskedError):
        stage.main(params)


def test_state_is_in_the_users_repository_and_removed_on_success(params, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))

    def stopped() -> None:
        with resume.resumable(params, []) as folder:
            folder.mkdir(parents=True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    (folder,) = (tmp_path / ".resume").iterdir()
    assert folder.is_dir()
    with resume.resumable(params, []) as again:
        assert again == folder
    assert not folder.exists()


def test_only_the_eight_newest_other_states_are_kept(params, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for number in range(20):
        folder = tmp_path / f".resume/old-{number}"
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    with resume.resumable(params, []):
        pass
    left = sorted(path.name for path in (tmp_path / ".resume").iterdir())
    assert left == sorted(f"old-{number}" for number in range(12, 20))


def test_own_state_is_kept_even_if_its_time_is_the_oldest(params, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    own = tmp_path / ".resume" / resume._key(params, [])
    for number, folder in enumerate([own, *(own.with_name(f"other-{n}") for n in range(20))]):
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    with resume.resumable(params, []) as folder:
        assert folder == own
        assert folder.is_dir()


def stop_after_an_epoch(how: signal.Signals, *command: str, clone: Path) -> None:
    """Send a signal to all processes of a command, as a terminal does, once a state is saved."""
    started = subprocess.Popen(
        (*INTERRUPTIBLE, *command), cwd=clone, env=environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    before, give_up = states(clone), time.monotonic() + 300
    while states(clone) == before:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    os.killpg(started.pid, how)
    assert started.wait(timeout=120) != 0


def states(clone: Path) -> dict[Path, int]:
    """Return the saved states with their inodes, since each is a new file."""
    return {path: path.stat().st_ino for path in clone.glob(".resume/*/first/network.npz")}


def test_killed_pipeline_ends_with_the_same_lock_file(tmp_path, pipeline_run):
    """All processes get SIGKILL after an epoch; then the same command runs again."""
    clone = tmp_path / "clone"
    shutil.copytree(pipeline_run, clone, symlinks=True)
    before = (clone / "dvc.lock").read_bytes()
    # The run-cache would restore the training.
    shutil.rmtree(clone / ".dvc/cache")
    command = ("dvc", "repro", "--force", "--single-item", "train")
    stop_after_an_epoch(signal.SIGKILL, *command, clone=clone)
    again = run("dvc", "repro", "train", cwd=clone)
    assert "resuming after epoch" in again.stderr
    assert not list(clone.glob(".resume/*"))
    assert (clone / "dvc.lock").read_bytes() == before


def test_experiment_in_a_temporary_folder_continues_after_ctrl_c_and_after_a_kill(
    tmp_path, pipeline_run
):
    """DVC runs it in another folder each time."""
    clone = tmp_path / "clone"
    shutil.copytree(pipeline_run, clone, symlinks=True)
    command = ("dvc", "exp", "run", "--temp", "--name", "mine", "-S", "train.epochs=16")
    stop_after_an_epoch(signal.SIGINT, *command, clone=clone)
    stop_after_an_epoch(signal.SIGKILL, *command, clone=clone)
    again = run(*command, cwd=clone)
    resumed = re.search(r"resuming after epoch (\d+)", again.stderr)
    assert int(resumed[1]) > 1
    assert not list(clone.glob(".resume/*"))
    assert "mine" in run("dvc", "exp", "list", cwd=clone).stdout
    assert not run("git", "status", "--porcelain", cwd=clone).stdout
