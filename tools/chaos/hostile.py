"""Hostile files through every entry: crafted to do harm, or valid ones damaged at random.

Nothing is lost if each is refused with an InputError of one line, or read as what it is; without
a crash, more memory or time than is allowed, a file left anywhere, or anything run or unpickled.
"""

import random
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tools.chaos import crafted_files, crafted_models
from tools.chaos.clones import Count
from tools.chaos.crafted_models import Content
from tools.chaos.entries import ENTRIES
from tools.chaos.valid_files import arrays, model, pictures
from tools.chaos.workers import ACCEPTED, REFUSED, Worker

# Variants of each valid file.
DAMAGED = 300
# Share of the damaged PNG files whose checksums are corrected.
_CORRECTED = 0.7
_PNG = b"\x89PNG\r\n\x1a\n"
_INTERESTING = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\1\0")


class HostileFiles(NamedTuple):
    """Contents by path, or functions that make what is not a plain file, for an entry."""

    name: str
    entry: str  # a key of tools.chaos.entries.ENTRIES
    files: Mapping[str, Content]


def files(numbers: random.Random, each: int = DAMAGED) -> Iterator[Count]:
    """Try all crafted files, then as many damaged variants of each valid file."""
    count = Count()
    with Worker() as worker:
        for made, trials in (("made to do harm", crafted()), ("damaged", damaged(numbers, each))):
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


def crafted() -> Iterator[HostileFiles]:
    """Yield all files that are crafted to do harm."""
    for name, content in crafted_files.images().items():
        yield _among_others(name, Path(name.split(":")[0]).suffix, content)
    for name, content in (crafted_files.npz_files() | crafted_files.idx_files()).items():
        yield HostileFiles(name, "array", {name.split(":")[0]: content})
    for name, content in crafted_files.packages().items():
        yield HostileFiles(name, "package", {"package.tgz": content})
    for name, content in crafted_files.gzip_files().items():
        yield HostileFiles(name, "packed", {"images.gz": content})
    for name, changes in (crafted_models.models() | crafted_models.cards()).items():
        entry = "model" if name.startswith(("model:", "weights:")) else "card"
        yield HostileFiles(name, entry, {**model(), **changes})
    for name, named in crafted_models.names().items():
        yield HostileFiles(name, "names", named)


def damaged(numbers: random.Random, each: int) -> Iterator[HostileFiles]:
    """Yield as many damaged variants of each valid file."""
    entries = {"package.tgz": "package", "images-idx3-ubyte.gz": "packed"}
    for number in range(each):
        for name, content in pictures().items():
            says, bad = f"{name}: damaged no. {number}", damaged_content(content, numbers)
            yield _among_others(says, Path(name).suffix, bad)
        for name, content in arrays().items():
            says, bad = f"{name}: damaged no. {number}", damaged_content(content, numbers)
            yield HostileFiles(says, entries.get(name, "array"), {name: bad})
        for name, content in model().items():
            says, bad = f"{name}: damaged no. {number}", damaged_content(content, numbers)
            entry = "card" if name == "model-card.json" else "model"
            yield HostileFiles(says, entry, {**model(), name: bad})


def _among_others(name: str, suffix: str, content: Content) -> HostileFiles:
    good = pictures()["grey.png"]
    several = {"0.png": good, f"bad{suffix}": content, "1.png": good, "2.png": good}
    return HostileFiles(name, "image", several)


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
    corrected, place = bytearray(content), len(_PNG)
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        if end + 4 > len(content):
            break
        corrected[end : end + 4] = zlib.crc32(content[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(corrected)
