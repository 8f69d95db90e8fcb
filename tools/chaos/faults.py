"""Faults of the machine: full disks, read-only folders, clocks that are wrong, another DVC."""

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from iic.core.errors import InputError
from iic.pipeline.resume import FOLDER as STATES
from tools.chaos.clones import CACHE, SITE
from tools.chaos.disks import full, pages, read_only
from tools.chaos.endings import Ending, fault_of

# What each stage writes, in this order.
WRITTEN: Mapping[str, Sequence[str]] = {
    "download": ["data/images.npz", "data/labels.npz"],
    "augment": ["data/draws.npz"],
    "neighbors": ["data/neighbors.npz"],
    "train": [
        *("model/model.json", "model/model.weights.h5"),
        *("reports/history.csv", "data/snapshots.npz"),
    ],
    "evaluate": [
        *("reports/metrics.json", "reports/accuracy.csv", "reports/predictions.csv"),
        *("reports/assignments.csv", "model-card.json"),
    ],
    "report": ["reports/figures", "reports/index.html"],
}
TMP = Path(".dvc/tmp")
# Disks of their own, since more room is made for the weights than they would take.
_BESIDE = {"reports/history.csv": "reports", "data/snapshots.npz": "data"}
# What is met before the first output, a training's metrics to watch.
_FIRST = {"model/model.json": "dvclive"}
# DVC's and its database's words for their own files, which they do not always name.
_FULL = "No space left|disk is full|disk I/O error"
_READ_ONLY = "Read-only|readonly|unable to open database|unlocked lock"
_LOCKED = "lock|busy"
# What a training says whose state cannot be kept.
_GOES_ON = "an interruption now would cost epoch"
# Debian's package.
_FAKETIME = {"LD_PRELOAD": "/usr/$LIB/faketime/libfaketime.so.1", "FAKETIME_CACHE_DURATION": "1"}

# Below the top folder of a clone.
Place = str | Path
Apply = Callable[[Path], AbstractContextManager[object]]


class Fault(NamedTuple):
    """Something that is wrong with the machine.

    Attributes:
        what: for people.
        stage: that runs meanwhile.
        apply: to a clone; leaving the context takes the fault away.
        named: regular expression of what a refusal has to name; empty if none is allowed.
        at_stage: whether it begins with the stage, else before anything runs.
        says: regular expression of what is said in any case.
        disks: folders of the clone that are disks of their own.
        variables: of the environment; `{top}` stands for a folder of the trial's own.
    """

    what: str
    stage: str
    apply: Apply
    named: str = ""
    at_stage: bool = True
    says: str = ""
    disks: Sequence[Place] = (".",)
    variables: Mapping[str, str] = {}


def full_disks(finished: Path) -> Iterator[Fault]:
    """The disk is full in the middle of each output, or after all of a stage's."""
    for stage, files in WRITTEN.items():
        before = 0
        for file in files:
            half, beside = pages(finished / file) // 2, _BESIDE.get(file)
            apply = _full(beside, half) if beside else _full(".", before + half)
            named = re.escape(_FIRST.get(file, file))
            disks = (".", beside) if beside else (".",)
            yield Fault(f"disk full in {file}", stage, apply, named, disks=disks)
            before += pages(finished / file)
        yield Fault(f"disk full after {stage}", stage, _full(".", before), _FULL)


def full_places() -> Iterator[Fault]:
    """DVC's own folders, and that of the resume states, are disks that are full."""
    for place in (CACHE, TMP, SITE):
        for stage in ("download", "train"):
            for at_stage in (False, True):
                what, apply = f"{place} full", _full(place, 0)
                yield Fault(what, stage, apply, _FULL, at_stage, disks=(".", place))
    for room in (0, 10):
        what, apply = f"{STATES} full", _full(STATES, room)
        yield Fault(what, "train", apply, says=_GOES_ON, disks=(".", STATES))


def _full(place: Place, room: int) -> Apply:
    return lambda clone: full(clone / place, room)


def read_only_folders() -> Iterator[Fault]:
    """Each folder that is written to cannot be, from the beginning or while a stage runs."""
    before, both = (False,), (False, True)
    for place, stages, moments in (
        ("data", ("download", "augment", "neighbors", "train"), both),
        # DVC removes these two before the stage begins.
        ("model", ("train",), before),
        ("reports/figures", ("report",), before),
        ("reports", ("train", "evaluate", "report"), both),
        (".", ("download", "train", "report"), both),
        (CACHE, ("download", "train"), both),
        (TMP, ("download", "train"), both),
        (SITE, ("download", "train"), both),
    ):
        for stage in stages:
            for at_stage in moments:
                yield Fault(f"{place} read-only", stage, _read_only(place), _READ_ONLY, at_stage)
    for at_stage in both:
        what, apply = f"{STATES} read-only", _read_only(STATES)
        yield Fault(what, "train", apply, at_stage=at_stage, says=_GOES_ON)


def _read_only(place: Place) -> Apply:
    return lambda clone: read_only(clone / place)


def clocks() -> Iterator[Fault]:
    """The clock is wrong by a year, or becomes so while a stage runs."""
    for stage in ("download", "train", "evaluate"):
        for what, days in (("back", -365), ("forward", 365)):
            wrong = {**_FAKETIME, "FAKETIME": f"{days:+}d"}
            what = f"clock {what} by a year"
            yield Fault(what, stage, nullcontext, disks=(), variables=wrong)
        jumping = {**_FAKETIME, "FAKETIME_TIMESTAMP_FILE": "{top}/clock"}
        what = "clock jumps back by a year"
        yield Fault(what, stage, _clock_set_back, disks=(), variables=jumping)


@contextmanager
def _clock_set_back(clone: Path) -> Iterator[None]:
    (clone.parent / "clock").write_text("-365d")
    yield


def others() -> Iterator[Fault]:
    """Another DVC begins while a stage runs."""
    for stage in WRITTEN:
        yield Fault("two DVCs at once", stage, _another, _LOCKED, disks=())


@contextmanager
def _another(clone: Path) -> Iterator[None]:
    with subprocess.Popen(
        ["dvc", "repro"],  # noqa: S607 - first on PATH
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield
        said, _ = process.communicate()
    if what := fault_of(Ending(process.returncode, said), _LOCKED):
        raise InputError(f"the other: {what}")
