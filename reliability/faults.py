"""Faults of the machine while a stage runs: full disks, read-only folders, clocks, another DVC.

A trial runs one stage of a finished clone anew under a fault. Nothing is lost if that ends with a
line that names what is at fault, or well; nothing half-written is left; and, once the fault is
gone, what `make repro` runs ends with the same dvc.lock and outputs of its MD5s.
"""

import os
import random
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from iic.errors import InputError
from reliability.clones import call, finished_clone, lost, repro
from reliability.contents import forget, outputs, wrong
from reliability.counting import Count
from reliability.disks import disk, full, own_mounts, read_only
from reliability.kills import stage_of

SETTINGS = ("model.widths=[8,8,16]", "train.epochs=3", "augment.views=4")
_PAGE = 4096
_DISK = 200_000_000
SITE = ".dvc/tmp/site"
# What each stage writes, in order.
WRITTEN: Mapping[str, Sequence[str]] = {
    "download": ("data/images.npz", "data/labels.npz"),
    "augment": ("data/draws.npz",),
    "neighbors": ("data/neighbors.npz",),
    "train": ("model/model.json", "model/model.weights.h5", "reports/history.csv", "data/snapshots.npz"),
    "evaluate": ("reports/metrics.json", "reports/accuracy.csv", "reports/predictions.csv", "reports/assignments.csv", "model-card.json"),
    "report": ("reports/figures", "reports/index.html"),
}


class Fault(NamedTuple):
    name: str
    stage: str
    apply: Callable[[Path], AbstractContextManager[object]]
    named: str = ""
    disks: Sequence[str] = ()
    at_once: bool = False
    environment: Mapping[str, str] = {}


def full_disks(finished: Path) -> Iterator[Fault]:
    for stage, files in WRITTEN.items():
        before = 0
        for file in files:
            size = _pages(finished / file)
            yield Fault(f"disk full while {file} is written", stage, _full(".", (before + size // 2)*_PAGE), re.escape(file.split("/")[0]), (".",))
            before += size
        for more in range(0, 12, 2):
            yield Fault(f"disk full {more} pages after {stage}", stage, _full(".", (before+more)*_PAGE), r"\.dvc|dvc\.lock|model|data|reports", (".",))
    for place in (".dvc/cache", ".dvc/tmp", SITE):
        for stage in ("download", "train", "evaluate"):
          for room in (0, 1,2,  4, 16, 150):
            yield Fault(f"{place} full during {stage} {room}", stage, _full(place, room*_PAGE), r"\.dvc", (".", place))
            yield Fault(f"{place} full before {stage} {room}", stage, _full(place, room*_PAGE), r"\.dvc", (".", place), at_once=True)
    for room in (0, 10):
        yield Fault("disk full while the resume state is written", "train", _full(".resume", room*_PAGE), "", (".", ".resume"))


def _full(place, room):
    return lambda clone: full(clone / place, room)

def _read_only(place):
    @contextmanager
    def a(clone):
        (clone / place).mkdir(exist_ok=True)
        with read_only(clone / place):
            yield
    return a

def read_only_folders():
    places = {
        "data": ["download", "augment", "neighbors", "train"],
        "model": ["train"],
        "reports": ["train", "evaluate", "report"],
        "reports/figures": ["report"],
        ".": list(WRITTEN),
        ".resume": ["train"],
        ".dvc/cache": ["download", "train"],
        ".dvc/tmp": ["download", "train"],
        SITE: ["download", "train"],
    }
    for place, stages in places.items():
        for stage in stages:
            yield Fault(f"{place} read-only before {stage}", stage, _read_only(place), re.escape(place) if place != "." else "", (".",), at_once=True)
            if place not in ("model", "reports/figures"):
                yield Fault(f"{place} read-only during {stage}", stage, _read_only(place), re.escape(place) if place != "." else "", (".",))


def _pages(path: Path) -> int:
    files = [path] if path.is_file() else [*path.rglob("*")]
    return sum(-(-file.stat().st_size // _PAGE) for file in files)


@contextmanager
def copy_of(finished: Path, disks: Sequence[str] = ()) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as mounts:
        clone = Path(name) / "clone"
        for place in disks:
            (clone / place).mkdir(parents=True, exist_ok=True)
            mounts.enter_context(disk(clone / place, _DISK))
        call("cp", "--archive", f"{finished}/.", str(clone), cwd=finished)
        (clone / ".dvc/config.local").write_text(f"[core]\n    site_cache_dir = {clone / SITE}\n")
        call("dvc", "status", cwd=clone)
        yield clone


def trial(fault: Fault, clone: Path):
    lock = (clone / "dvc.lock").read_bytes()
    forget(clone, fault.stage)
    status, said = run_under(fault, clone)
    what = judge(fault, status, said)
    left = half_written(clone)
    try:
        r = repro(clone)
    except InputError as error:
        return what, left, str(error), said
    return what, left, lost(clone, lock), wrong(clone), said


def run_under(fault: Fault, clone: Path):
    with ExitStack() as applied, subprocess.Popen(
        ["dvc", "repro", "--force", "--single-item", fault.stage] if not fault.at_once else "sleep 1; exec dvc repro --force --single-item " + fault.stage,
        shell = fault.at_once,
        cwd=clone,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | fault.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        if fault.at_once: applied.enter_context(fault.apply(clone))
        said = []
        for line in process.stdout:
            said.append(line)
            if stage_of(line) and not fault.at_once:
                applied.enter_context(fault.apply(clone))
        process.wait()
    return process.returncode, "".join(said)


def judge(fault, status, said):
    return status, bool(re.search(f"^(error|ERROR): .*{fault.named}", said, re.M)), "Traceback" in said

def half_written(clone):
    for out in outputs(clone): pass
    return [str(p.relative_to(clone)) for p in clone.rglob("*") if p.name.startswith(".") and (p.parent / p.name[1:].rsplit(".",1)[0]).name in ("images.npz","labels.npz", "x")] + [str(p) for p in clone.glob("data/.*")]+ [str(p) for p in clone.glob("model/.*")]+ [str(p) for p in clone.glob("reports/.*")]+ [str(p) for p in clone.glob("reports/figures/.*")]+[w for w in wrong(clone) if (clone/w).exists()]
