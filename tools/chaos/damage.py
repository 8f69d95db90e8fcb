"""Files damaged at random, as failing disks do it: outputs, DVC's cache, states of trainings.

A trial damages one file of a finished clone and lets DVC run. Nothing is lost if that ends well,
with the same dvc.lock, or with a line that names the file; and if what `make repro` runs then ends
with the same dvc.lock, outputs of its MD5s and nothing in the cache under another content's name.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
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
from tools.chaos.clones import CACHE, call, commit, copy_into, finished_clone
from tools.chaos.contents import forget, objects_of
from tools.chaos.counting import Count
from tools.chaos.disturbed import SETTINGS
from tools.chaos.endings import Ending, fault_of, lost_at_last
from tools.chaos.faults import WRITTEN

# Shares of the trials.
_CUT, _APART, _SILENT = 0.3, 0.5, 0.6


class Trial(NamedTuple):
    """A file to damage, and what is done next.

    Attributes:
        path: of the file.
        named: what a refusal has to name, the output that the file is or belongs to.
        removed: files that are gone too, so that DVC has to bring them back.
        command: that runs then.
    """

    path: Path
    named: str
    removed: Sequence[Path] = ()
    command: Sequence[str] = ("dvc", "repro")


Make = Callable[[Path, random.Random], Trial]


def of_files(numbers: random.Random) -> Iterator[Count]:
    """Sixty files, one after the other, each in a copy of its own."""
    count = Count()
    with _finished() as finished, _interrupted(finished) as interrupted:
        for kind, (make, times) in KINDS.items():
            for _ in range(times):
                base = interrupted if kind == "state" else finished
                what, ended = tried(base, make, numbers)
                count.add(what, f"{kind}: {ended}")
                yield count


def tried(base: Path, make: Make, numbers: random.Random) -> tuple[str, str]:
    """What was lost, and how the run after the damage ended.

    Args:
        base: what to damage a copy of.
        make: chooses the file.
        numbers: random ones.
    """
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        clone.mkdir()
        copy_into(clone, base)
        lock, results = (clone / LOCK).read_bytes(), _results(clone)
        trial = make(clone, numbers)
        says = f"{trial.path.relative_to(clone)} {damage(trial.path, numbers)}"
        for path in trial.removed:
            path.unlink()
        done = subprocess.run(  # noqa: S603 - a list, no shell
            trial.command,
            cwd=clone,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        what = fault_of(Ending(done.returncode, done.stdout), re.escape(trial.named))
        if done.returncode == 0 and _results(clone) not in ({}, results):
            what = "other results without a word"
        what = ", ".join(filter(None, [what, lost_at_last(clone, lock)]))
        command = " ".join(trial.command)
        return (
            what and f"{says}, then {command}: {what}",
            "refused" if done.returncode else "ended well",
        )


def _results(clone: Path) -> Mapping[str, str]:
    """MD5s in dvc.lock; none where there is no such file."""
    return dict(outputs_in(clone / LOCK)) if (clone / LOCK).exists() else {}


def damage(path: Path, numbers: random.Random) -> str:
    """Flip a bit or cut the end off, and say so; what DVC judges by may stay as it is."""
    before, content = path.stat(), bytearray(path.read_bytes())
    place = numbers.randrange(len(content))
    if is_cut := numbers.random() < _CUT:
        del content[place:]
    else:
        content[place] ^= 1 << numbers.randrange(8)
    if is_apart := numbers.random() < _APART:
        # What DVC has linked to it stays whole.
        path.unlink()
        path.touch()
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(before.st_mode)
    if is_silent := numbers.random() < _SILENT:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return " ".join(
        (
            f"{'cut' if is_cut else 'flipped'} at byte {place:,}",
            "alone" if is_apart else "with its links",
            "at its old time" if is_silent else "at a new time",
        )
    )


def _output(clone: Path, numbers: random.Random) -> Trial:
    """An output; then a stage that reads it may have to run anew."""
    name = numbers.choice([file for files in WRITTEN.values() for file in files])
    path = clone / name
    if path.is_dir():
        path = numbers.choice(sorted(path.iterdir()))
    named = next(out for out, _ in outputs_in(clone / LOCK) if Path(name).is_relative_to(out))
    commands = [("dvc", "repro"), *(_forced(stage) for stage in _readers(clone, named))]
    return Trial(path, named, command=numbers.choice(commands))


def _forced(stage: str) -> Sequence[str]:
    return ("dvc", "repro", "--force", "--single-item", stage)


def _readers(clone: Path, output: str) -> list[str]:
    stages = yaml.safe_load((clone / PIPELINE).read_text("utf-8"))["stages"]
    return [name for name, stage in stages.items() if output in stage["deps"]]


def _object(clone: Path, numbers: random.Random) -> Trial:
    """What DVC's cache holds of an output, which is to come back from there."""
    cached = [(name, objects_of(clone, md5)) for name, md5 in outputs_in(clone / LOCK)]
    name, objects = numbers.choice([(name, objects) for name, objects in cached if objects])
    files = [clone / name] if (clone / name).is_file() else sorted((clone / name).iterdir())
    return Trial(numbers.choice(objects), name, removed=numbers.choice([files, []]))


def _note(clone: Path, numbers: random.Random) -> Trial:
    """What DVC's run-cache notes of a stage that has run, where nothing else tells of it.

    DVC itself may stumble over it without naming it, so that `make repro` looks at it first.
    """
    note = numbers.choice(sorted((clone / CACHE / "runs").glob("*/*/*")))
    command = (sys.executable, "-m", "iic.cli", "repair")
    return Trial(note, note.name, removed=[clone / LOCK], command=command)


def _state(clone: Path, numbers: random.Random) -> Trial:
    """What an interrupted training has left."""
    return Trial(numbers.choice(sorted((clone / STATES).glob("*/*/*"))), str(STATES))


@contextmanager
def _finished() -> Iterator[Path]:
    """A finished clone whose dvc.lock is as DVC writes it if there is none."""
    with finished_clone("tour", SETTINGS) as clone:
        (clone / LOCK).unlink()
        call("dvc", "repro", cwd=clone)
        commit(clone)
        yield clone


@contextmanager
def _interrupted(finished: Path) -> Iterator[Path]:
    """A copy of a finished clone in which a training was interrupted after an epoch."""
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        clone.mkdir()
        copy_into(clone, finished)
        forget(clone, "train")
        with subprocess.Popen(  # noqa: S603 - a list, no shell
            _forced("train"),
            cwd=clone,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            while not any((clone / STATES).glob("*/first/network.npz")):
                if process.poll() is not None:
                    raise InputError("the training ended before it could be interrupted")
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
        yield clone


# How a file of each kind is chosen, and how often.
KINDS: Mapping[str, tuple[Make, int]] = {
    "output": (_output, 30),
    "object": (_object, 12),
    "note": (_note, 9),
    "state": (_state, 9),
}
