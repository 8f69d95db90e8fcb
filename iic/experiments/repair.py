"""Repair DVC's files after a kill or a disk failure.

DVC has two limitations. If it is killed while it writes one of its two lock files, it refuses to
run until that file is repaired. Also, it never checks the content of a stored file again: an object
in its cache is named by the MD5 of its content, an entry of its run-cache by a hash of its text.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Any

import psutil
import yaml
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils import dict_sha256
from dvc.utils.serialize import load_yaml
from dvc_data.hashfile.meta import Meta
from voluptuous import Invalid

from iic.core.errors import InputError
from iic.experiments.commands import try_to_run
from iic.experiments.datapath import check_data_paths
from iic.experiments.git_repair import repair_git
from iic.experiments.restore import restore_missing
from iic.pipeline.inputs import md5_of, outputs_in
from iic.pipeline.paths import CLUSTERING, PIPELINES, Pipeline

# Lists which process reads or writes which path. Without it, DVC treats all paths as unlocked.
RWLOCK = Path(".dvc/tmp/rwlock")
LOCKS = tuple(pipeline.lock for pipeline in PIPELINES)
# Longer than a living DVC takes to write either lock file.
_WRITE_SECONDS = 2.0
_FOLDER_SUFFIX = ".dir"
# Names in DVC's cache; a file that DVC is still writing has another name.
_OBJECT_FOLDER, _OBJECT_NAME = re.compile(r"[0-9a-f]{2}"), re.compile(r"[0-9a-f]{30}(\.dir)?")
_RUN_NAME = re.compile(r"[0-9a-f]{64}")


def repair_repository(*, everything: bool, pipeline: Pipeline = CLUSTERING) -> None:
    """Repair files of Git and DVC, DVC's cache and missing outputs; report changes on stderr.

    Args:
        everything: Whether to check all objects in the cache instead of those in the lock files.
        pipeline: Pipeline whose parameters are checked. The files of both are repaired.

    Raises:
        InputError: The working directory is not the top folder of a DVC repository, or DVC cannot
            run the pipeline with its parameters.
    """
    _repair_git()
    _repair_lock_files()
    _remove_stale_locks()
    for file in remove_damaged(everything=everything):
        sys.stderr.write(f"{file}: damaged; removed, `dvc repro` makes it again\n")
    if not _is_running():
        for name in restore_missing():
            sys.stderr.write(f"{name}: missing; put back from DVC's cache\n")
    check_data_paths(pipeline)


def _repair_git() -> None:
    try:
        for line in repair_git():
            sys.stderr.write(f"{line}\n")
    except InputError:
        if not _works_without_git():
            raise


def _works_without_git() -> bool:
    try:
        with Repo() as repo:
            return bool(repo.config["core"].get("no_scm"))
    except NotDvcRepoError as error:
        raise InputError(f"{error}; run from the repository's top folder") from error
    except DvcException:
        return False


def _repair_lock_files() -> None:
    broken = [path for path in (RWLOCK, *LOCKS) if not _is_complete(path)]
    if broken:
        # A living DVC may be writing them.
        sleep(_WRITE_SECONDS)
    for path in broken:
        if not _is_complete(path):
            sys.stderr.write(f"{path}: half-written, since DVC was killed; repaired\n")
            path.unlink()
            if path in LOCKS:
                # From Git's index, to which DVC adds it after each write. If it is not there
                # either, DVC takes the outputs of finished stages from its cache.
                try_to_run("git", "restore", "--", str(path))


def _is_complete(path: Path) -> bool:
    """Return whether a lock file is complete or does not exist."""
    if not path.exists():
        return True
    text = path.read_bytes().decode(errors="replace")
    try:
        if path == RWLOCK:
            json.loads(text)
        elif "\n<<<<<<< " not in f"\n{text}":  # a merge conflict is left to the user
            stages = COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(text)).get("stages", {})
            # A file cut off between two stages is valid: DVC reruns the missing stages.
            return text.endswith("\n") and all(
                "md5" in output for stage in stages.values() for output in stage.get("outs", [])
            )
    except (ValueError, yaml.YAMLError, Invalid):
        return False
    return True


def _remove_stale_locks() -> None:
    """Remove the locks if all processes that hold one have ended.

    DVC only asks whether a process with the same number exists, and numbers are used again.
    """
    if RWLOCK.exists():
        written, owners = RWLOCK.stat().st_mtime, [*_owners(json.loads(RWLOCK.read_text()))]
        if owners and not any(_existed(process, written) for process in owners):
            RWLOCK.unlink()


def _is_running() -> bool:
    """Return whether a process holds a lock to write a file."""
    return RWLOCK.exists() and bool(json.loads(RWLOCK.read_text()).get("write"))


def _owners(locks: dict[str, dict[str, Any]]) -> Iterator[int]:
    """Yield the numbers of the processes that hold a lock."""
    for entry in locks.get("write", {}).values():
        yield entry["pid"]
    for entries in locks.get("read", {}).values():
        yield from (entry["pid"] for entry in entries)


def _existed(process: int, when: float) -> bool:
    """Return whether a process with this number exists and had started by a time (seconds)."""
    try:
        return psutil.Process(process).create_time() <= when + _WRITE_SECONDS
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def remove_damaged(*, everything: bool) -> Iterator[Path]:
    """Remove damaged objects and run-cache entries from DVC's cache, and yield their paths.

    Damaged outputs stay; their time is changed, so that DVC checks them and restores them.

    Args:
        everything: Whether to check all objects in the cache instead of those in the lock files.

    Yields:
        Path of each removed file.

    Raises:
        InputError: The working directory is not the top folder of a DVC repository.
    """
    cache, runs = _cache_folders()
    outputs = _outputs()
    objects = _all_objects(cache) if everything else _objects(cache, [md5 for _, md5 in outputs])
    for file in objects:
        if md5_of(file) != (file.parent.name + file.name).removesuffix(_FOLDER_SUFFIX):
            file.unlink()
            yield file
    for folder in sorted(runs.glob("??/*")):
        yield from _remove_damaged_runs(folder, cache)
        # DVC fails on an empty folder.
        with suppress(OSError):
            folder.rmdir()
    for name, md5 in outputs:
        _touch_if_damaged(Path(name), md5)


def _cache_folders() -> tuple[Path, Path]:
    """Return the folders of DVC's objects and of its run-cache."""
    try:
        with Repo() as repo:
            return Path(repo.cache.local.path), Path(repo.stage_cache.cache_dir)
    except DvcException as error:
        raise InputError(f"{error}; run from the repository's top folder") from error


def _outputs() -> list[tuple[str, str]]:
    """Return path and MD5 of each output in the lock files; none during a merge conflict."""
    try:
        return [output for lock in LOCKS if lock.exists() for output in outputs_in(lock)]
    except yaml.YAMLError:
        return []


def _all_objects(cache: Path) -> Iterator[Path]:
    for file in sorted(cache.glob("??/*")):
        if _OBJECT_FOLDER.fullmatch(file.parent.name) and _OBJECT_NAME.fullmatch(file.name):
            yield file


def _objects(cache: Path, names: list[str]) -> Iterator[Path]:
    """Yield the stored objects with these names, and those that a folder's object lists."""
    for name in names:
        file = cache / name[:2] / name[2:]
        if file.exists():
            yield file
            # The caller may have removed it.
            if name.endswith(_FOLDER_SUFFIX) and file.exists():
                yield from _objects(cache, [entry["md5"] for entry in json.loads(file.read_text())])


def _remove_damaged_runs(folder: Path, cache: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if _RUN_NAME.fullmatch(entry.name) and not _is_valid_run(entry, cache):
            entry.unlink()
            yield entry


def _is_valid_run(entry: Path, cache: Path) -> bool:
    """Return whether the hash and the sizes of a run-cache entry are correct."""
    try:
        content = load_yaml(entry)
        name = dict_sha256(content, exclude=[Meta.PARAM_SIZE, Meta.PARAM_NFILES])
        return name == entry.name and all(_has_size(out, cache) for out in content["outs"])
    except (DvcException, AttributeError, KeyError, TypeError, ValueError):
        return False


def _has_size(out: dict[str, Any], cache: Path) -> bool:
    """Return whether an output has the size of its object; true for folders and missing objects."""
    file = cache / out["md5"][:2] / out["md5"][2:]
    return file.suffix == _FOLDER_SUFFIX or not file.exists() or file.stat().st_size == out["size"]


def _touch_if_damaged(path: Path, md5: str) -> None:
    """Give a damaged output a new time, since DVC only checks files whose time has changed."""
    files = [path, *path.rglob("*")]
    for file in files:
        if file.is_symlink() and not file.exists():
            # The object that it links to has been removed.
            file.unlink()
    if path.exists() and md5_of(path) != md5:
        for file in files:
            if file.exists():
                os.utime(file)
