"""What a failing disk has changed: objects of DVC's cache, and outputs, whose content is another.

DVC names an object by the MD5 of its content, and looks at that no more once it is stored.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo

from iic.errors import InputError
from stages.inputs import LOCK, md5_of, outputs_in

_FOLDER = ".dir"
_FOLDERS, _NAMES = re.compile(r"[0-9a-f]{2}"), re.compile(r"[0-9a-f]{30}(\.dir)?")


def remove_damaged(*, everything: bool) -> Iterator[Path]:
    """Remove damaged objects from DVC's cache, and yield where they were.

    Outputs are left to DVC, which looks at those again that are not as dvc.lock says.

    Args:
        everything: all of the cache; else what dvc.lock names.

    Raises:
        InputError: this is no repository of DVC's.
    """
    cache = _cache()
    outputs = _outputs()
    for file in _stored(cache) if everything else _named(cache, [md5 for _, md5 in outputs]):
        if not _is_whole(file):
            file.unlink()
            yield file
    for name, md5 in outputs:
        _let_look_again(Path(name), md5)


def _outputs() -> list[tuple[str, str]]:
    """Those in dvc.lock; none of one that is amid a merge, which DVC itself refuses."""
    try:
        return list(outputs_in(LOCK)) if LOCK.exists() else []
    except yaml.YAMLError:
        return []


def _cache() -> Path:
    try:
        with Repo() as repo:
            return Path(repo.cache.local.path)
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
