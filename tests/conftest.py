"""Shared fixtures: a small real data set, the committed parameters, a clone of the repository."""

import fcntl
import logging
import os
import resource
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

# Before anything imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Waiting threads of OpenMP would otherwise occupy the cores that the other worker needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from iic.core.params import Params, parse_params
from iic.data.datasets import Dataset, digits_dataset
from iic.experiments.scratch import copy_working_tree
from iic.experiments.sweep.task import THREADS

if TYPE_CHECKING:
    from iic.pairs.batches import TrainingData

# Two workers share two cores, so more threads of each would only wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in THREADS:
        os.environ.setdefault(_name, "1")

ROOT = Path(__file__).resolve().parents[1]

# A network and a schedule small enough for a test, with every kind of operation.
TINY = {
    "data.name": "digits",
    "augment.views": 2,
    "model.widths": [8, 16],
    "model.head_widths": [16],
    "model.overclusters": 20,
    "train.epochs": 2,
    "train.batch_size": 100,
}


def override(text: str, values: dict[str, object]) -> str:
    """Set keys in the text of a parameter file, as `dvc exp run -S` does."""
    import yaml

    tree = yaml.safe_load(text)
    for key, value in values.items():
        *sections, leaf = key.split(".")
        node = tree
        for section in sections:
            node = node[section]
        assert leaf in node, key
        node[leaf] = value
    return yaml.safe_dump(tree, sort_keys=False)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: packed bytes contain the time, and workers must agree."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def params_text() -> str:
    return (ROOT / "params.yaml").read_text("utf-8")


@pytest.fixture(scope="session")
def params(params_text: str) -> Params:
    return parse_params(params_text, "params.yaml")


@pytest.fixture(scope="session")
def tiny_params(params_text: str) -> Params:
    return parse_params(override(params_text, TINY), "params.yaml")


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return digits_dataset()


def make_training_data(digits: Dataset, images: int, views: int) -> "TrainingData":
    """The first training images of the digits with draws and 20 neighbours, and 50 test images."""
    from iic.pairs.batches import TrainingData
    from iic.pairs.draws import make_draws
    from iic.pairs.neighbors import nearest_neighbors

    chosen = digits.train_images[:images]
    return TrainingData(
        chosen,
        digits.test_images[:50],
        **make_draws(0, views, images),
        neighbors=nearest_neighbors(chosen, 20),
    )


@pytest.fixture(scope="session")
def small_data(digits: Dataset) -> "TrainingData":
    """230 training images with three views."""
    return make_training_data(digits, images=230, views=3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params_text: str) -> Path:
    """A working directory with the committed parameters and recipes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(params_text)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    return tmp_path


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def environment() -> dict[str, str]:
    """Return the environment of a user's shell, with this interpreter first on PATH for DVC."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # What only machines for tests have.
    special = {"TF_CPP_MIN_LOG_LEVEL", "PYTHONDONTWRITEBYTECODE"}
    inherited = {key: value for key, value in os.environ.items() if key not in special}
    return inherited | {"PATH": path, "DVC_NO_ANALYTICS": "1"}


def run(
    *command: str, cwd: Path, check: bool = True, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command; fail the test with its output if the command fails and `check` is set."""
    result = subprocess.run(
        command, cwd=cwd, env=environment() | (env or {}), capture_output=True, text=True
    )
    if check and result.returncode != 0:
        pytest.fail(
            f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        )
    return result


def exit_code_of(script: str, *arguments: str, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the message with which a script exits; running it here saves starting TensorFlow."""
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    return str(stopped.value.code)


def make_clone(folder: Path, **settings: object) -> Path:
    """Make a Git and DVC repository of the working tree's files, with tiny parameters committed.

    It lacks the pipeline of segmentation, so `dvc status` speaks of that of clustering alone.
    """
    copy_working_tree(ROOT, folder, ".", ":!dvc.lock", ":!reports", ":!segmentation")
    # Measured, not made by the pipeline.
    copy_working_tree(ROOT, folder, "reports/measurements/benchmark.json")
    values = TINY | {key.replace("__", "."): value for key, value in settings.items()}
    file = folder / "params.yaml"
    file.write_text(override(file.read_text("utf-8"), values), "utf-8")
    make_repository(folder)
    return folder


def make_repository(folder: Path) -> None:
    """Make a Git repository of a folder and commit its files."""
    run("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    run("git", "config", "user.name", "test", cwd=folder)
    run("git", "config", "user.email", "test@example.org", cwd=folder)
    commit(folder)


def commit(folder: Path) -> None:
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "state", cwd=folder)


@pytest.fixture(scope="session")
def pipeline_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which `dvc repro` has run on the digits. Copy it before changing anything.

    The file `output.txt` beside the clone contains the output of `dvc repro`.
    """
    own = tmp_path_factory.getbasetemp()
    # The first worker of pytest-xdist that needs the clone makes it, in the folder above its own.
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    finished = common / "finished"
    with Path(f"{finished}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            clone = make_clone(common / "clone")
            done = run("dvc", "repro", cwd=clone)
            (common / "output.txt").write_text(done.stdout + done.stderr, "utf-8")
            commit(clone)
            clone.rename(finished)
    folder = own / "pipeline/clone"
    shutil.copytree(finished, folder, symlinks=True)
    shutil.copy(common / "output.txt", folder.parent)
    return folder


def flip_a_bit(path: Path) -> None:
    """Damage a file as a failing disk does, without a change of its size, times or mode."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let writes beyond a size, in bytes, fail in the block, much as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def clone(pipeline_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished pipeline as the current folder; `iic repair` does not wait in it."""
    from iic.experiments import repair

    folder = tmp_path / "clone"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(repair, "_WRITE_SECONDS", 0.01)
    return folder
