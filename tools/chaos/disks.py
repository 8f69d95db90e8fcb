"""Disks that are small, full or read-only: mounts that this process and its children alone see."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tools.chaos.clones import call

# Linux's CLONE_NEWNS; os.unshare came with Python 3.12.
_NEW_MOUNTS = 0x00020000
# Bytes.
_PAGE = 4096


def own_mounts() -> str:
    """Let what this process mounts be seen by it and its children alone; else say why not."""
    if sys.platform != "linux":
        return "no Linux"
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_NEW_MOUNTS) != 0:
        return f"unshare: {os.strerror(ctypes.get_errno())}"
    done = subprocess.run(
        ["mount", "--make-rprivate", "/"],  # noqa: S607 - first on PATH
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip()


@contextmanager
def disk(folder: Path, size: int) -> Iterator[None]:
    """Let a folder, made if need be, be an empty disk of this many bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    call("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder), cwd=Path("/"))
    with _unmounted_at_last(folder):
        yield


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nothing below a folder, which is made if need be, be written or removed."""
    folder.mkdir(exist_ok=True)
    with nullcontext() if folder.is_mount() else _bound(folder):
        _remount(folder, "ro")
        try:
            yield
        finally:
            _remount(folder, "rw")


@contextmanager
def _bound(folder: Path) -> Iterator[None]:
    call("mount", "--bind", str(folder), str(folder), cwd=Path("/"))
    with _unmounted_at_last(folder):
        yield


def _remount(folder: Path, how: str) -> None:
    call("mount", "-o", f"remount,bind,{how}", str(folder), cwd=Path("/"))


@contextmanager
def full(folder: Path, room: int) -> Iterator[None]:
    """Leave so many pages free on the disk that a folder is."""
    ballast = folder / ".ballast"
    found = os.statvfs(folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - room * _PAGE)
    try:
        yield
    finally:
        ballast.unlink()


def pages(path: Path) -> int:
    """How many a file, or all files below a folder, take on such a disk."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(-(-file.stat().st_size // _PAGE) for file in files)


@contextmanager
def _unmounted_at_last(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        # Lazily: who still has a file open there keeps it.
        call("umount", "--lazy", str(folder), cwd=Path("/"))
