"""Checks before experiments start: the repository in which they run, and their data.

DVC finds most of these mistakes only after it has queued or trained, and some of them not at all.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from iic.core.errors import InputError, reason_of
from iic.core.params import DataParams, Params
from iic.data.datasets import COLLECTIONS
from iic.experiments.datapath import broken_links_in
from iic.experiments.git import GitFolders, git, git_folders, git_locks
from iic.pipeline.paths import PARAMS, PIPELINE

# Longer than editors and prompts, which call Git in the background, hold a lock.
_LOCK_SECONDS = 1.0
_POLL_SECONDS = 0.1
# Links that a path may consist of, as in Linux.
_MAX_LINKS = 40


def check_ready(settings: Iterable[Params]) -> None:
    """Check that DVC can run experiments here and keep their results, and that their data exist.

    Args:
        settings: Parameters of each experiment.

    Raises:
        InputError: One line that names the obstacle and the remedy.
    """
    check_repository()
    _check_identity()
    check_data(settings)


def check_repository() -> None:
    """Check that the Git repository is complete, contains the project and is not locked.

    Raises:
        InputError: One line that names the obstacle and the remedy.
    """
    folders = git_folders()
    if folders.shallow:
        raise InputError(
            f"{folders.top}: a shallow clone, in which DVC cannot keep the results of experiments; "
            "run `git fetch --unshallow`"
        )
    if git("rev-parse", "--verify", "--quiet", "HEAD").returncode != 0:
        raise InputError(
            f"{folders.top}: the Git repository has no commit yet, and experiments start from one; "
            "run `git add -A && git commit -m start`"
        )
    for path in (PIPELINE, PARAMS):
        if git("cat-file", "-e", f"HEAD:./{path}").returncode != 0:
            raise InputError(
                f"{path}: not committed in the Git repository {folders.top}, so experiments would "
                "lack it; run `git add -A && git commit -m start`, after `git init` if that is "
                "another project's repository"
            )
    _check_unlocked(folders)


def _check_unlocked(folders: GitFolders) -> None:
    """Raise an InputError if a lock of Git stays: DVC would stash changes and then fail."""
    until = time.monotonic() + _LOCK_SECONDS
    while locks := git_locks(folders):
        if time.monotonic() > until:
            raise InputError(
                f"{locks[0]}: a lock of Git, with which DVC would take away changes that "
                "are not committed; `iic repair` removes it if no running process holds it"
            )
        time.sleep(_POLL_SECONDS)


def _check_identity() -> None:
    variables = {"user.name": "GIT_COMMITTER_NAME", "user.email": "GIT_COMMITTER_EMAIL"}
    for key, variable in variables.items():
        if not (git("config", key).stdout.strip() or os.environ.get(variable)):
            raise InputError(
                f"{key}: not set in Git, and DVC commits each experiment; run `git config "
                "user.name 'My Name'` and `git config user.email me@example.org`"
            )


def check_data(settings: Iterable[Params], *, elsewhere: bool = False) -> None:
    """Check that the paths of data exist, also in the folder where an experiment runs.

    Args:
        settings: Parameters of each experiment.
        elsewhere: Whether the experiments run on other machines, whose absolute paths are unknown.

    Raises:
        InputError: One line that names the key, the path and the remedy.
    """
    for data in dict.fromkeys(params.data for params in settings):
        for key, text in _paths_in(data):
            why = "" if elsewhere and Path(text).is_absolute() else _why_unusable(text)
            if why:
                raise InputError(f"{key}: {reason_of(text)}: {why}")


def _paths_in(data: DataParams) -> list[tuple[str, str]]:
    """Return the keys and paths that the download stage reads; DVC reads data.path always."""
    found = [("data.path", data.path)]
    if data.local_dir is not None and data.name in COLLECTIONS:
        found.append(("data.local_dir", data.local_dir))
    return found


def _why_unusable(text: str) -> str:
    """Return why experiments cannot read a path, with the remedy; empty if they can."""
    path = Path(text)
    try:
        path.stat()
    except FileNotFoundError:
        return _why_missing(text)
    except OSError as error:
        return error.strerror or reason_of(error)
    if path.is_dir() and (fault := broken_links_in(path)):
        return fault
    why = "" if path.is_absolute() else _why_not_tracked(path)
    absolute = os.path.normpath(path.absolute())
    return why and f"{why}, but an experiment runs in another folder; give {absolute}"


def _why_missing(text: str) -> str:
    if text.startswith("~"):
        return f"not there, since ~ is not expanded; give {Path(text).expanduser()}"
    inner = text.strip().strip("'\"")
    if inner != text and Path(inner).exists():
        return f"not there; write {inner} without the quotes or blanks around it"
    if Path(text).is_symlink():
        return f"a link to {Path(text).readlink()}, which is not there"
    return "not there"


def _why_not_tracked(path: Path, links: int = 0) -> str:
    """Return what of a relative path neither Git nor DVC tracks; empty if all is tracked."""
    path = Path(os.path.normpath(path))
    if ".." in path.parts:
        return "relative, and outside of this folder"
    parts = [path, *path.parents][:-1]
    link = next((part for part in reversed(parts) if part.is_symlink()), None)
    if link is None or links == _MAX_LINKS:
        pointer = next(filter(Path.is_file, map(_pointer, parts)), None)
        if pointer is None:
            return _why_not_in_git(path)
        return "" if _is_in_git(pointer) else f"relative, and Git lacks {pointer} (`git add` it)"
    if not _is_in_git(link):
        return f"{link} is a link that Git does not track"
    target = link.parent / link.readlink() / path.relative_to(link)
    return "" if target.is_absolute() else _why_not_tracked(target, links + 1)


def _why_not_in_git(path: Path) -> str:
    if not _is_in_git(path):
        return f"relative, and tracked by neither Git nor DVC (`dvc add {path}` changes that)"
    left_out = [name for name in _untracked_in(path) if not _has_pointer(name, path)]
    if not left_out:
        return ""
    return f"{len(left_out)} of its files, such as {left_out[0]}, are not tracked"


def _is_in_git(path: Path) -> bool:
    """Return whether Git tracks a file, or any file in a folder."""
    return bool(git("ls-files", "--", str(path)).stdout)


def _untracked_in(path: Path) -> list[Path]:
    """Return the files of a folder that Git does not track, without hidden ones."""
    names = git("ls-files", "-z", "--others", "--", str(path)).stdout.split("\0")
    files = [Path(name) for name in names if name]
    return [f for f in files if not any(p.startswith(".") for p in f.relative_to(path).parts)]


def _pointer(path: Path) -> Path:
    """Return the file that `dvc add` writes for a path."""
    return path.with_name(f"{path.name}.dvc")


def _has_pointer(file: Path, folder: Path) -> bool:
    """Return whether DVC tracks a file, or a folder that contains it below another one."""
    parts = [file, *file.parents][: len(file.parts) - len(folder.parts)]
    return any(_pointer(part).is_file() for part in parts)
