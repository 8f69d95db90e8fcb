"""Faults of the machine while a stage runs: full disks, read-only folders, clocks, another DVC.

A trial runs one stage of a finished clone anew under a fault. Nothing is lost if it ends well or
with a line that names what is at fault, leaves nothing half-written, and, once the fault is gone,
what `make repro` runs ends with the same dvc.lock and outputs of its MD5s.
"""

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from iic.errors import InputError
from reliability.clones import CACHE, SITE, copy_into, finished_clone
from reliability.contents import forget, written
from reliability.counting import Count
from reliability.disks import disk, full, own_mounts, pages, read_only
from reliability.endings import LOCKED, Ending, fault_of, lost_at_last
from reliability.kills import stage_of
from stages.inputs import LOCK
from stages.progress import FOLDER as STATES

SETTINGS = ("model.widths=[8,8,16]", "train.epochs=3", "augment.views=4")
# Of the disk that a clone lies on, in bytes.
_DISK = 200_000_000
TMP = Path(".dvc/tmp")
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
# Disks of their own, since more room is made for the weights than they would take.
_BESIDE = {"reports/history.csv": "reports", "data/snapshots.npz": "data"}
# DVC's own words for its own files; it does not always name them.
_FULL = r"No space left|disk is full|disk I/O error"
_READ_ONLY = r"Read-only|read-only|readonly"
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
        at_stage: whether it begins with the stage, else before DVC does.
        disks: folders of the clone that are disks of their own.
        variables: of the environment; `{top}` stands for a folder of the trial's own.
    """

    what: str
    stage: str
    apply: Apply
    named: str = ""
    at_stage: bool = True
    disks: Sequence[Place] = ()
    variables: Mapping[str, str] = {}


def on_digits(numbers: random.Random) -> Iterator[Count]:  # noqa: ARG001 - nothing is random
    """All faults that this machine can be given, one after the other."""
    count, why_not = Count(), own_mounts()
    with finished_clone("tour", SETTINGS) as finished:
        for kind, faults in {
            "full": [*full_disks(finished), *full_places()],
            "read-only": [*read_only_folders()],
            "clock": [*clocks()],
            "two at once": [*others()],
        }.items():
            if kind in ("full", "read-only") and why_not:
                count.details[f"{kind}: skipped, no mounts ({why_not})"] += len(faults)
            elif kind == "clock" and shutil.which("faketime") is None:
                count.details["clock: skipped, no faketime"] += len(faults)
            else:
                for fault in faults:
                    what, ended = trial(fault, finished)
                    count.add(what and f"{fault.what}: {what}", f"{kind}: {ended}")
                    yield count


def trial(fault: Fault, finished: Path) -> tuple[str, str]:
    """What was lost, and how the disturbed run ended; in a copy of a finished clone."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as disks:
        clone = Path(name) / "clone"
        clone.mkdir()
        for place in fault.disks:
            disks.enter_context(disk(clone / place, _DISK))
        copy_into(clone, finished)
        lock, before = (clone / LOCK).read_bytes(), written(clone)
        forget(clone, fault.stage)
        ending = _run_under(fault, clone)
        others = written(clone).items() - before.items()
        found = [fault_of(ending, fault.named), *(f"{path} is half-written" for path, _ in others)]
        found.append(lost_at_last(clone, lock))
        return ", ".join(filter(None, found)), "refused" if ending.status else "ended well"


def _run_under(fault: Fault, clone: Path) -> Ending:
    variables = {name: value.format(top=clone.parent) for name, value in fault.variables.items()}
    with ExitStack() as applied:
        if not fault.at_stage:
            applied.enter_context(fault.apply(clone))
        with dvc_repro(clone, fault.stage, variables) as process:
            said = []
            for line in process.stdout or ():
                said.append(line)
                if fault.at_stage and stage_of(line):
                    applied.enter_context(fault.apply(clone))
        return Ending(process.returncode, "".join(said))


def dvc_repro(clone: Path, stage: str, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    """Run a stage even if nothing has changed; what it says comes from one pipe."""
    return subprocess.Popen(  # noqa: S603 - a list, no shell
        ["dvc", "repro", "--force", "--single-item", stage],  # noqa: S607 - first on PATH
        cwd=clone,
        env=os.environ | {"PYTHONUNBUFFERED": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def full_disks(finished: Path) -> Iterator[Fault]:
    """The disk is full in the middle of each output, or after all of a stage's."""
    for stage, files in WRITTEN.items():
        before = 0
        for file in files:
            half, place = pages(finished / file) // 2, _BESIDE.get(file)
            apply = _full(place, half) if place else _full(".", before + half)
            disks: list[Place] = [".", SITE, *([place] if place else [])]
            yield Fault(f"disk full in {file}", stage, apply, file, disks=disks)
            before += pages(finished / file)
        yield Fault(f"disk full after {stage}", stage, _full(".", before), _FULL, disks=(".", SITE))


def full_places() -> Iterator[Fault]:
    """DVC's own folders, and that of the resume states, are disks that are full."""
    for place in (CACHE, TMP, SITE):
        for stage in ("download", "train", "evaluate"):
            for at_stage in (False, True):
                yield Fault(
                    *(f"{place} full", stage, _full(place, 0), _FULL, at_stage),
                    disks=(".", place),
                )
    for room in (0, 10):
        yield Fault(f"{STATES} full", "train", _full(STATES, room), disks=(".", SITE, STATES))


def read_only_folders() -> Iterator[Fault]:
    """Each folder that is written to cannot be, from the beginning or while a stage runs."""
    for place, stages, at_stage in (
        ("data", ("download", "augment", "neighbors", "train"), (False, True)),
        # DVC removes these two before the stage begins.
        ("model", ("train",), (False,)),
        ("reports/figures", ("report",), (False,)),
        ("reports", ("train", "evaluate", "report"), (False, True)),
        (".", WRITTEN, (False, True)),
        (CACHE, ("download", "train"), (False, True)),
        (TMP, ("download", "train"), (False, True)),
        (SITE, ("download", "train"), (False, True)),
    ):
        for stage in stages:
            for moment in at_stage:
                yield Fault(f"{place} read-only", stage, _read_only(place), _READ_ONLY, moment)
    for moment in (False, True):
        yield Fault(f"{STATES} read-only", "train", _read_only(STATES), at_stage=moment)


def _full(place: Place, room: int) -> Apply:
    return lambda clone: full(clone / place, room)


def _read_only(place: Place) -> Apply:
    return lambda clone: read_only(clone / place)


def clocks() -> Iterator[Fault]:
    """The clock is wrong by a year, or becomes so while a stage runs."""
    for stage in ("download", "train", "evaluate"):
        for what, days in (("back", -365), ("forward", 365)):
            wrong = {**_FAKETIME, "FAKETIME": f"{days}d"}
            yield Fault(f"clock a year {what}", stage, nullcontext, variables=wrong)
        jumping = {**_FAKETIME, "FAKETIME_TIMESTAMP_FILE": "{top}/clock"}
        yield Fault("clock jumps back by a year", stage, _jump, variables=jumping)


@contextmanager
def _jump(clone: Path) -> Iterator[None]:
    (clone.parent / "clock").write_text("-365d")
    yield


def others() -> Iterator[Fault]:
    """Another DVC runs the whole pipeline."""
    for stage in WRITTEN:
        yield Fault("two DVCs at once", stage, _another, LOCKED)


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
    if what := fault_of(Ending(process.returncode, said), LOCKED):
        raise InputError(f"the other: {what}")
