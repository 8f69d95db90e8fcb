"""What stands in the files of a clone, whatever DVC remembers of them."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from iic.pipeline.inputs import md5_of, outputs_in
from iic.pipeline.paths import LOCK
from tools.chaos.clones import CACHE

_FOLDER = ".dir"
# Below them lie all outputs and nothing else but what Git knows.
_PLACES = ("data", "model", "model-card.json", "reports")


def wrong(clone: Path) -> list[str]:
    """Outputs in dvc.lock that are not there or not of their MD5, and such objects of the cache."""
    paths = [*_named(clone), *_stored(clone)]
    return [
        path.relative_to(clone).as_posix()
        for path, md5 in paths
        if not path.exists() or md5_of(path) != md5
    ]


def _named(clone: Path) -> Iterator[tuple[Path, str]]:
    for name, md5 in outputs_in(clone / LOCK):
        yield clone / name, md5


def _stored(clone: Path) -> Iterator[tuple[Path, str]]:
    # What begins with a dot, DVC has begun to write and left.
    for path in (clone / CACHE).glob("files/md5/??/[!.]*"):
        yield path, (path.parent.name + path.name).removesuffix(_FOLDER)


def written(clone: Path) -> Mapping[str, str]:
    """MD5 of each file where outputs are, by its path."""
    tops = [clone / place for place in _PLACES]
    paths = [path for top in tops for path in (top, *top.rglob("*")) if path.is_file()]
    return {path.relative_to(clone).as_posix(): md5_of(path) for path in paths}


def forget(clone: Path, stage: str) -> None:
    """Let nothing but a run of the stage bring its outputs back, once they are gone."""
    for out in yaml.safe_load((clone / LOCK).read_text("utf-8"))["stages"][stage]["outs"]:
        for path in objects_of(clone, out["md5"]):
            path.unlink()
    for note in (clone / CACHE / "runs").glob("*/*/*"):
        if yaml.safe_load(note.read_text("utf-8"))["cmd"] == f"python -m stages.{stage}":
            # DVC stumbles over a folder without a note.
            shutil.rmtree(note.parent)


def objects_of(clone: Path, md5: str) -> list[Path]:
    """What DVC's cache holds of an output, with the objects of its files if it is a folder."""
    path = clone / CACHE / "files/md5" / md5[:2] / md5[2:]
    if not path.exists():
        return []
    rows = json.loads(path.read_text("utf-8")) if md5.endswith(_FOLDER) else []
    return [path, *(below for row in rows for below in objects_of(clone, row["md5"]))]
