"""One experiment of a sweep, run in its own clone on a worker machine.

Ray sends this module to the workers by value, since a worker's copy may be of another commit.
Therefore it imports only the standard library.
"""

import fcntl
import os
import platform
import random
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path

# Variables for the number of threads of TensorFlow and its libraries.
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
# Stages whose outputs most variants share.
SHARED_STAGES = ("source", "download", "augment", "neighbors")
# Attempts while a server is busy or restarting; the pauses take 78 to 155 seconds in total.
_TRIES = 6
_PAUSE_SECONDS = 5.0
_LOG_LINES = 2000

# Program that runs a command and kills it when the other end of stdin closes. Otherwise, processes
# of DVC would go on for hours on a machine whose worker was killed.
_WATCH = """
import os, signal, subprocess, sys, threading
def watch():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
os._exit(subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode & 255)
"""


@dataclass(frozen=True)
class Checkout:
    """Commit that tasks check out, and remotes for their data and results.

    Attributes:
        git: URL of the Git repository, reachable from the workers.
        commit: Full hash of the commit.
        remote: Name of the DVC remote.
        remote_url: URL of the DVC remote; None = the one in the commit's configuration.
        run_cache: Whether to reuse trainings from the run-cache of the DVC remote.
        prefix: Folder of the project in the Git repository; empty = its top folder.
    """

    git: str
    commit: str
    remote: str
    remote_url: str | None = None
    run_cache: bool = True
    prefix: str = ""

    def reference(self, name: str = "*") -> str:
        """Return the Git reference of an experiment of this commit; by default a glob for all."""
        return f"refs/exps/{self.commit[:2]}/{self.commit[2:]}/{name}"


@dataclass(frozen=True)
class Place:
    """Resources of a task on its machine, and packages that the machine must have.

    Attributes:
        threads: Number of threads that TensorFlow starts.
        gpus: GPUs per task; may be fractional.
        scratch: Folder for clones and for the cache that tasks of a machine share; None = the
            system's temporary folder.
        packages: Required versions of packages, by name.
    """

    threads: int
    gpus: float
    scratch: str | None
    packages: Mapping[str, str]


@dataclass(frozen=True)
class Task:
    """An experiment to run.

    Attributes:
        name: Name of the experiment.
        options: Options of `dvc exp run`.
        checkout: Commit and remotes of the sweep.
        place: Resources of the task and requirements on its machine.
    """

    name: str
    options: tuple[str, ...]
    checkout: Checkout
    place: Place


@dataclass(frozen=True)
class Outcome:
    """Outcome of a task.

    Attributes:
        name: Name of the experiment.
        status: "done", "found" (the experiment already had results) or "failed".
        machine: Name or address of the machine that ran the task.
        seconds: Duration of the task in seconds.
        log: Last lines of the output.
        steps: Duration of each step in seconds, by name.
    """

    name: str
    status: str
    machine: str
    seconds: float
    log: str = ""
    steps: Mapping[str, float] = field(default_factory=dict)


class _StepFailedError(Exception):
    """A command has failed; the log has its output."""


def run(task: Task, on_step: Callable[[str], None]) -> Outcome:
    """Run an experiment and publish its results; do nothing if results are already published.

    The Git reference is pushed last, so that a visible experiment is complete.

    Args:
        task: Experiment to run.
        on_step: Function called with the name of each step as it begins.

    Returns:
        Outcome of the task; a failure is an outcome, too.
    """
    begins, lines = [("", time.monotonic())], list[str]()

    def note(step: str) -> None:
        begins.append((step, time.monotonic()))
        on_step(step)

    try:
        status = _run(task, note, lines)
    except (_StepFailedError, OSError) as error:
        status = "failed"
        lines.append(f"{error}\n")
    begins.append(("", time.monotonic()))
    return Outcome(
        task.name,
        status,
        platform.node(),
        seconds=begins[-1][1] - begins[0][1],
        log="".join(lines[-_LOG_LINES:]),
        steps={step: after - start for (step, start), (_, after) in pairwise(begins) if step},
    )


def prepare(checkout: Checkout, place: Place) -> str:
    """Check that tasks can run on this machine and pull the shared data into its cache.

    Args:
        checkout: Commit and remotes of the sweep.
        place: Resources and requirements of a task.

    Returns:
        Reason why no task can run, or an empty string.
    """
    lines: list[str] = []
    try:
        _check_packages(place.packages)
        with _scratch(place) as folder:
            shell = _Shell(folder / "clone", place, lines)
            _clone(shell, checkout)
            _pull_shared(shell)
            shell.network("git", "push", "--quiet", "--dry-run", "origin", "HEAD:refs/exps/any")
    except (_StepFailedError, OSError) as error:
        return " ".join("".join([*lines[-5:], str(error)]).split())
    return ""


def installed(names: list[str]) -> dict[str, str]:
    """Return the versions of Python and of those of the named packages that are installed."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _check_packages(packages: Mapping[str, str]) -> None:
    here = installed([name for name in packages if name != "python"])
    for name, wanted in packages.items():
        if here.get(name) != wanted:
            raise _StepFailedError(
                f"{name} {here.get(name, 'missing')} on {platform.node()}, but {wanted} where the "
                "sweep was started; install the same requirements on all machines"
            )


def _run(task: Task, on_step: Callable[[str], None], lines: list[str]) -> str:
    _check_packages(task.place.packages)
    checkout = task.checkout
    with _scratch(task.place) as folder:
        shell = _Shell(folder / "clone", task.place, lines)
        on_step("clones")
        reference = checkout.reference(task.name)
        if reference in shell.network("git", "ls-remote", checkout.git, reference):
            return "found"
        _clone(shell, checkout)
        on_step("pulls")
        _pull_shared(shell)
        on_step("starts")
        _run_experiment(shell, task, folder / "cache/runs", on_step)
        on_step("pushes")
        shell.network("dvc", "push", "dvc.yaml", *_if(checkout.run_cache, "--run-cache"))
        shell.network("dvc", "exp", "push", "--no-cache", "origin", task.name)
    return "done"


def _clone(shell: "_Shell", checkout: Checkout) -> None:
    """Clone the commit without its history, and enter the project's folder in it."""
    shell.run("git", "init", "--quiet")
    shell.run("git", "remote", "add", "origin", checkout.git)
    shell.network("git", "fetch", "--quiet", "--depth", "1", "origin", checkout.commit)
    shell.run("git", "checkout", "--quiet", "--detach", "FETCH_HEAD")
    cache = shell.folder.parent / "cache"
    shell.folder /= checkout.prefix
    url = f'    url = "{checkout.remote_url}"\n' if checkout.remote_url is not None else ""
    # The same lines as from `dvc config --local`, which would take a second.
    (shell.folder / ".dvc/config.local").write_text(
        f'[core]\n    remote = {checkout.remote}\n[cache]\n    dir = "{cache}"\n'
        f"['remote \"{checkout.remote}\"']\n{url}    verify = true\n",
        encoding="utf-8",
    )


def _pull_shared(shell: "_Shell") -> None:
    """Pull the outputs of the shared stages that the remote has."""
    shell.network("dvc", "pull", "--quiet", "--allow-missing", *SHARED_STAGES)


def _run_experiment(
    shell: "_Shell", task: Task, records: Path, on_step: Callable[[str], None]
) -> None:
    """Run the experiment; keep only new records in the run-cache, since DVC would push all."""
    pulled: list[Path] | None = None

    def follow(line: str) -> None:
        nonlocal pulled
        if line.startswith("Running stage '"):
            if pulled is None:
                pulled = _files(records)
            on_step(f"runs {line.split(chr(39))[1]}")

    # `--pull` fetches the run-cache first, and then the outputs of trainings in it.
    pull = _if(task.checkout.run_cache, "--pull")
    shell.run("dvc", "exp", "run", *pull, "--name", task.name, *task.options, on_line=follow)
    for record in _files(records) if pulled is None else pulled:
        record.unlink()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _if(condition: bool, word: str) -> list[str]:
    return [word] if condition else []


@contextmanager
def _scratch(place: Place) -> Iterator[Path]:
    """Create a folder with an empty `clone` and a `cache` that this machine's tasks share."""
    top = Path(place.scratch or tempfile.gettempdir()) / f"iic-sweep-{os.getuid()}"
    top.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = top.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or not stat.S_ISDIR(status.st_mode):
        raise PermissionError(f"{top}: open to other users; remove it or choose another --scratch")
    (top / "files").mkdir(exist_ok=True)
    # Otherwise another task could remove the new folder before it is locked.
    with (top / "lock").open("w") as all_tasks:
        fcntl.flock(all_tasks, fcntl.LOCK_EX)
        _remove_abandoned(top)
        folder = Path(tempfile.mkdtemp(prefix="task-", dir=top))
        lock = (folder / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        (folder / "clone").mkdir()
        (folder / "cache").mkdir()
        (folder / "cache/files").symlink_to(top / "files")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _remove_abandoned(top: Path) -> None:
    """Remove the folders of ended processes, which no longer hold their lock."""
    for file in top.glob("task-*/lock"):
        try:
            with file.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(file.parent, ignore_errors=True)
        except OSError:
            continue  # The task is running, or its folder was removed meanwhile.


class _Shell:
    """Runs commands in a folder and appends their output to a log.

    Attributes:
        folder: Working folder of the commands.
    """

    def __init__(self, folder: Path, place: Place, lines: list[str]) -> None:
        self.folder, self._lines = folder, lines
        self._environment = {
            **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            **environment(),
            **dict.fromkeys(THREADS, str(place.threads)),
            **_gpu_environment(place.gpus),
            # DVC unpickles files in this folder, and all users can write to the default one.
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
            # DVC commits experiments, and a worker may have no Git identity.
            "GIT_AUTHOR_NAME": "iic sweep",
            "GIT_AUTHOR_EMAIL": "iic-sweep@localhost",
            "GIT_COMMITTER_NAME": "iic sweep",
            "GIT_COMMITTER_EMAIL": "iic-sweep@localhost",
        }

    def network(self, *command: str) -> str:
        """Run a command that contacts a server; retry with growing pauses."""
        for attempt in range(_TRIES - 1):
            try:
                return self.run(*command)
            except _StepFailedError:
                # Random, since all tasks of a sweep may fail at the same moment.
                time.sleep(_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - no secret
        return self.run(*command)

    def run(self, *command: str, on_line: Callable[[str], None] = lambda _: None) -> str:
        """Run a command and return its output.

        Args:
            command: Program and arguments.
            on_line: Function called with each line of the output.

        Raises:
            _StepFailedError: The exit status is not 0.
        """
        shown = " ".join(command)
        self._keep(f"$ {shown}\n")
        first = len(self._lines)
        with subprocess.Popen(  # noqa: S603 - a list, no shell
            [sys.executable, "-c", _WATCH, *command],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            for line in process.stdout or ():
                self._keep(line)
                on_line(line)
        if process.returncode != 0:
            raise _StepFailedError(masked(f"exit status {process.returncode}: {shown}"))
        return "".join(self._lines[first:])

    def _keep(self, line: str) -> None:
        self._lines.append(masked(line))


def environment() -> dict[str, str]:
    """Return variables that put this interpreter's `dvc` first on PATH and prevent prompts."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "DVC_NO_ANALYTICS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def masked(text: str) -> str:
    """Return the text without user names and passwords in URLs."""
    return re.sub(r"://[^/@\s]+@", "://…@", text)


def _gpu_environment(gpus: float) -> dict[str, str]:
    """Return TensorFlow's variables for a task; Ray itself sets which GPUs the task sees."""
    if gpus == 0:
        return {"CUDA_VISIBLE_DEVICES": ""}
    return {"TF_FORCE_GPU_ALLOW_GROWTH": "true"} if gpus < 1 else {}
