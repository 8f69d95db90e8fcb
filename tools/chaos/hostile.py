"""Hostile files through every door: made to do harm, or valid ones damaged at random.

Nothing is lost if each is refused with an InputError of one line, or read as what it is; without
a crash, more memory or time than is allowed, a file written anywhere, or anything started or
unpickled.
"""

import random
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tools.chaos import crafted_arrays, crafted_images, crafted_models
from tools.chaos.counting import Count
from tools.chaos.crafted_models import Content
from tools.chaos.entries import ENTRIES
from tools.chaos.valid_files import arrays, model, pictures
from tools.chaos.workers import ACCEPTED, REFUSED, Worker

# Of each valid file.
DAMAGED = 300
# Share of the damaged ones whose checksums are made right again.
_MENDED = 0.7
_PNG = b"\x89PNG\r\n\x1a\n"
_INTERESTING = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\1\0")


class Trial(NamedTuple):
    """Files for a door.

    Attributes:
        name: by which people find it again.
        entry: the door, a key of tools.chaos.entries.ENTRIES.
        files: by path.
    """

    name: str
    entry: str
    files: Mapping[str, Content]


def files(numbers: random.Random) -> Iterator[Count]:
    """All that is made to do harm, then DAMAGED variants of each valid file."""
    count = Count()
    with Worker() as worker:
        for trial in (*crafted(), *damaged(numbers)):
            outcome = tried(trial, worker)
            is_lost = outcome not in (ACCEPTED, REFUSED)
            made = "damaged" if ": damaged" in trial.name else "made to do harm"
            count.add(f"{trial.name}: {outcome}" if is_lost else "", made, outcome)
            yield count


def tried(trial: Trial, worker: Worker) -> str:
    """What became of a trial; its files lie in a folder that nothing else may appear in."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "a/b/c"
        for path, content in trial.files.items():
            _lay(folder / path, content)
        before = sorted(Path(name).rglob("*"))
        outcome = worker.judge(ENTRIES[trial.entry], folder)
        return outcome if sorted(Path(name).rglob("*")) == before else f"{outcome}, but left a file"


def _lay(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)


def crafted() -> Iterator[Trial]:
    """Everything that is made to do harm."""
    for name, content in crafted_images.images().items():
        yield Trial(name, "image", _among_others(Path(name.split(":")[0]).suffix, content))
    for name, content in (crafted_arrays.npz_files() | crafted_arrays.idx_files()).items():
        yield Trial(name, "array", {name.split(":")[0]: content})
    for name, content in crafted_arrays.packages().items():
        yield Trial(name, "package", {"package.tgz": content})
    for name, content in crafted_arrays.gzip_files().items():
        yield Trial(name, "packed", {"images.gz": content})
    for name, changes in crafted_models.models().items():
        yield Trial(name, "model", {**model(), **changes})
    for name, changes in crafted_models.cards().items():
        yield Trial(name, "card", {**model(), **changes})
    for name, named in crafted_models.names().items():
        yield Trial(name, "names", named)


def damaged(numbers: random.Random, each: int = DAMAGED) -> Iterator[Trial]:
    """Valid files, each damaged in so many ways."""
    for number in range(each):
        for name, content in pictures().items():
            bad = damage(content, numbers)
            yield Trial(
                f"{name}: damaged no. {number}", "image", _among_others(Path(name).suffix, bad)
            )
        for name, content in arrays().items():
            door = {".tgz": "package", ".gz": "packed"}.get(Path(name).suffix, "array")
            yield Trial(f"{name}: damaged no. {number}", door, {name: damage(content, numbers)})
        for name, content in model().items():
            door = "card" if name == "model-card.json" else "model"
            yield Trial(
                f"{name}: damaged no. {number}", door, {**model(), name: damage(content, numbers)}
            )


def _among_others(suffix: str, content: Content) -> Mapping[str, Content]:
    good = pictures()["grey.png"]
    return {"0.png": good, f"bad{suffix}": content, "1.png": good, "2.png": good}


def damage(content: bytes, numbers: random.Random) -> bytes:
    """One to four changes at random places: bits, bytes, numbers, a part lost, moved or doubled."""
    for _ in range(numbers.choice((1, 1, 1, 2, 4))):
        content = _changed(content, numbers)
    return _with_sums(content) if numbers.random() < _MENDED else content


def _changed(content: bytes, numbers: random.Random) -> bytes:
    place = numbers.randrange(len(content) + 1)
    end = place + numbers.choice((1, 1, 4, 64, 1 << 20))
    part = content[place:end]
    new = numbers.choice(
        (
            bytes(byte ^ 1 << numbers.randrange(8) for byte in part),
            numbers.randbytes(len(part)),
            bytes(len(part)),
            numbers.choice(_INTERESTING),
            part + part,
            b"",
        )
    )
    return content[:place] + new + content[end:]


def _with_sums(content: bytes) -> bytes:
    """A PNG file's checksums made right again, so that what stands between them is looked at."""
    if not content.startswith(_PNG):
        return content
    mended, place = bytearray(content), len(_PNG)
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        if end + 4 > len(content):
            break
        mended[end : end + 4] = zlib.crc32(content[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(mended)
