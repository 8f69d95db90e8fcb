"""Trials in a process of their own, which may crash, hang or run out of memory."""

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
from logging import INFO, getLogger
from logging.handlers import BufferingHandler
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self

from iic.core.errors import InputError
from tools.chaos.entries import Entry, check_line

# Limits of a trial, in MB of additional memory (an image of 64 million pixels needs most of it) and
# in seconds.
MEMORY, SECONDS = 2000, 30.0
ACCEPTED, REFUSED = "accepted", "refused"
# Names of Python's audit events that no file may cause.
_FORBIDDEN = {"pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn",
              "subprocess.Popen", "socket.bind", "socket.connect"}  # fmt: skip
# What the audit hook has seen during a trial; None = no trial runs.
_seen: list[str] | None = None


def judge(entry: Entry, folder: Path) -> str:
    """Give a folder to an entry; return ACCEPTED, REFUSED, or a line that says what went wrong."""
    begin, before = time.monotonic(), _memory("VmRSS")
    with _watching() as seen:
        outcome = _outcome(entry, folder)
    if (grown := _memory("VmHWM") - before) > MEMORY:
        seen.append(f"took {grown:.0f} MB")
    if (seconds := time.monotonic() - begin) >= SECONDS:
        seen.append(f"took {seconds:.0f} s")
    return f"{outcome}, but {seen[0]}" if seen else outcome


def _outcome(entry: Entry, folder: Path) -> str:
    try:
        entry(folder)
    except InputError as error:
        return _wrong_line(str(error)) or REFUSED
    except BaseException as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return ACCEPTED


def _wrong_line(text: str) -> str:
    try:
        check_line(text)
    except AssertionError as error:
        return str(error)
    return ""


@contextmanager
def _watching() -> Iterator[list[str]]:
    """Collect forbidden events, files written elsewhere, and wrong lines that the package logs."""
    global _seen
    _add_hook()
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        # Begin the peak of memory anew.
        reset.write_text("5")
    listener, ours = BufferingHandler(sys.maxsize), getLogger("iic")
    level, seen = ours.level, list[str]()
    ours.addHandler(listener)
    ours.setLevel(INFO)
    _seen = seen
    try:
        yield seen
    finally:
        _seen = None
        ours.removeHandler(listener)
        ours.setLevel(level)
        seen += filter(None, (_wrong_line(record.getMessage()) for record in listener.buffer))


@cache
def _add_hook() -> None:
    """Add the audit hook once, since Python cannot remove it."""
    sys.addaudithook(_watch)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is None:
        return
    if event in _FORBIDDEN:
        _seen.append(f"{event} {str(arguments)[:100]}")
    elif event == "open" and set("wax+") & set(arguments[1] or ""):
        place = str(arguments[0])
        if not place.startswith((tempfile.gettempdir(), os.devnull)):
            _seen.append(f"wrote {place[:100]}")


def _memory(key: str) -> float:
    """Return a line of /proc/self/status in MB; 0 without that file."""
    status = Path("/proc/self/status")
    rows = status.read_text().splitlines() if status.exists() else []
    return sum(int(row.split()[1]) * 1024 / 1e6 for row in rows if row.startswith(f"{key}:"))


class Worker:
    """A process that judges one trial after the other, and is replaced when it dies."""

    def __init__(self) -> None:
        """Make its scratch folder; the process starts with the first trial."""
        self._pool: ProcessPoolExecutor | None = None
        self._scratch = tempfile.TemporaryDirectory()

    def judge(self, entry: Entry, folder: Path) -> str:
        """Call judge in the process; a crash and a hang are outcomes too."""
        if self._pool is None:
            begin = (_begin, (self._scratch.name,))
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), *begin)
        try:
            return self._pool.submit(judge, entry, folder).result(timeout=2 * SECONDS)
        except (BrokenProcessPool, TimeoutError) as error:
            self._stop()
            return "it did not end" if isinstance(error, TimeoutError) else "the process died"

    def _stop(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=True)

    def __enter__(self) -> Self:
        """Return the worker; leaving the block ends its process."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process and remove the scratch folder."""
        self._stop()
        self._scratch.cleanup()


def _begin(scratch: str) -> None:
    """Limit the memory to twice what a trial may take, so that a bomb does not end the machine."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.dont_write_bytecode, tempfile.tempdir = True, scratch
    # Hide progress bars and messages of libraries.
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    import iic.model.network  # noqa: F401 - TensorFlow reserves much memory for itself

    limit = int(_memory("VmSize") * 1e6 + 2 * MEMORY * 1e6)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
