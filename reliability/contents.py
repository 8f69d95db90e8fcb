"""Whether files hold what dvc.lock says, by their bytes and not by what DVC remembers of them."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml


class Output(NamedTuple):
    """An output in dvc.lock.

    Attributes:
        stage: that makes it.
        path: below the repository's top folder.
        md5: as DVC writes it, of a folder's list with the ending ".dir".
    """

    stage: str
    path: Path
    md5: str


def outputs(clone: Path) -> Iterator[Output]:
    """All that dvc.lock names."""
    stages = yaml.safe_load((clone / "dvc.lock").read_text("utf-8"))["stages"]
    for stage, entry in stages.items():
        for out in entry["outs"]:
            yield Output(stage, Path(out["path"]), out["md5"])


def wrong(clone: Path) -> list[str]:
    """Outputs that are missing or of other bytes."""
    return [str(out.path) for out in outputs(clone) if md5_of(clone / out.path) != out.md5]


def md5_of(path: Path) -> str:
    """As DVC computes it for a file or a folder; empty where there is nothing."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        rows = [
            {"md5": md5_of(file), "relpath": file.relative_to(path).as_posix()} for file in files
        ]
        return f"{_md5(json.dumps(rows, sort_keys=True).encode())}.dir"
    return _md5(path.read_bytes()) if path.is_file() else ""


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def object_of(clone: Path, md5: str) -> Path:
    """Where DVC's cache keeps it."""
    return clone / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def forget(clone: Path, stage: str) -> None:
    """Let nothing but a run of the stage bring its outputs back once they are gone."""
    for out in outputs(clone):
        if out.stage == stage:
            for md5 in (out.md5, *_members(clone, out)):
                object_of(clone, md5).unlink(missing_ok=True)
    for note in (clone / ".dvc/cache/runs").glob("*/*/*"):
        if yaml.safe_load(note.read_text("utf-8"))["cmd"] == f"python -m stages.{stage}":
            note.unlink()


def _members(clone: Path, out: Output) -> Iterator[str]:
    if out.md5.endswith(".dir") and object_of(clone, out.md5).exists():
        for row in json.loads(object_of(clone, out.md5).read_text("utf-8")):
            yield row["md5"]
