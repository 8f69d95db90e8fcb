"""Files damaged at random, as failing disks do: outputs, DVC's cache and notes, resume states.

A trial damages one file of a finished clone and lets DVC run. Nothing is lost if the run ends well
with the same dvc.lock, or with a line that names the file, and if what `make repro` runs then ends
with the same dvc.lock and outputs and a cache without wrong contents.
"""

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml

from iic.core.errors import InputError
from iic.pipeline.inputs import outputs_in
from iic.pipeline.paths import LOCK, PIPELINE
from iic.pipeline.resume import FOLDER as STATES
from tools.chaos import clones
from tools.chaos.clones import CACHE, Count, copy_of, fault_of, objects_of
from tools.chaos.faults import WRITTEN
from tools.command import ending_of, start

# Shares of the trials.
_CUT, _APART, _SILENT = 0.3, 0.5, 0.6


class Target(NamedTuple):
    """A file to damage, and what is done next."""

    path: Path
    named: str  # the output that the file is or belongs to, which a refusal has to name
    removed: Sequence[Path] = ()  # files to remove, so that DVC has to restore them
    command: Sequence[str] = ("dvc", "repro")


_Choose = Callable[[Path, random.Random], Target]


def on_digits(numbers: random.Random) -> Iterator[Count]:
    """Damage sixty files, each in a copy of its own, on the digits."""
    count = Count()
    with clones.finished_clone("tour", clones.SMALL) as finished, _interrupted(finished) as stopped:
        for kind, (choose, trials) in KINDS.items():
            for _ in range(trials):
                what, ended = trial(stopped if kind == "state" else finished, choose, numbers)
                count.add(what, f"{kind}: {ended}")
                yield count


def trial(base: Path, choose: _Choose, numbers: random.Random) -> tuple[str, str]:
    """Damage a file in a copy of a clone; return what was lost, and how the next run ended."""
    with copy_of(base) as clone:
        lock, results = (clone / LOCK).read_bytes(), _results(clone)
        target = choose(clone, numbers)
        done = damage_file(target.path, numbers)
        for path in target.removed:
            path.unlink()
        ending = ending_of(*target.command, cwd=clone)
        found = [fault_of(ending, re.escape(target.named))]
        if ending.status == 0 and _results(clone) not in ({}, results):
            found.append("other results without a word")
        what = ", ".join(filter(None, [*found, clones.lost(clone, lock, clones.make_repro(clone))]))
        says = f"{target.path.relative_to(clone)} {done}, then {' '.join(target.command)}: {what}"
        return what and says, "refused" if ending.status else "ended well"


def _results(clone: Path) -> Mapping[str, str]:
    """MD5 of each output in dvc.lock; empty without that file."""
    return dict(outputs_in(clone / LOCK)) if (clone / LOCK).exists() else {}


def damage_file(path: Path, numbers: random.Random) -> str:
    """Flip a bit of a file or cut its end off, sometimes unnoticed by DVC; return what was done."""
    before, content = path.stat(), bytearray(path.read_bytes())
    place = numbers.randrange(len(content))
    if is_cut := numbers.random() < _CUT:
        del content[place:]
    else:
        content[place] ^= 1 << numbers.randrange(8)
    if is_apart := numbers.random() < _APART:
        # The other names of the file keep the whole content.
        path.unlink()
        path.touch()
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(before.st_mode)
    if is_silent := numbers.random() < _SILENT:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return (
        f"{'cut' if is_cut else 'flipped'} at byte {place:,} "
        f"{'alone' if is_apart else 'with its links'} "
        f"at {'its old' if is_silent else 'a new'} time"
    )


def _output(clone: Path, numbers: random.Random) -> Target:
    """An output; then a stage that reads it may have to run again."""
    name = numbers.choice([file for files in WRITTEN.values() for file in files])
    path = clone / name
    if path.is_dir():
        path = numbers.choice(sorted(path.iterdir()))
    named = next(out for out, _ in outputs_in(clone / LOCK) if Path(name).is_relative_to(out))
    stages = yaml.safe_load((clone / PIPELINE).read_text("utf-8"))["stages"]
    readers = [stage for stage, keys in stages.items() if named in keys["deps"]]
    commands = [("dvc", "repro"), *(_forced(stage) for stage in readers)]
    return Target(path, named, command=numbers.choice(commands))


def _forced(stage: str) -> Sequence[str]:
    return ("dvc", "repro", "--force", "--single-item", stage)


def _object(clone: Path, numbers: random.Random) -> Target:
    """A file of DVC's cache, from which an output has to be restored."""
    cached = [(name, objects_of(clone, md5)) for name, md5 in outputs_in(clone / LOCK)]
    name, objects = numbers.choice([(name, objects) for name, objects in cached if objects])
    files = [clone / name] if (clone / name).is_file() else sorted((clone / name).iterdir())
    return Target(numbers.choice(objects), name, removed=numbers.choice([files, []]))


def _note(clone: Path, numbers: random.Random) -> Target:
    """A note about a run of a stage in DVC's run-cache, after dvc.lock was lost.

    DVC may fail at it without naming it, so `make repro` checks it first.
    """
    note = numbers.choice(sorted((clone / CACHE / "runs").glob("*/*/*")))
    return Target(note, note.name, removed=[clone / LOCK], command=clones.REPAIR)


def _state(clone: Path, numbers: random.Random) -> Target:
    return Target(numbers.choice(sorted((clone / STATES).glob("*/*/*"))), str(STATES))


@contextmanager
def _interrupted(finished: Path) -> Iterator[Path]:
    """A copy of a finished clone in which a training was interrupted after an epoch."""
    with copy_of(finished) as clone:
        clones.forget(clone, "train")
        with start(*_forced("train"), cwd=clone, start_new_session=True) as process:
            while not any((clone / STATES).glob("*/first/network.npz")):
                if process.poll() is not None:
                    raise InputError("the training ended before it could be interrupted")
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
        yield clone


# How to choose a file of each kind, and the number of trials.
KINDS: Mapping[str, tuple[_Choose, int]] = {
    "output": (_output, 30),
    "object": (_object, 12),
    "note": (_note, 9),
    "state": (_state, 9),
}
