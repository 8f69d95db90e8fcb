"""One experiment of a sweep, in a clone of its own, on whatever machine has room for it.

Ray sends this module to its workers by value, since a worker's own copy may be of another commit:
it imports nothing of this project and nothing that a worker lacks.
"""

import fcntl
import os
import platform
import shutil
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
# The server may be busy with other tasks.
_TRIES = 3
_PAUSE_SECONDS = 5.0
_LOG_LINES = 200

# Runs a command until it ends, or until the process that reads the other end of stdin is gone: what
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
class Source:
    """What tasks take and where they put their results.

    Attributes:
        git: URL of the Git repository, as the workers reach it.
        commit: that the experiments start from.
        remote: name of the DVC remote in the commit's configuration.
        remote_url: where that remote is, if the commit's configuration does not say so.
    """

    git: str
    commit: str
    remote: str
    remote_url: str | None = None

    def reference(self, name: str = "*") -> str:
        """Git reference that DVC gives an experiment of this commit; by default of any."""
        return f"refs/exps/{self.commit[:2]}/{self.commit[2:]}/{name}"


@dataclass(frozen=True)
class Task:
    """One experiment.

    Attributes:
        name: of the experiment.
        options: of `dvc exp run`.
        source: of code and data, and where results go.
        threads: that TensorFlow may start.
        scratch: folder for clones and the cache that a machine's tasks share; None = the system's.
        packages: versions by name that a worker must have, so that all results are of the same.
    """

    name: str
    options: tuple[str, ...]
    source: Source
    threads: int
    scratch: str | None
    packages: dict[str, str]


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


def installed(names: list[str]) -> dict[str, str]:
    """Versions of some packages here, and of Python; those that are not installed are left out."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _run(task: Task, tell: Callable[[str], None], lines: list[str]) -> str:
    has = installed([name for name in task.packages if name != "python"])
    for name, wanted in task.packages.items():
        if has.get(name) != wanted:
            raise _StepFailedError(
                f"{name} {has.get(name, 'missing')} on {platform.node()}, {wanted} where the sweep "
                "was started: install the same requirements on all machines"
            )
    source = task.source
    with _scratch(task) as (folder, cache):
        shell = _Shell(folder, task.threads, tell, lines)
        tell("clones")
        reference = source.reference(task.name)
        if reference in shell.network("git", "ls-remote", source.git, reference):
            return "found"
        _clone(shell, source, cache)
        tell("pulls")
        shell.network("dvc", "pull", "--quiet", "--run-cache", "--allow-missing", *SHARED_STAGES)
        tell("starts")
        shell.run("dvc", "exp", "run", "--pull", "--name", task.name, *task.options)
        tell("pushes")
        shell.network("dvc", "push", "--run-cache")
        shell.network("dvc", "exp", "push", "--no-cache", "origin", task.name)
    return "done"


def _clone(shell: "_Shell", source: Source, cache: Path) -> None:
    """The commit alone, without what came before it."""
    shell.run("git", "init", "--quiet")
    shell.run("git", "remote", "add", "origin", source.git)
    shell.network("git", "fetch", "--quiet", "--depth", "1", "origin", source.commit)
    shell.run("git", "checkout", "--quiet", "--detach", "FETCH_HEAD")
    url = f"    url = {source.remote_url}\n" if source.remote_url is not None else ""
    # As `dvc config --local` would write it, which takes a second for these lines.
    (shell.folder / ".dvc/config.local").write_text(
        f"[core]\n    remote = {source.remote}\n[cache]\n    dir = {cache}\n"
        f"['remote \"{source.remote}\"']\n{url}    verify = true\n",
        encoding="utf-8",
    )


@contextmanager
def _scratch(task: Task) -> Iterator[tuple[Path, Path]]:
    """A folder for the clone, and one for DVC's cache that all tasks of this machine share."""
    top = Path(task.scratch or tempfile.gettempdir()) / f"iic-sweep-{os.getuid()}"
    top.mkdir(mode=0o700, parents=True, exist_ok=True)
    if top.stat().st_uid != os.getuid():
        raise PermissionError(f"{top}: belongs to another user; choose another --scratch")
    _remove_abandoned(top)
    folder = Path(tempfile.mkdtemp(prefix="task-", dir=top))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            clone = folder / "clone"
            clone.mkdir()
            yield clone, top / "cache"
        finally:
            shutil.rmtree(folder, ignore_errors=True)


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

    def __init__(
        self, folder: Path, threads: int, tell: Callable[[str], None], lines: list[str]
    ) -> None:
        self.folder, self._tell, self._lines = folder, tell, lines
        # The interpreter's own `dvc` comes first, as `make` has it.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        self._environment = {
            **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            **dict.fromkeys(THREADS, str(threads)),
            "PATH": path,
            "DVC_NO_ANALYTICS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            # A worker may have no identity for the commits that DVC makes of experiments.
            "GIT_AUTHOR_NAME": "iic sweep",
            "GIT_AUTHOR_EMAIL": "iic-sweep@localhost",
            "GIT_COMMITTER_NAME": "iic sweep",
            "GIT_COMMITTER_EMAIL": "iic-sweep@localhost",
        }

    def network(self, *command: str) -> str:
        """Run a command that talks to a server, some times if need be."""
        for _ in range(_TRIES - 1):
            try:
                return self.run(*command)
            except _StepFailedError:
                time.sleep(_PAUSE_SECONDS)
        return self.run(*command)

    def run(self, *command: str) -> str:
        """Run a command; return what it printed."""
        self._lines.append(f"$ {' '.join(command)}\n")
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
                self._lines.append(line)
                if line.startswith("Running stage '"):
                    self._tell(f"runs {line.split(chr(39))[1]}")
        if process.returncode != 0:
            raise _StepFailedError(f"exit status {process.returncode}: {' '.join(command)}")
        return "".join(self._lines[first:])
