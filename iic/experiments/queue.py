"""Run experiments in DVC's queue: add the missing ones, start DVC's worker, wait for results.

The worker is a separate process. It goes on if the waiting process is stopped. The next call
finds which experiments have finished, which are running and which are left.
"""

import os
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from iic.core.errors import InputError
from iic.experiments.checks import check_ready
from iic.experiments.commands import output_of, try_to_run
from iic.experiments.git import experiment_references
from iic.experiments.grid import Experiment
from iic.experiments.sweep.task import THREADS

# `dvc queue status` takes a second of one core, which the experiments could use.
_POLL_SECONDS = 10.0
# Polls without a worker after which it counts as dead; it takes seconds to start.
_PATIENCE = 6
_STATUSES = ("Queued", "Running", "Success", "Failed")
# Attempts to remove tasks; each takes seconds, in which a killed task ends.
_KILL_POLLS = 20


def run_missing(experiments: Sequence[Experiment], jobs: int = 1) -> Iterator[Experiment]:
    """Run the experiments that have no results, and yield each experiment once it has results.

    Experiments that already have results come first.

    Args:
        experiments: Experiments whose results are wanted.
        jobs: Number of experiments to run at once; they share the processor's cores equally.

    Yields:
        Experiments that have results.

    Raises:
        InputError: Experiments cannot run here (raised before any work), some failed (raised after
            all others have finished), some were removed from the queue, or DVC's worker has died.
    """
    if experiments:
        check_ready(experiment.params for experiment in experiments)
    finished = experiment_references() if experiments else {}
    yield from (experiment for experiment in experiments if experiment.name in finished)
    waiting = {e.name: e for e in experiments if e.name not in finished}
    failed = []
    polls_without_worker = 0
    if waiting:
        _add_to_queue(waiting)
        _start_worker(jobs)
    while waiting:
        status = _status()
        tasks = _tasks(status)
        for name in [name for name in waiting if tasks.get(name) in ("Success", "Failed")]:
            experiment = waiting.pop(name)
            if tasks[name] == "Success":
                yield experiment
            else:
                failed.append(name)
        polls_without_worker = 0 if _count_workers(status) else polls_without_worker + 1
        if waiting:
            _check_progress(waiting, tasks, polls_without_worker)
            time.sleep(_POLL_SECONDS)
    if failed:
        raise InputError(f"failed: {', '.join(failed)}; `dvc queue logs NAME` shows why")


def remove_results(experiments: Sequence[Experiment]) -> None:
    """Remove the experiments' results and tasks, so that they run again with the present code.

    Results of all commits are removed; the run-cache keeps its entries.

    Raises:
        InputError: The experiments cannot run here, or a running one cannot be stopped.
    """
    check_ready(experiment.params for experiment in experiments)
    names = {experiment.name for experiment in experiments}
    # First, since a running task would add its result. Its code is that of the time it was queued.
    _remove_tasks(names)
    found = [ref for name, refs in experiment_references().items() if name in names for ref in refs]
    if found:
        # By reference, since DVC refuses a name that several commits have.
        output_of("dvc", "exp", "remove", *found)


def _remove_tasks(names: Collection[str]) -> None:
    """Remove all tasks with these names from DVC's queue; those that run are killed."""
    for _ in range(_KILL_POLLS):
        tasks = [task for task in _all_tasks(_status()) if task.name in names]
        if not tasks:
            return
        running = [task.revision for task in tasks if task.status == "Running"]
        for revision in running:
            _kill(revision)
        if running:
            # Marks those as failed whose worker has died as well.
            try_to_run("dvc", "queue", "kill", "--force", *running)
        if ended := [task.revision for task in tasks if task.status != "Running"]:
            try_to_run("dvc", "queue", "remove", *ended)
    stuck = ", ".join(sorted({task.name for task in tasks}))
    raise InputError(f"{stuck}: cannot be removed from DVC's queue; `dvc queue status` lists it")


def _kill(revision: str) -> None:
    """Kill a running task together with its stage, which `dvc queue kill` would leave running."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if "exec-run" in words and any(Path(word).name.startswith(revision) for word in words):
                for one in (*process.children(recursive=True), process):
                    one.kill()


def _check_progress(
    waiting: Mapping[str, object], tasks: Mapping[str, str], polls_without_worker: int
) -> None:
    """Raise InputError if waiting would never end."""
    gone = [name for name in waiting if name not in tasks]
    if gone or polls_without_worker >= _PATIENCE:
        why = f"no longer in DVC's queue: {', '.join(gone)}" if gone else "DVC's worker has died"
        raise InputError(f"{why}; finished results are kept, run the same command again")


def _add_to_queue(experiments: Mapping[str, Experiment]) -> None:
    status = _status()
    tasks = _tasks(status)
    pending = {"Queued", "Running"} if _count_workers(status) else {"Queued"}
    new = [name for name in experiments if tasks.get(name) not in pending]
    # What failed or died with its worker would hide the new task of the same name.
    if ended := [name for name in new if name in tasks]:
        _remove_tasks(ended)
    for name in new:
        options = experiments[name].options
        output_of("dvc", "exp", "run", "--queue", "--name", name, *options)


def _start_worker(jobs: int) -> None:
    """Start DVC's worker; DVC starts none if one is alive."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    limits = dict.fromkeys(THREADS, threads) if jobs > 1 else {}
    output_of("dvc", "queue", "start", "--jobs", str(jobs), variables=limits)


def _status() -> str:
    return output_of("dvc", "queue", "status")


class _Task(NamedTuple):
    """A row of `dvc queue status`: the first digits of a Git commit, a name and a status."""

    revision: str
    name: str
    status: str


def _all_tasks(status: str) -> list[_Task]:
    """Return the named tasks in the queue; several may have the same name."""
    # Columns: task, name, words of a time, status.
    rows = [words for words in map(str.split, status.splitlines()) if len(words) > 3]
    return [_Task(row[0], row[1], row[-1]) for row in rows if row[-1] in _STATUSES]


def _tasks(status: str) -> dict[str, str]:
    """Return the status of each named task in the queue."""
    return {task.name: task.status for task in _all_tasks(status)}


def _count_workers(status: str) -> int:
    return sum(int(count) for count in re.findall(r"(\d+) (?:active|idle)", status))
