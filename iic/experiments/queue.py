"""Run experiments in DVC's queue: add the missing ones, start DVC's worker, wait for results.

The worker is a separate process. It goes on if the waiting process is stopped. The next call
finds which experiments have finished, which are running and which are left.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence

from iic.core.errors import InputError
from iic.experiments.checks import check_ready
from iic.experiments.commands import output_of, try_to_run
from iic.experiments.grid import Experiment
from iic.experiments.sweep.task import THREADS

# `dvc queue status` takes a second of one core, which the experiments could use.
_POLL_SECONDS = 10.0
# Polls without a worker after which it counts as dead; it takes seconds to start.
_PATIENCE = 6


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
    finished = _finished() if experiments else set()
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
    """Remove the experiments' results, so that they run again; the run-cache keeps its entries."""
    check_ready(experiment.params for experiment in experiments)
    for name in {e.name for e in experiments} & _finished():
        output_of("dvc", "exp", "remove", name)


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
    for name, experiment in experiments.items():
        if tasks.get(name) in pending:
            continue
        if name in tasks:
            # It failed or died with its worker, and would hide the new task of the same name.
            try_to_run("dvc", "queue", "kill", "--force", name)
            try_to_run("dvc", "queue", "remove", name)
        output_of("dvc", "exp", "run", "--queue", "--name", name, *experiment.options)


def _start_worker(jobs: int) -> None:
    """Start DVC's worker; DVC starts none if one is alive."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    limits = dict.fromkeys(THREADS, threads) if jobs > 1 else {}
    output_of("dvc", "queue", "start", "--jobs", str(jobs), variables=limits)


def _finished() -> set[str]:
    """Return the names of the experiments that have results."""
    return set(output_of("dvc", "exp", "list", "--all-commits", "--name-only").split())


def _status() -> str:
    return output_of("dvc", "queue", "status")


def _tasks(status: str) -> dict[str, str]:
    """Return the status of each named task in the queue."""
    # Columns: task, name, words of a time, status.
    lines = (line.split() for line in status.splitlines())
    return {words[1]: words[-1] for words in lines if len(words) > 3}


def _count_workers(status: str) -> int:
    return sum(int(count) for count in re.findall(r"(\d+) (?:active|idle)", status))
