"""Clones of the repository to try things in: commands, counts, and what has become of a clone."""

import json
import re
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from iic.experiments.recipes import options_of, read_settings, recipe_params, with_overrides
from iic.pipeline.inputs import md5_of, outputs_in
from iic.pipeline.paths import LOCK, PIPELINE
from iic.pipeline.resume import FOLDER as STATES
from tools.command import Ending, call, ending_of

CACHE, TMP = Path(".dvc/cache"), Path(".dvc/tmp")
# Where the DVC of a copy keeps its databases, outside of the repository.
SITE = Path("../site")
# Settings of a small pipeline, on top of the recipe `tour`, which takes the 1,797 digits.
SMALL = ("model.widths=[8,8,16]", "train.epochs=3", "augment.views=4")
_STATUS = ("dvc", "status", "--quiet", str(PIPELINE))
# Repairs what an interrupted DVC has left behind.
REPAIR = (sys.executable, "-m", "iic.cli", "repair")
# DVC links no file in these with one elsewhere, so that each may be a disk of its own, of 200 MB.
_UNLINKED = {Path(), TMP, SITE, STATES}
_DISK = ("-t", "tmpfs", "-o", "size=200000000", "tmpfs")
# All outputs are these or lie below them.
_OUTPUTS = ("data", "model", "model-card.json", "reports")
_FOLDER = ".dir"
_ERROR = re.compile(r"^(?:error|ERROR): (.*)$", re.MULTILINE)


@dataclass
class Count:
    """The trials of a campaign, a line for each that lost something, and what else happened."""

    tried: int = 0
    lost: list[str] = field(default_factory=list)
    details: Counter[str] = field(default_factory=Counter)

    def add(self, lost: str, *details: str) -> None:
        """Count a trial; `lost` says what was lost, "" = nothing."""
        self.tried += 1
        self.details.update(details)
        self.lost += [lost] if lost else []


def fault_of(ending: Ending, named: str, says: str = "") -> str:
    """Return what is wrong with an ending in one line, or "" for success or a clear refusal.

    A refusal has to match the expression `named` ("" = is wrong), and any output `says`.
    """
    lines = " | ".join(found := _ERROR.findall(ending.said))
    faults = {
        f"does not say: {says}": not re.search(says, ending.said),
        "": ending.status == 0,
        f"crashed: {lines}": ending.status < 0 or "exited with -" in ending.said,
        f"traceback: {ending.said.strip()[-300:]}": "Traceback" in ending.said,
        f"refused: {lines}": not named,
        f"does not name {named}: {lines}": not any(re.search(named, line) for line in found),
    }
    return next((fault for fault, is_so in faults.items() if is_so), "")


@contextmanager
def cloned() -> Iterator[Path]:
    """Clone what is committed into a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        call("git", "clone", "--quiet", str(Path.cwd()), str(clone), cwd=Path.cwd())
        yield clone


@contextmanager
def finished_clone(recipe: str, settings: Sequence[str]) -> Iterator[Path]:
    """Clone what is committed, run the pipeline with a recipe there, and commit its results."""
    params = with_overrides(recipe_params(recipe), read_settings(settings), "settings")
    with cloned() as clone:
        call("dvc", "exp", "run", *options_of(params), cwd=clone)
        # DVC keeps some words of an old lock file; a trial may remove it and get a new one.
        (clone / LOCK).unlink()
        call("dvc", "repro", cwd=clone)
        author = ("-c", "user.name=trial", "-c", "user.email=trial@example.org")
        call("git", "add", "--all", cwd=clone)
        call("git", *author, "commit", "--quiet", "--message", "finished", cwd=clone)
        yield clone


@contextmanager
def copy_of(finished: Path, disks: Sequence[Path] = ()) -> Iterator[Path]:
    """Copy a finished clone into a temporary folder, and let DVC look at the copy.

    `disks` are folders of the copy that become disks of their own.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as mounts:
        clone = Path(name) / "clone"
        clone.mkdir()
        for place in disks:
            mounts.enter_context(mounted(clone / place, *_DISK))
        linked = _UNLINKED.issuperset(disks)
        links = [] if linked else ["--no-preserve=links"]
        call("cp", "--archive", *links, f"{finished}/.", str(clone), cwd=finished)
        site = (clone / SITE).resolve()
        (clone / ".dvc/config.local").write_text(f"[core]\n    site_cache_dir = {site}\n")
        how = ("status",) if linked else ("checkout", "--relink")
        call("dvc", *how, str(PIPELINE), cwd=clone)
        yield clone


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something at a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    call("mount", *options, str(folder), cwd=folder.parent)
    try:
        yield
    finally:
        # A lazy unmount does not fail if a process still has a file open.
        call("umount", "--lazy", str(folder), cwd=folder.parent)


def make_repro(clone: Path) -> Ending:
    """Run what `make repro` runs in an existing environment."""
    return ending_of("sh", "-c", f"{shlex.join(REPAIR)} && dvc repro", cwd=clone)


def lost(clone: Path, lock: bytes, ending: Ending) -> str:
    """Return what make_repro has not restored, in words, or ""; `lock` was dvc.lock before."""
    if ending.status != 0:
        return f"make repro: {' '.join(ending.said.split())[-2000:]}"
    found = {
        "dvc.lock differs": (clone / LOCK).read_bytes() != lock,
        "DVC sees a change": ending_of(*_STATUS, cwd=clone).status != 0,
        "Git sees a change": bool(call("git", "status", "--porcelain", cwd=clone)),
        "a resume state is left": any((clone / STATES).glob("*")),
        **{f"{name} has other bytes": True for name in wrong(clone)},
    }
    return ", ".join(what for what, is_so in found.items() if is_so)


def wrong(clone: Path) -> list[str]:
    """List outputs in dvc.lock and objects of DVC's cache that are missing or of another MD5."""
    # DVC begins files with a dot, and may leave them.
    stored = (clone / CACHE).glob("files/md5/??/[!.]*")
    found = [
        *((clone / name, md5) for name, md5 in outputs_in(clone / LOCK)),
        *((path, (path.parent.name + path.name).removesuffix(_FOLDER)) for path in stored),
    ]
    bad = [path for path, md5 in found if not path.exists() or md5_of(path) != md5]
    return [path.relative_to(clone).as_posix() for path in bad]


def written(clone: Path) -> Mapping[str, str]:
    """Return the MD5 of each file in the folders of outputs, by its path."""
    tops = [clone / place for place in _OUTPUTS]
    paths = [path for top in tops for path in (top, *top.rglob("*")) if path.is_file()]
    return {path.relative_to(clone).as_posix(): md5_of(path) for path in paths}


def forget(clone: Path, stage: str) -> None:
    """Remove a stage's outputs and runs from DVC's cache, so that only a run can restore them."""
    for out in yaml.safe_load((clone / LOCK).read_text("utf-8"))["stages"][stage]["outs"]:
        for path in objects_of(clone, out["md5"]):
            path.unlink()
    for note in (clone / CACHE / "runs").glob("*/*/*"):
        if yaml.safe_load(note.read_text("utf-8"))["cmd"] == f"python -m stages.{stage}":
            # DVC fails at a folder without a note.
            shutil.rmtree(note.parent)


def objects_of(clone: Path, md5: str) -> list[Path]:
    """List the files in DVC's cache of an output, with those of its files if it is a folder."""
    path = clone / CACHE / "files/md5" / md5[:2] / md5[2:]
    if not path.exists():
        return []
    rows = json.loads(path.read_text("utf-8")) if md5.endswith(_FOLDER) else []
    return [path, *(below for row in rows for below in objects_of(clone, row["md5"]))]
