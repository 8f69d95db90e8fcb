"""What a failing disk has changed: objects and notes of DVC's cache, and outputs.

DVC names an object by the MD5 of its content, and a note on a run by a hash of what it says, and
looks at neither any more once they are stored.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils import dict_sha256
from dvc.utils.serialize import load_yaml
from dvc_data.hashfile.meta import Meta

from iic.core.errors import InputError
from iic.pipeline.inputs import md5_of, outputs_in
from iic.pipeline.paths import LOCK

_FOLDER = ".dir"
_HASH = re.compile(r"[0-9a-f]{64}")
_FOLDERS, _NAMES = re.compile(r"[0-9a-f]{2}"), re.compile(r"[0-9a-f]{30}(\.dir)?")


def remove_damaged(*, everything: bool) -> Iterator[Path]:
    """Remove damaged objects and notes from DVC's cache, and yield where they were.

    Outputs are left to DVC, which looks at those again that are not as dvc.lock says.

    Args:
        everything: all objects; else those that dvc.lock names.

    Raises:
        InputError: this is no repository of DVC's.
    """
    cache, notes = _cache()
    outputs = _outputs()
    objects = _stored(cache) if everything else _named(cache, [md5 for _, md5 in outputs])
    for file in objects:
        if not _is_whole(file):
            file.unlink()
            yield file
    for folder in sorted(notes.glob("??/*")):
        yield from _damaged_notes(folder, cache)
        # Unless something is left; DVC stumbles over an empty one.
        with suppress(OSError):
            folder.rmdir()
    for name, md5 in outputs:
        _let_look_again(Path(name), md5)


def _outputs() -> list[tuple[str, str]]:
    """Those in dvc.lock; none of one that is amid a merge, which DVC itself refuses."""
    try:
        return list(outputs_in(LOCK)) if LOCK.exists() else []
    except yaml.YAMLError:
        return []


def _cache() -> tuple[Path, Path]:
    """Folders of the objects and of the notes."""
    try:
        with Repo() as repo:
            return Path(repo.cache.local.path), Path(repo.stage_cache.cache_dir)
    except DvcException as error:
        raise InputError(f"{error}; run from the repository's top folder") from error


def _stored(cache: Path) -> Iterator[Path]:
    """All objects; what DVC has begun to write has another name."""
    for file in sorted(cache.glob("??/*")):
        if _FOLDERS.fullmatch(file.parent.name) and _NAMES.fullmatch(file.name):
            yield file


def _named(cache: Path, names: list[str]) -> Iterator[Path]:
    """Objects of these names, as far as they are there, and what those list that are folders."""
    for name in names:
        file = cache / name[:2] / name[2:]
        if file.exists():
            yield file
            if name.endswith(_FOLDER) and file.exists():
                yield from _named(cache, [entry["md5"] for entry in json.loads(file.read_text())])


def _is_whole(file: Path) -> bool:
    return md5_of(file) == (file.parent.name + file.name).removesuffix(_FOLDER)


def _damaged_notes(folder: Path, cache: Path) -> Iterator[Path]:
    """Those that were removed; what DVC has begun to write has another name."""
    for note in sorted(folder.iterdir()):
        if _HASH.fullmatch(note.name) and not _is_true(note, cache):
            note.unlink()
            yield note


def _is_true(note: Path, cache: Path) -> bool:
    """Whether a note says what its name is the hash of, and sizes, which that leaves out."""
    try:
        content = load_yaml(note)
        name = dict_sha256(content, exclude=[Meta.PARAM_SIZE, Meta.PARAM_NFILES])
        return name == note.name and all(_has_size(out, cache) for out in content["outs"])
    except (DvcException, AttributeError, KeyError, TypeError, ValueError):
        return False


def _has_size(out: dict[str, Any], cache: Path) -> bool:
    """Whether the size is that of the object; true of folders and of what is not there."""
    file = cache / out["md5"][:2] / out["md5"][2:]
    return file.suffix == _FOLDER or not file.exists() or file.stat().st_size == out["size"]


def _let_look_again(path: Path, md5: str) -> None:
    """Give an output that is not as it was written another time, by which DVC sees that."""
    for file in _all_of(path):
        if file.is_symlink() and not file.exists():
            # Its object was removed.
            file.unlink()
    if path.exists() and md5_of(path) != md5:
        for file in _all_of(path):
            os.utime(file)


def _all_of(path: Path) -> list[Path]:
    return [path, *path.rglob("*")]
