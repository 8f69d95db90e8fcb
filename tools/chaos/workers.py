"""Trials in a process of their own, which may crash, hang or run out of memory."""

import logging
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from iic.core.errors import InputError
from tools.chaos.entries import Door, check_line

# MB beyond what the process has before; a picture of 64 million pixels takes most.
MEMORY = 2000
# Of a trial.
SECONDS = 30.0
ACCEPTED, REFUSED = "accepted", "refused"
_WRITES = frozenset("wax+")
# What no file may ever bring about, by the names of Python's audit events.
_FORBIDDEN = frozenset(
    {
        *("pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn"),
        *("subprocess.Popen", "socket.bind", "socket.connect"),
    }
)
_watched: list[str] | None = None


def judge(door: Door, folder: Path) -> str:
    """ACCEPTED or REFUSED, else what went wrong, in a line.

    Args:
        door: as those of tools.chaos.entries.
        folder: of the files.
    """
    begin, before = time.monotonic(), _memory("VmRSS")
    with _watching() as seen:
        outcome = _outcome(door, folder)
    if seen:
        return f"{outcome}, but {seen[0]}"
    if (grown := _memory("VmHWM") - before) > MEMORY:
        return f"{outcome}, but took {grown:.0f} MB"
    seconds = time.monotonic() - begin
    return outcome if seconds < SECONDS else f"{outcome}, but took {seconds:.0f} s"


def _outcome(door: Door, folder: Path) -> str:
    with _listening() as said:
        outcome = _ending(door, folder)
    try:
        for line in said:
            check_line(line)
    except AssertionError as otherwise:
        return f"{outcome}, but {otherwise}"
    return outcome


class _Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What our own code says meanwhile beside its errors."""
    listener, ours = _Listener(), logging.getLogger("iic")
    before = ours.level
    ours.addHandler(listener)
    ours.setLevel(logging.INFO)
    try:
        yield listener.said
    finally:
        ours.removeHandler(listener)
        ours.setLevel(before)


def _ending(door: Door, folder: Path) -> str:
    try:
        door(folder)
    except InputError as error:
        try:
            check_line(str(error))
        except AssertionError as otherwise:
            return str(otherwise)
        return REFUSED
    except BaseException as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return ACCEPTED


@contextmanager
def _watching() -> Iterator[list[str]]:
    """What happens meanwhile that should not: files written outside of the temporary folder."""
    global _watched
    _begin_watch()
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        # The peak of memory begins anew.
        reset.write_text("5")
    seen: list[str] = []
    _watched = seen
    try:
        yield seen
    finally:
        _watched = None


@cache
def _begin_watch() -> None:
    """Once: no audit hook can be taken off again."""
    sys.addaudithook(_watch)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is None:
        return
    if event in _FORBIDDEN:
        _watched.append(f"{event} {str(arguments)[:100]}")
    elif event == "open" and _WRITES & set(arguments[1] or ""):
        place = str(arguments[0])
        if not place.startswith((tempfile.gettempdir(), os.devnull)):
            _watched.append(f"wrote {place[:100]}")


def _memory(key: str) -> float:
    """A line of /proc/self/status in MB; 0 where there is none."""
    status = Path("/proc/self/status")
    rows = status.read_text().splitlines() if status.exists() else []
    return sum(int(row.split()[1]) * 1024 / 1e6 for row in rows if row.startswith(f"{key}:"))


class Worker:
    """A process that judges one trial after the other, and another one after it has died."""

    def __init__(self) -> None:
        """Start none yet."""
        self._pool: ProcessPoolExecutor | None = None
        # All that it may write to.
        self._scratch = tempfile.TemporaryDirectory()

    def judge(self, door: Door, folder: Path) -> str:
        """As the function of this name, but a crash or a hang is an outcome too."""
        if self._pool is None:
            begin = (_begin, (self._scratch.name,))
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), *begin)
        try:
            return self._pool.submit(judge, door, folder).result(timeout=2 * SECONDS)
        except BrokenProcessPool:
            self._stop()
            return "the process died"
        except TimeoutError:
            self._stop()
            return "it did not end"

    def _stop(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=True)

    def __enter__(self) -> "Worker":
        """Use it in a block, which ends the process."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._stop()
        self._scratch.cleanup()


def _begin(scratch: str) -> None:
    """Memory is limited to twice what is allowed: a bomb ends its trial and not the machine."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.dont_write_bytecode, tempfile.tempdir = True, scratch
    # Progress bars, and what libraries say beside their errors.
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    import iic.model.network  # noqa: F401 - TensorFlow reserves much for itself

    limit = int(_memory("VmSize") * 1e6 + 2 * MEMORY * 1e6)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
