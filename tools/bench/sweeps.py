"""Overhead of a sweep, and its efficiency with two workers."""

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from iic.core.errors import InputError
from iic.core.files import write_text
from iic.experiments.recipes import options_of, recipe_params, with_overrides
from iic.experiments.sweep.cluster import Needs, connected, run_tasks
from iic.experiments.sweep.task import SHARED_STAGES, Checkout, Outcome, Place, Task

# With one epoch, the overhead weighs more than in a real sweep.
EPOCHS = 1
TASKS = 4
ROUNDS = 3
# Numbers of finished experiments when a task starts.
FINISHED = (0, 1000, 10_000)
# Records of the run-cache per experiment: train and evaluate. DVC pushes none of report.
RECORDS = 2
NO_OPS = 10_000
# Steps of a task that take longer with more finished experiments; "starts" pulls the run-cache.
GROWING = ("clones", "pulls", "starts", "pushes")
_NEEDS = Needs(cores=1, memory=2.0, gpus=0.0, retries=0)


def measure_workers() -> Iterator[dict[str, Any]]:
    """Measure sweeps with one and with two workers, one core each."""
    with _base() as (top, base):
        yield _efficiency(top, base)


def measure_traffic() -> Iterator[dict[str, Any]]:
    """Measure the data that a task transfers, and its steps by number of finished experiments."""
    with _base() as (top, base):
        values: dict[str, Any] = _traffic(top, base)
        yield values
        yield values | {"growth": {str(n): _growth(top, base, n) for n in FINISHED}}


@contextmanager
def _base() -> Iterator[tuple[Path, Path]]:
    """Yield a temporary folder and a clone of HEAD in it, with the shared data in its own cache."""
    with tempfile.TemporaryDirectory(prefix="iic-bench-") as name:
        base = Path(name) / "base"
        _make_base(base)
        yield Path(name), base


def _make_base(base: Path) -> None:
    _run("git", "clone", "--quiet", Path.cwd().as_uri(), str(base), folder=base.parent)
    cache = _run("dvc", "cache", "dir", folder=Path()).strip()
    write_text(
        base / ".dvc/config.local",
        f"[core]\n    remote = main\n['remote \"main\"']\n    url = {Path(cache).absolute()}\n",
    )
    _run("dvc", "pull", "--quiet", *SHARED_STAGES, folder=base)


def _efficiency(top: Path, base: Path) -> dict[str, Any]:
    """Time the same tasks with one and with two workers, in turns; return medians."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    outcomes: list[Outcome] = []
    for _ in range(ROUNDS):
        for workers, measured in seconds.items():
            with _copy(top, base) as folder, connected(None, cores=workers) as ray:
                tasks = _tasks(folder)
                # Ray starts its processes with the first tasks.
                rest = ray.remote(num_cpus=1)(lambda: time.sleep(1))
                ray.get([rest.remote() for _ in range(workers)])
                start = time.monotonic()
                ended = list(run_tasks(ray, tasks, _NEEDS, lambda _: None))
                measured.append(time.monotonic() - start)
                _check(ended)
                outcomes += ended
    one, two = (statistics.median(seconds[workers]) for workers in (1, 2))
    return {
        "tasks": TASKS,
        "epochs": EPOCHS,
        "rounds": ROUNDS,
        "seconds": {"1": round(one, 1), "2": round(two, 1)},
        "efficiency": round(one / (2 * two), 3),
        "steps": _steps(outcomes),
    }


def _steps(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the median seconds of each step."""
    names = dict.fromkeys(step for outcome in outcomes for step in outcome.steps)
    return {
        name: round(statistics.median(o.steps[name] for o in outcomes if name in o.steps), 2)
        for name in names
    }


def _traffic(top: Path, base: Path) -> dict[str, float]:
    """Measure the megabytes that a task transfers, and the tasks per second that Ray can start."""
    with _copy(top, base) as folder:
        task, *_ = _tasks(folder)
        git, commit = task.checkout.git, task.checkout.commit
        shallow = top / "shallow"
        shallow.mkdir()
        _run("git", "init", "--quiet", folder=shallow)
        _run("git", "fetch", "--quiet", "--depth", "1", git, commit, folder=shallow)
        clone = _size(shallow / ".git")
        shutil.rmtree(shallow)
        before = _size(folder / ".dvc/cache")
        records = folder / ".dvc/cache/runs"
        records_before = _size(records)
        with connected(None, cores=1) as ray:
            (outcome,) = run_tasks(ray, [task], _NEEDS, lambda _: None)
            _check([outcome])
            return {
                "clone_mb": round(clone, 2),
                "shared_data_mb": round(before, 1),
                "pushed_mb": round(_size(folder / ".dvc/cache") - before, 2),
                "records_kb": round(1000 * (_size(records) - records_before), 1),
                "empty_tasks_per_second": round(_empty_tasks_per_second(ray, task)),
            }


def _empty_tasks_per_second(ray: Any, task: Task) -> float:  # noqa: ANN401 - the module
    """Submit empty tasks at once, as a sweep does, each with the arguments of a real one."""
    nothing = ray.remote(num_cpus=1)(lambda task: task.name)
    ray.get(nothing.remote(task))
    start = time.monotonic()
    ray.get([nothing.remote(task) for _ in range(NO_OPS)])
    return NO_OPS / (time.monotonic() - start)


def _growth(top: Path, base: Path, finished: int) -> dict[str, float]:
    """Measure the steps of a task, not the first one, with a number of finished experiments."""
    with _copy(top, base) as folder:
        task = _tasks(folder)[0]
        _add_finished(folder, task.checkout, finished)
        with connected(None, cores=1) as ray:
            outcomes = []
            for name in ("first", "second", "third"):
                # All but the first take the training from the run-cache: only the overhead counts.
                again = replace(task, name=name)
                outcomes += list(run_tasks(ray, [again], _NEEDS, lambda _: None))
            _check(outcomes)
        steps = _steps(outcomes[1:])
        # Before a push, the server sends all its references; a fetch asks for a single one.
        references = _run("git", "receive-pack", "--http-backend-info-refs", ".", folder=folder)
        return {
            **{step: steps[step] for step in GROWING},
            "references_mb": round(len(references) / 1e6, 2),
        }


def _add_finished(folder: Path, checkout: Checkout, count: int) -> None:
    """Create the Git references and run-cache records of a number of finished experiments."""
    lines = "".join(
        f"create {checkout.reference(f'other-{number}')} {checkout.commit}\n"
        for number in range(count)
    )
    _run("git", "update-ref", "--stdin", folder=folder, text=lines)
    _run("git", "pack-refs", "--all", folder=folder)
    record = "cmd: python -m stages.train\nouts: []\n" + "# padding\n" * 250
    for number in range(RECORDS * count):
        key = f"{number:064x}"[::-1]
        target = folder / ".dvc/cache/runs" / key[:2] / key
        target.mkdir(parents=True)
        (target / key[::-1]).write_text(record)


@contextmanager
def _copy(top: Path, base: Path) -> Iterator[Path]:
    """Yield a copy of the clone; its cache has no training."""
    with tempfile.TemporaryDirectory(dir=top) as name:
        folder = Path(name) / "repository"
        shutil.copytree(base, folder, symlinks=True)
        yield folder


def _tasks(folder: Path) -> list[Task]:
    commit = _run("git", "rev-parse", "HEAD", folder=folder).strip()
    checkout = Checkout(f"file://{folder}", commit, "cache", str(folder / ".dvc/cache"))
    place = Place(_NEEDS.cores, 0.0, str(folder.parent / "scratch"), packages={})
    tasks = []
    for seed in range(TASKS):
        changes = {"seed": seed, "train": {"epochs": EPOCHS}}
        params = with_overrides(recipe_params("fast"), changes, "benchmark")
        options = tuple(options_of(params))
        tasks.append(Task(f"seed-{seed}", options, checkout, place))
    return tasks


def _check(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.status != "done":
            raise InputError(f"{outcome.name}: {outcome.status}; {outcome.log}")


def _size(folder: Path) -> float:
    """Return the size of all files in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _run(*command: str, folder: Path, text: str | None = None) -> str:
    done = subprocess.run(  # noqa: S603 - a list, no shell
        command, cwd=folder, capture_output=True, encoding="utf-8", check=True, input=text
    )
    return done.stdout
