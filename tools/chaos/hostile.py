"""Hostile files through every entry: crafted to do harm, or valid ones damaged at random.

Nothing is lost if each is refused with an InputError of one line, or read as what it is; without
a crash, more memory or time than is allowed, a file left anywhere, or anything run or unpickled.
Trials run in a process of their own, which may crash, hang or run out of memory.
"""

import os
import random
import resource
import signal
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from logging import INFO, getLogger
from logging.handlers import BufferingHandler
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from iic.core.errors import InputError
from tools.chaos import crafted
from tools.chaos.clones import Count
from tools.chaos.crafted import Content
from tools.chaos.entries import ENTRIES, Entry, wrong_line
from tools.chaos.valid_files import arrays, model, named, pictures, png

# Variants of each valid file.
DAMAGED = 300
# Share of the damaged PNG files whose checksums are corrected.
_CORRECTED = 0.7
_PNG = b"\x89PNG\r\n\x1a\n"
_INTERESTING = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\1\0")
# Limits of a trial, in MB of additional memory (an image of 64 million pixels needs most of it) and
# in seconds.
MEMORY, SECONDS = 2000, 30.0
ACCEPTED, REFUSED = "accepted", "refused"
# Names of Python's audit events that no file may cause.
_FORBIDDEN = {"pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn",
              "subprocess.Popen", "socket.bind", "socket.connect"}  # fmt: skip
# What the audit hook has seen during a trial; None = no trial runs.
_seen: list[str] | None = None


def judge(entry: Entry, folder: Path, limits: tuple[float, float] | None = None) -> str:
    """Give a folder to an entry; return ACCEPTED, REFUSED, or a line that says what went wrong."""
    memory, seconds = limits or (MEMORY, SECONDS)
    begin, before = time.monotonic(), _memory("VmRSS")
    with _watching() as seen:
        try:
            entry(folder)
            outcome = ACCEPTED
        except InputError as error:
            outcome = wrong_line(str(error)) or REFUSED
        except BaseException as error:
            outcome = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
    if (grown := _memory("VmHWM") - before) > memory:
        seen.append(f"took {grown:.0f} MB")
    if (passed := time.monotonic() - begin) >= seconds:
        seen.append(f"took {passed:.0f} s")
    return f"{outcome}, but {seen[0]}" if seen else outcome


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
        seen += filter(None, (wrong_line(record.getMessage()) for record in listener.buffer))


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


class Worker(AbstractContextManager["Worker"]):
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


class HostileFiles(NamedTuple):
    """Contents by path, or functions that make what is not a plain file, for an entry."""

    name: str
    entry: str  # a key of tools.chaos.entries.ENTRIES
    files: Mapping[str, Content]


def files(numbers: random.Random) -> Iterator[Count]:
    """Try all crafted files, then damaged variants of each valid file."""
    kinds = {"made to do harm": crafted_trials(), "damaged": damaged(numbers, DAMAGED)}
    count = Count()
    with Worker() as worker:
        for made, trials in kinds.items():
            for trial in trials:
                outcome = outcome_of(trial, worker)
                is_fine = outcome in (ACCEPTED, REFUSED)
                count.add("" if is_fine else f"{trial.name}: {outcome}", made, outcome)
                yield count


def outcome_of(trial: HostileFiles, worker: Worker) -> str:
    """Give files to their entry, in a folder in which nothing else may appear."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "a/b/c"
        for path, content in trial.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            content(folder / path) if callable(content) else (folder / path).write_bytes(content)
        before = sorted(Path(name).rglob("*"))
        outcome = worker.judge(ENTRIES[trial.entry], folder)
        return outcome if sorted(Path(name).rglob("*")) == before else f"{outcome}, but left a file"


def crafted_trials() -> Iterator[HostileFiles]:
    """Yield all files that are crafted to do harm."""
    for name, content in crafted.images().items():
        yield _among_others(name, content)
    one = crafted.npz_files() | crafted.idx_files() | crafted.npy_files() | crafted.csv_files()
    for name, content in one.items():
        yield HostileFiles(name, "array", {name.split(":")[0]: content})
    for name, content in crafted.packages().items():
        yield HostileFiles(name, "package", {"package.tgz": content})
    for name, content in crafted.gzip_files().items():
        yield HostileFiles(name, "packed", {"images.gz": content})
    for name, changes in (crafted.models() | crafted.cards()).items():
        entry = "model" if name.startswith(("model:", "weights:")) else "card"
        yield HostileFiles(name, entry, {**model(), **changes})
    for name, files in crafted.names().items():
        yield HostileFiles(name, "names", files)
    for name, files in crafted.tables().items():
        yield HostileFiles(name, "table", {**named(), **files})


def damaged(numbers: random.Random, each: int) -> Iterator[HostileFiles]:
    """Yield as many damaged variants of each valid file."""
    known = {"package.tgz": "package", "images-idx3-ubyte.gz": "packed", "model-card.json": "card",
             "labels.csv": "table"}  # fmt: skip
    for number in range(each):
        valid = {**pictures(), **arrays(), **model(), "labels.csv": named()["labels.csv"]}
        for name, content in valid.items():
            says, bad = f"{name}: damaged no. {number}", damaged_content(content, numbers)
            others = model() if name in model() else named() if name == "labels.csv" else {}
            entry = known.get(name, "model" if others else "array")
            one = HostileFiles(says, entry, {**others, name: bad})
            yield _among_others(says, bad) if name in pictures() else one


def _among_others(name: str, content: Content) -> HostileFiles:
    """An image of a kind that the first word of the name says, among valid ones."""
    bad = f"bad{Path(name.split(':')[0]).suffix}"
    good = {f"{number}.png": png(number) for number in (1, 2, 3)}
    return HostileFiles(name, "image", {**good, bad: content})


def damaged_content(content: bytes, numbers: random.Random) -> bytes:
    """Change bits, bytes or numbers, or lose or double a part, at one to four random places."""
    for _ in range(numbers.choice((1, 1, 1, 2, 4))):
        place = numbers.randrange(len(content) + 1)
        end = place + numbers.choice((1, 1, 4, 64, 1 << 20))
        part = content[place:end]
        flipped = bytes(byte ^ 1 << numbers.randrange(8) for byte in part)
        noise, number = numbers.randbytes(len(part)), numbers.choice(_INTERESTING)
        new = numbers.choice((flipped, noise, bytes(len(part)), number, part + part, b""))
        content = content[:place] + new + content[end:]
    return _with_checksums(content) if numbers.random() < _CORRECTED else content


def _with_checksums(content: bytes) -> bytes:
    """Correct the checksums of a PNG file, so that readers look at the damaged chunks."""
    if not content.startswith(_PNG):
        return content
    place = len(_PNG)
    while (end := place + 8 + int.from_bytes(content[place : place + 4], "big")) < len(content) - 3:
        checksum = zlib.crc32(content[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
        content = content[:end] + checksum + content[place:]
    return content
