"""The pipeline on a machine on which something is wrong for a while.

A trial runs one stage of a finished clone anew under a fault. Nothing is lost if it ends well or
with a line that names what is at fault, leaves nothing half-written, and, once the fault is gone,
what `make repro` runs ends with the same dvc.lock and outputs of its MD5s.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from iic.core.errors import InputError
from iic.pipeline.paths import LOCK
from iic.pipeline.resume import FOLDER as STATES
from tools.chaos.clones import SITE, copy_into, finished_clone
from tools.chaos.contents import forget, written
from tools.chaos.counting import Count
from tools.chaos.disks import disk, own_mounts
from tools.chaos.endings import Ending, fault_of, lost_at_last
from tools.chaos.faults import (
    TMP,
    Fault,
    clocks,
    full_disks,
    full_places,
    others,
    read_only_folders,
)

SETTINGS = ("model.widths=[8,8,16]", "train.epochs=3", "augment.views=4")
# Of a clone, in bytes.
_DISK = 200_000_000
# No file in them is linked with one elsewhere, so that each may be a disk of its own.
_UNLINKED = {".", TMP, SITE, STATES}


def on_digits(numbers: random.Random) -> Iterator[Count]:  # noqa: ARG001 - nothing is random
    """All faults that this machine can be given, one after the other."""
    count, why_not = Count(), own_mounts()
    with finished_clone("tour", SETTINGS) as finished:
        yield from _tried(count, "full", [*full_disks(finished), *full_places()], finished, why_not)
        yield from _tried(count, "read-only", [*read_only_folders()], finished, why_not)
        why_not = "" if shutil.which("faketime") else "no faketime"
        yield from _tried(count, "clock", [*clocks()], finished, why_not)
        yield from _tried(count, "two at once", [*others()], finished, "")


def _tried(
    count: Count, kind: str, faults: Sequence[Fault], finished: Path, why_not: str
) -> Iterator[Count]:
    """Count a trial of each fault, or how many could not be tried and why."""
    if why_not:
        count.details[f"{kind}: skipped, {why_not}"] += len(faults)
        faults = ()
    for fault in faults:
        what, ended = trial(fault, finished)
        moment = "with" if fault.at_stage else "before"
        says = f"{fault.what}, {moment} {fault.stage}: {what}"
        count.add(says if what else "", f"{kind}: {ended}")
        yield count


def trial(fault: Fault, finished: Path) -> tuple[str, str]:
    """What was lost, and how the disturbed run ended; in a copy of a finished clone."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as disks:
        clone = Path(name) / "clone"
        clone.mkdir()
        for place in fault.disks:
            disks.enter_context(disk(clone / place, _DISK))
        copy_into(clone, finished, linked=set(fault.disks) <= _UNLINKED)
        lock, before = (clone / LOCK).read_bytes(), written(clone)
        forget(clone, fault.stage)
        try:
            ending = _disturbed(fault, clone)
        except InputError as error:
            return str(error), "lost"
        others = written(clone).items() - before.items()
        found = [
            fault_of(ending, fault.named, fault.says),
            *(f"{path} is half-written" for path, _ in sorted(others)),
            lost_at_last(clone, lock),
        ]
        return ", ".join(filter(None, found)), "ended well" if ending.status == 0 else "refused"


def _disturbed(fault: Fault, clone: Path) -> Ending:
    """How what `make repro` runs ends under a fault; the stage runs even if nothing has changed."""
    variables = {name: value.format(top=clone.parent) for name, value in fault.variables.items()}
    said = []
    with ExitStack() as applied:
        if not fault.at_stage:
            applied.enter_context(fault.apply(clone))
            mended = _begun(clone, variables, sys.executable, "-m", "iic.cli", "repair")
            output, _ = mended.communicate()
            if mended.returncode != 0:
                return Ending(mended.returncode, output)
        repro = ("dvc", "repro", "--force", "--single-item", fault.stage)
        with _begun(clone, variables, *repro) as process:
            for line in process.stdout or ():
                said.append(line)
                # DVC's echo of the stage's command.
                if fault.at_stage and line.startswith("> "):
                    applied.enter_context(fault.apply(clone))
    return Ending(process.returncode, "".join(said))


def _begun(clone: Path, variables: Mapping[str, str], *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - a list, no shell
        command,
        cwd=clone,
        env=os.environ | {"PYTHONUNBUFFERED": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
