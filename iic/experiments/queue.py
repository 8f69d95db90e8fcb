"""DVC's own experiment queue: what is missing is put in, run by DVC's worker, and waited for.

The worker is a process of its own. It goes on when the one that waits is stopped, and whoever waits
next finds what has finished, what still runs and what is left.
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

from iic.core.errors import InputError
from iic.experiments.grid import Experiment
from iic.experiments.sweep.task import THREADS

# Asking DVC takes a second of one core, which the experiments could use.
_POLL_SECONDS = 10.0
# A worker takes seconds to start; one that is not there after so many looks has died.
_PATIENCE = 6


def run_missing(experiments: Sequence[Experiment], jobs: int = 1) -> Iterator[Experiment]:
    """Run the experiments that have no result yet; yield each once it has, earlier ones first.

    Args:
        experiments: wanted.
        jobs: that run at once; each gets its share of the processor's cores.

    Raises:
        InputError: some have failed, raised after the others have finished; or tasks were
            removed from the queue, or its worker has died.
    """
    finished = _finished() if experiments else set()
    yield from (experiment for experiment in experiments if experiment.name in finished)
    waiting = {e.name: e for e in experiments if e.name not in finished}
    failed = []
    looks_without_worker = 0
    if waiting:
        _put_in_queue(waiting)
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
        looks_without_worker = 0 if _workers(status) else looks_without_worker + 1
        if waiting:
            _check(waiting, tasks, looks_without_worker)
            time.sleep(_POLL_SECONDS)
    if failed:
        raise InputError(f"failed: {', '.join(failed)}; `dvc queue logs NAME` says why")


def _check(waiting: Mapping[str, object], tasks: Mapping[str, str], looks: int) -> None:
    """Raise InputError if waiting would never end."""
    gone = [name for name in waiting if name not in tasks]
    if gone or looks >= _PATIENCE:
        why = f"no longer in DVC's queue: {', '.join(gone)}" if gone else "DVC's worker has died"
        raise InputError(f"{why}; what was finished is kept, run this again for the rest")


def remove_results(experiments: Sequence[Experiment]) -> None:
    """Forget what the experiments gave, so that they run again; the run-cache still knows it."""
    for name in {e.name for e in experiments} & _finished():
        _dvc("exp", "remove", name)


def _put_in_queue(experiments: dict[str, Experiment]) -> None:
    status = _status()
    tasks = _tasks(status)
    alive = {"Queued", "Running"} if _workers(status) else {"Queued"}
    for name, experiment in experiments.items():
        if tasks.get(name) in alive:
            continue
        if name in tasks:
            # Failed, or cut off with its worker; it would hide the new task of that name.
            _dvc("queue", "kill", "--force", name, check=False)
            _dvc("queue", "remove", name, check=False)
        _dvc("exp", "run", "--queue", "--name", name, *experiment.options)


def _start_worker(jobs: int) -> None:
    """DVC starts none beside one that is alive."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    limits = dict.fromkeys(THREADS, threads) if jobs > 1 else {}
    # The worker keeps what it inherits open: a pipe would only end with it.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(  # noqa: S603 - a list, no shell
            ["dvc", "queue", "start", "--jobs", str(jobs)],  # noqa: S607 - first on PATH
            env=os.environ | limits,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            check=False,
        )
        if done.returncode != 0:
            said.seek(0)
            why = " ".join(said.read().decode(errors="replace").split())
            raise InputError(f"dvc queue start: {why}")


def _finished() -> set[str]:
    """Names of the experiments that have results."""
    return set(_dvc("exp", "list", "--all-commits", "--name-only").split())


def _status() -> str:
    """What DVC tells of its queue and its workers."""
    return _dvc("queue", "status")


def _tasks(status: str) -> dict[str, str]:
    """Status of each task in the queue that has a name."""
    # Task, name, the words of a time, status.
    lines = (line.split() for line in status.splitlines())
    return {words[1]: words[-1] for words in lines if len(words) > 3}


def _workers(status: str) -> int:
    """How many workers are alive."""
    return sum(int(count) for count in re.findall(r"(\d+) (?:active|idle)", status))


def _dvc(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(  # noqa: S603 - a list, no shell
        ["dvc", *arguments],  # noqa: S607 - the environment's own, first on PATH
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode != 0:
        why = " ".join(done.stderr.split())
        raise InputError(f"dvc {' '.join(arguments)}: {why or 'failed'}; what was finished is kept")
    return done.stdout
