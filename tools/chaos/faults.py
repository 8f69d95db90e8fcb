"""The pipeline on a machine with a fault: full disks, read-only folders, clocks, another DVC.

A trial runs one stage of a finished clone again under a fault. Nothing is lost if the run ends well
or with a line that names the cause, leaves nothing half-written, and, once the fault is gone, what
`make repro` runs ends with the same dvc.lock and outputs.
"""

import ctypes
import os
import random
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

from iic.core.errors import InputError
from iic.experiments.scratch import STAGES
from iic.pipeline.paths import LOCK
from iic.pipeline.resume import FOLDER as STATES
from tools.chaos import clones
from tools.chaos.clones import CACHE, SITE, TMP, Count, fault_of, mounted
from tools.command import Ending, call, ending_of, start

# The files and folders that each stage writes, in this order.
WRITTEN: Mapping[str, Sequence[str]] = {
    "source": ["data/source.json"],
    "download": ["data/images.npz", "data/labels.npz", "data/appearance.json"],
    "augment": ["data/draws.npz"],
    "neighbors": ["data/neighbors.npz"],
    "train": ["model/model.json", "model/model.weights.h5", "reports/history.csv",
              "data/snapshots.npz"],
    "evaluate": ["reports/metrics.json", "reports/accuracy.csv", "reports/predictions.csv",
                 "reports/assignments.csv", "model-card.json"],
    "report": ["reports/figures", "reports/index.html"],
}  # fmt: skip
# These get disks of their own, since more room is needed for the weights than they would take.
_OWN_DISK = {"reports/history.csv": Path("reports"), "data/snapshots.npz": Path("data")}
# A training writes the metrics to watch before its first output.
_FIRST = {"model/model.json": "dvclive"}
# What DVC and its databases say about their own files, which they do not always name.
_FULL = "No space left|disk is full|disk I/O error"
_READ_ONLY = "Read-only|readonly|unable to open database|unlocked lock"
_LOCKED = "lock|busy"
# What a training says whose resume state cannot be written.
_GOES_ON = "an interruption now would cost epoch"
# The library of Debian's package faketime.
_FAKETIME = {"LD_PRELOAD": "/usr/$LIB/faketime/libfaketime.so.1", "FAKETIME_CACHE_DURATION": "1"}
# Linux's CLONE_NEWNS (os.unshare needs Python 3.12), and bytes of a page.
_NEW_MOUNTS, _PAGE = 0x00020000, 4096


class Fault(NamedTuple):
    """A fault of the machine while a stage runs."""

    what: str
    stage: str
    # Applies the fault to a clone until its context is left.
    apply: Callable[[Path], AbstractContextManager[object]]
    named: str = ""  # regular expression that a refusal must match; "" = a refusal is wrong
    at_stage: bool = True  # whether it begins with the stage; False = before anything runs
    says: str = ""  # regular expression that the output must match in any case
    disks: Sequence[Path] = (Path(),)  # folders of the clone that are disks of their own
    variables: Mapping[str, str] = {}  # `{top}` stands for the folder that holds the clone


def on_digits(_: random.Random) -> Iterator[Count]:
    """Try every fault that this machine can be given, on the digits."""
    count, no_mounts = Count(), own_mounts()
    no_clocks = "" if shutil.which("faketime") else "no faketime"
    twice = [Fault("two DVCs at once", stage, _another, _LOCKED, disks=()) for stage in STAGES]
    with clones.finished_clone("tour", clones.SMALL) as finished:
        for kind, faults, why_not in (
            ("full", [*full_disks(finished), *full_places()], no_mounts),
            ("read-only", [*read_only_folders()], no_mounts),
            ("clock", [*clocks()], no_clocks),
            ("two at once", twice, ""),
        ):
            if why_not:
                count.details[f"{kind}: skipped, {why_not}"] += len(faults)
                continue
            for fault in faults:
                what, ended = trial(fault, finished)
                moment = "with" if fault.at_stage else "before"
                says = f"{fault.what}, {moment} {fault.stage}: {what}"
                count.add(says if what else "", f"{kind}: {ended}")
                yield count


def full_disks(finished: Path) -> Iterator[Fault]:
    """Fill the disk in the middle of each output, or after all outputs of a stage."""
    for stage, files in WRITTEN.items():
        before = 0
        for file in files:
            size, disk = _pages(finished / file), _OWN_DISK.get(file, Path())
            apply = partial(_full, disk, size // 2 + (0 if file in _OWN_DISK else before))
            named, disks = re.escape(_FIRST.get(file, file)), list(dict.fromkeys((Path(), disk)))
            yield Fault(f"disk full in {file}", stage, apply, named, disks=disks)
            before += size
        yield Fault(f"disk full after {stage}", stage, partial(_full, Path(), before), _FULL)


def full_places() -> Iterator[Fault]:
    """Fill DVC's own folders, and that of the resume states."""
    for place, stage, at_stage in product((CACHE, TMP, SITE), ("download", "train"), (False, True)):
        apply, disks = partial(_full, place, 0), (Path(), place)
        yield Fault(f"{place} full", stage, apply, _FULL, at_stage, disks=disks)
    for room in (0, 10):
        apply, disks = partial(_full, STATES, room), (Path(), STATES)
        yield Fault(f"{STATES} full", "train", apply, says=_GOES_ON, disks=disks)


def read_only_folders() -> Iterator[Fault]:
    """Make each folder that is written to read-only, before anything runs or during a stage."""
    before, both = (False,), (False, True)
    for place, stages, moments in (
        (Path("data"), ("download", "augment", "neighbors", "train"), both),
        # DVC removes these two before the stage begins.
        (Path("model"), ("train",), before),
        (Path("reports/figures"), ("report",), before),
        (Path("reports"), ("train", "evaluate", "report"), both),
        (Path(), ("download", "train", "report"), both),
        *((place, ("download", "train"), both) for place in (CACHE, TMP, SITE)),
        (STATES, ("train",), both),
    ):
        # A training goes on without its resume states.
        named, says = ("", _GOES_ON) if place == STATES else (_READ_ONLY, "")
        what, apply = f"{place} read-only", partial(_read_only, place)
        for stage, at_stage in product(stages, moments):
            yield Fault(what, stage, apply, named, at_stage, says)


def clocks() -> Iterator[Fault]:
    """Set the clock wrong by a year, or set it back while a stage runs."""
    for stage in ("download", "train", "evaluate"):
        for what, variables in (
            ("clock back by a year", {"FAKETIME": "-365d"}),
            ("clock forward by a year", {"FAKETIME": "+365d"}),
            ("clock jumps back by a year", {"FAKETIME_TIMESTAMP_FILE": "{top}/clock"}),
        ):
            yield Fault(what, stage, _clock_set_back, disks=(), variables=_FAKETIME | variables)


@contextmanager
def _clock_set_back(clone: Path) -> Iterator[None]:
    (clone.parent / "clock").write_text("-365d")
    yield


@contextmanager
def _another(clone: Path) -> Iterator[None]:
    with start("dvc", "repro", cwd=clone) as process:
        yield
        said, _ = process.communicate()
    if fault := fault_of(Ending(process.returncode, said), _LOCKED):
        raise InputError(f"the other DVC: {fault}")


@contextmanager
def _full(place: Path, room: int, clone: Path) -> Iterator[None]:
    """Leave only so many free pages on the disk of a folder."""
    ballast, found = clone / place / ".ballast", os.statvfs(clone / place)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - room * _PAGE)
    try:
        yield
    finally:
        ballast.unlink()


def _pages(path: Path) -> int:
    """Number of pages that a file, or all files below a folder, take on such a disk."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(-(-file.stat().st_size // _PAGE) for file in files)


@contextmanager
def _read_only(place: Path, clone: Path) -> Iterator[None]:
    """Refuse writing and removing below a folder, which is made if need be."""
    folder = clone / place
    with nullcontext() if folder.is_mount() else mounted(folder, "--bind", str(folder)):
        call("mount", "-o", "remount,bind,ro", str(folder), cwd=folder.parent)
        try:
            yield
        finally:
            call("mount", "-o", "remount,bind,rw", str(folder), cwd=folder.parent)


def own_mounts() -> str:
    """Hide later mounts of this process from all others; return "", or why that is impossible."""
    if sys.platform != "linux":
        return "no Linux"
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS) != 0:
        return f"unshare: {os.strerror(ctypes.get_errno())}"
    ending = ending_of("mount", "--make-rprivate", "/", cwd=Path("/"))
    return ending.said.strip() if ending.status else ""


def trial(fault: Fault, finished: Path) -> tuple[str, str]:
    """Run a stage under a fault in a copy of a finished clone; return what was lost and the end."""
    with clones.copy_of(finished, fault.disks) as clone:
        lock, before = (clone / LOCK).read_bytes(), clones.written(clone)
        clones.forget(clone, fault.stage)
        try:
            ending = _disturbed(fault, clone)
        except InputError as error:
            return str(error), "lost"
        changed = clones.written(clone).items() - before.items()
        found = [
            fault_of(ending, fault.named, fault.says),
            *(f"{path} is half-written" for path, _ in sorted(changed)),
            clones.lost(clone, lock, clones.make_repro(clone)),
        ]
        return ", ".join(filter(None, found)), "refused" if ending.status else "ended well"


def _disturbed(fault: Fault, clone: Path) -> Ending:
    """Run what `make repro` runs under a fault; the stage runs even if nothing has changed."""
    own = {name: value.format(top=clone.parent) for name, value in fault.variables.items()}
    variables = os.environ | {"PYTHONUNBUFFERED": "1"} | own
    said = []
    with ExitStack() as applied:
        if not fault.at_stage:
            applied.enter_context(fault.apply(clone))
            repaired = ending_of(*clones.REPAIR, cwd=clone, env=variables)
            if repaired.status != 0:
                return repaired
        repro = ("dvc", "repro", "--force", "--single-item", fault.stage)
        with start(*repro, cwd=clone, env=variables) as process:
            for line in process.stdout or ():
                said.append(line)
                # DVC prints the stage's command as it starts it.
                if fault.at_stage and line.startswith("> "):
                    applied.enter_context(fault.apply(clone))
    return Ending(process.returncode, "".join(said))
