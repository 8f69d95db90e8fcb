"""One experiment of a sweep, in a clone of its own, on whatever machine has room for it.

Ray sends this module to its workers by value, since a worker's own copy may be of another commit:
it imports nothing of this project and nothing that a worker lacks.
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

# How many threads TensorFlow and the libraries below it start.
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
# Stages whose outputs all variants share.
SHARED_STAGES = ("download", "augment", "neighbors")
# A server may be busy with other tasks, or start anew: two to five minutes in all.
_TRIES = 6
_PAUSE_SECONDS = 5.0
_LOG_LINES = 2000

# Runs a command until it ends, or until the process that holds the other end of stdin is gone: what
# DVC has started would else go on for hours on a machine whose worker was killed.
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
    """What tasks take and where they put their results.

    Attributes:
        git: URL of the Git repository, as the workers reach it.
        commit: that the experiments start from.
        remote: name of the DVC remote in the commit's configuration.
        remote_url: where that remote is, if the commit's configuration does not say so.
        run_cache: whether trainings that the DVC remote knows are taken from there.
    """

    git: str
    commit: str
    remote: str
    remote_url: str | None = None
    run_cache: bool = True

    def reference(self, name: str = "*") -> str:
        """Git reference that DVC gives an experiment of this commit; by default of any."""
        return f"refs/exps/{self.commit[:2]}/{self.commit[2:]}/{name}"


@dataclass(frozen=True)
class Place:
    """What a machine must have, and what of it a task may use.

    Attributes:
        threads: that TensorFlow may start.
        gpus: that the task has, or a share of one.
        scratch: folder for clones and the cache that a machine's tasks share; None = the system's.
        packages: versions by name, so that all results are of the same.
    """

    threads: int
    gpus: float
    scratch: str | None
    packages: Mapping[str, str]


@dataclass(frozen=True)
class Task:
    """One experiment.

    Attributes:
        name: of the experiment.
        options: of `dvc exp run`.
        checkout: of code and data, and where results go.
        place: what it takes of a machine.
    """

    name: str
    options: tuple[str, ...]
    checkout: Checkout
    place: Place


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        name: of the experiment.
        status: "done", "found" (it had results already) or "failed".
        machine: that ran it.
        seconds: that it took.
        log: the last lines of what was printed.
        steps: seconds of each step, by what was told of it.
    """

    name: str
    status: str
    machine: str
    seconds: float
    log: str = ""
    steps: Mapping[str, float] = field(default_factory=dict)


class _StepFailedError(Exception):
    """A command has failed; it has said why in the log."""


def run(task: Task, tell: Callable[[str], None]) -> Outcome:
    """Run one experiment and publish what it gave; do nothing if it has results already.

    The Git reference is published last, so that an experiment that can be seen is complete.

    Args:
        task: the experiment.
        tell: is called with each step as it begins.
    """
    begins, lines = [("", time.monotonic())], list[str]()

    def note(step: str) -> None:
        begins.append((step, time.monotonic()))
        tell(step)

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
    """Why no task can run on this machine, or nothing; its cache then has the shared data."""
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
    """Versions of some packages here, and of Python; those that are not installed are left out."""
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
                f"{name} {here.get(name, 'missing')} on {platform.node()}, {wanted} where the "
                "sweep was started: install the same requirements on all machines"
            )


def _run(task: Task, tell: Callable[[str], None], lines: list[str]) -> str:
    _check_packages(task.place.packages)
    checkout = task.checkout
    with _scratch(task.place) as folder:
        shell = _Shell(folder / "clone", task.place, lines)
        tell("clones")
        reference = checkout.reference(task.name)
        if reference in shell.network("git", "ls-remote", checkout.git, reference):
            return "found"
        _clone(shell, checkout)
        tell("pulls")
        _pull_shared(shell)
        tell("starts")
        _run_experiment(shell, task, folder / "cache/runs", tell)
        tell("pushes")
        shell.network("dvc", "push", *_if(checkout.run_cache, "--run-cache"))
        shell.network("dvc", "exp", "push", "--no-cache", "origin", task.name)
    return "done"


def _clone(shell: "_Shell", checkout: Checkout) -> None:
    """The commit alone, without what came before it."""
    shell.run("git", "init", "--quiet")
    shell.run("git", "remote", "add", "origin", checkout.git)
    shell.network("git", "fetch", "--quiet", "--depth", "1", "origin", checkout.commit)
    shell.run("git", "checkout", "--quiet", "--detach", "FETCH_HEAD")
    cache = shell.folder.parent / "cache"
    url = f'    url = "{checkout.remote_url}"\n' if checkout.remote_url is not None else ""
    # As `dvc config --local` would write it, which takes a second for these lines.
    (shell.folder / ".dvc/config.local").write_text(
        f'[core]\n    remote = {checkout.remote}\n[cache]\n    dir = "{cache}"\n'
        f"['remote \"{checkout.remote}\"']\n{url}    verify = true\n",
        encoding="utf-8",
    )


def _pull_shared(shell: "_Shell") -> None:
    """The data that all variants share, as far as the remote has it."""
    shell.network("dvc", "pull", "--quiet", "--allow-missing", *SHARED_STAGES)


def _run_experiment(
    shell: "_Shell", task: Task, records: Path, tell: Callable[[str], None]
) -> None:
    """Run it; only its own records are left in the run-cache, since DVC would push all again."""
    pulled: list[Path] | None = None

    def heard(line: str) -> None:
        nonlocal pulled
        if line.startswith("Running stage '"):
            if pulled is None:
                pulled = _files(records)
            tell(f"runs {line.split(chr(39))[1]}")

    # `--pull` brings the run-cache first, and then outputs of trainings that it knows.
    pull = _if(task.checkout.run_cache, "--pull")
    shell.run("dvc", "exp", "run", *pull, "--name", task.name, *task.options, heard=heard)
    for record in _files(records) if pulled is None else pulled:
        record.unlink()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _if(condition: bool, word: str) -> list[str]:
    return [word] if condition else []


@contextmanager
def _scratch(place: Place) -> Iterator[Path]:
    """A folder with an empty `clone`, and with a `cache` whose files all tasks here share."""
    top = Path(place.scratch or tempfile.gettempdir()) / f"iic-sweep-{os.getuid()}"
    top.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = top.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or not stat.S_ISDIR(status.st_mode):
        raise PermissionError(f"{top}: open to other users; remove it or choose another --scratch")
    (top / "files").mkdir(exist_ok=True)
    # Else another task could take the new folder for an abandoned one.
    with (top / "lock").open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
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
    """Clones of tasks whose process is gone, and with it the lock."""
    for file in top.glob("task-*/lock"):
        try:
            with file.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(file.parent, ignore_errors=True)
        except OSError:
            continue  # At work, or gone meanwhile.


class _Shell:
    """Runs commands in a folder and keeps what they print.

    Attributes:
        folder: in which they run.
    """

    def __init__(self, folder: Path, place: Place, lines: list[str]) -> None:
        self.folder, self._lines = folder, lines
        self._environment = {
            **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            **environment(),
            **dict.fromkeys(THREADS, str(place.threads)),
            **_gpu_environment(place.gpus),
            # DVC's own is open to all users of a machine, and it unpickles what it finds there.
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
            # A worker may have no identity for the commits that DVC makes of experiments.
            "GIT_AUTHOR_NAME": "iic sweep",
            "GIT_AUTHOR_EMAIL": "iic-sweep@localhost",
            "GIT_COMMITTER_NAME": "iic sweep",
            "GIT_COMMITTER_EMAIL": "iic-sweep@localhost",
        }

    def network(self, *command: str) -> str:
        """Run a command that talks to a server, again after pauses if need be."""
        for attempt in range(_TRIES - 1):
            try:
                return self.run(*command)
            except _StepFailedError:
                # All tasks of a sweep may have met the same fault at once.
                time.sleep(_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - no secret
        return self.run(*command)

    def run(self, *command: str, heard: Callable[[str], None] = lambda _: None) -> str:
        """Run a command; return what it printed.

        Args:
            command: words.
            heard: is called with each line that it prints.
        """
        said = " ".join(command)
        self._keep(f"$ {said}\n")
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
                heard(line)
        if process.returncode != 0:
            raise _StepFailedError(masked(f"exit status {process.returncode}: {said}"))
        return "".join(self._lines[first:])

    def _keep(self, line: str) -> None:
        self._lines.append(masked(line))


def environment() -> dict[str, str]:
    """The interpreter's own `dvc` first on PATH, as `make` has it; nothing that asks or notes."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "DVC_NO_ANALYTICS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def masked(text: str) -> str:
    """The text without user names and passwords in URLs."""
    return re.sub(r"://[^/@\s]+@", "://…@", text)


def _gpu_environment(gpus: float) -> dict[str, str]:
    """Ray shows a task its own GPUs; none means all to TensorFlow, and so does a share of one."""
    if gpus == 0:
        return {"CUDA_VISIBLE_DEVICES": ""}
    return {"TF_FORCE_GPU_ALLOW_GROWTH": "true"} if gpus < 1 else {}
