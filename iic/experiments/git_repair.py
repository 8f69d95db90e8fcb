"""Repair what a killed Git or DVC leaves in the Git repository: locks, stashes, staged files.

To queue an experiment, DVC stashes the changes that are not committed, detaches HEAD, applies the
stash and the experiment's settings, stages them, stores the result, and undoes all of this. If it
is killed meanwhile, or fails because of a lock, the changes stay in `git stash`.
"""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from iic.core.errors import InputError, reason_of
from iic.experiments.git import GitFolders, busy_processes, git, git_folders, git_locks
from iic.pipeline.paths import PIPELINES

# Age from which a lock without a running process of Git counts as left over.
LOCK_SECONDS = 2.0
# Where replaced files are kept, below their own folders, as files of both pipelines share a name.
KEPT = Path(".dvc/tmp/repair")
_PARAMS = {str(pipeline.params) for pipeline in PIPELINES}
_LOCKS = {str(pipeline.lock) for pipeline in PIPELINES}
_TEMPORARY = ".dvc/tmp/"
# DVC passes the hash of the current commit, where a user gives the name of another one.
_DETACHED = re.compile(r"checkout: moving from (.+) to ([0-9a-f]{40,64})")
# libgit2, which DVC uses, ends the message with a line break; Git does not.
_STASHED = re.compile(r"WIP on [^\n]*\n")
_TOP = "stash@{0}"


def repair_git() -> Iterator[str]:
    """Remove dead locks, and undo the first steps of an experiment that DVC did not get to undo.

    Yields:
        One line for each thing that was repaired, or is left to the user.

    Raises:
        InputError: There is no Git repository, or Git refuses it.
    """
    folders = git_folders()
    yield from _remove_locks(folders)
    if git("rev-parse", "--verify", "--quiet", "HEAD").returncode == 0 and _has_traces():
        busy = busy_processes(folders)
        if busy:
            yield f"Git: in use by `{reason_of(busy[0])}`; run `iic repair` again once it has ended"
        else:
            yield from _undo()


def _remove_locks(folders: GitFolders) -> Iterator[str]:
    found = {lock: _written(lock) for lock in git_locks(folders)}
    if not found:
        return
    # A running process may be about to remove them.
    time.sleep(max(0.0, min(LOCK_SECONDS, LOCK_SECONDS + max(found.values()) - time.time())))
    busy = busy_processes(folders)
    for lock, written in found.items():
        if _written(lock) != written:
            continue
        if busy:
            yield f"{lock}: a lock of Git, kept while `{reason_of(busy[0])}` is running"
        else:
            lock.unlink()
            yield f"{lock}: a lock of Git that no running process holds; removed"


def _written(lock: Path) -> float:
    try:
        return lock.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _has_traces() -> bool:
    return bool(_detached_from() or _stashes() or _staged(temporary=True))


def _undo() -> Iterator[str]:
    """Bring the workspace back to its state before DVC began to queue an experiment."""
    branch = _detached_from()
    temporary = _staged(temporary=True)
    for path in temporary:
        _checked("reset", "--quiet", "--", path)
        yield f"{path}: a temporary file of DVC that was staged; unstaged"
    yield from _restore_changes(began=bool(branch or temporary))
    if branch:
        _checked("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        yield f"HEAD: detached by DVC; on the branch {branch} again"
    for name, commit in _stashes():
        when = git("show", "--no-patch", "--format=%ci", commit).stdout.strip()
        yield (
            f"{name}: changes that DVC took away ({when}) and did not bring back; "
            f"`git stash pop --index {name}` does"
        )


def _restore_changes(*, began: bool) -> Iterator[str]:
    """Bring back the changes that DVC has stashed, if the files contain nothing else.

    Args:
        began: Whether DVC may have put the settings of an experiment into the files.
    """
    stash = _hash_of("refs/stash") if [name for name, _ in _stashes()[:1] if name == _TOP] else ""
    if stash and _hash_of(f"{stash}^1") == _hash_of("HEAD"):
        if not _changed("HEAD"):
            # A lock can keep DVC from resetting the index; Git would then leave new files out.
            if git("write-tree").stdout.strip() in (_tree_of("HEAD"), _tree_of(f"{stash}^2")):
                _set_index("HEAD")
                _checked("stash", "pop", "--quiet", "--index")
                yield "changes that DVC took away: brought back with `git stash pop`"
            return
        differing = _changed(stash)
        if not differing or (began and all(map(_is_of_dvc, differing))):
            yield from _restore_files(stash, differing)
            _set_index(f"{stash}^2")
            _checked("stash", "drop", "--quiet")
    elif began and not stash and not _hash_of("refs/exps/exec/EXEC_MERGE"):
        # There were no changes. A run in the workspace, however, keeps its settings in the files.
        yield from _restore_files("HEAD", [path for path in _changed("HEAD") if _is_of_dvc(path)])


def _set_index(commit: str) -> None:
    _checked("read-tree", commit)
    git("update-index", "--quiet", "--refresh")


def _restore_files(source: str, paths: list[str]) -> Iterator[str]:
    for path in paths:
        kept = KEPT / path
        if Path(path).exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, kept)
        _checked("restore", f"--source={source}", "--staged", "--worktree", "--", path)
        yield (
            f"{path}: had settings of an experiment that DVC did not queue; restored, the other "
            f"content is in {kept}"
        )


def _is_of_dvc(path: str) -> bool:
    """Return whether DVC changes a file when it queues an experiment."""
    is_pointer = path.endswith(".dvc") and not path.startswith("/")
    return is_pointer or path in _PARAMS | _LOCKS


def _detached_from() -> str:
    """Return the branch from which DVC detached HEAD; empty if it did not."""
    if git("symbolic-ref", "--quiet", "HEAD").returncode == 0:
        return ""
    found = _DETACHED.fullmatch(git("log", "-g", "-1", "--format=%gs", "HEAD").stdout.strip())
    if not found:
        return ""
    heads = {_hash_of("HEAD"), _hash_of(f"refs/heads/{found[1]}"), found[2]}
    is_staged = not _PARAMS.isdisjoint(_staged()) or _staged(temporary=True)
    return found[1] if len(heads) == 1 and (is_staged or _stashes()) else ""


def _stashes() -> list[tuple[str, str]]:
    """Return the names and hashes of the stashes that DVC made, newest first."""
    hashes = git("stash", "list", "--format=%H").stdout.split()
    return [
        (f"stash@{{{number}}}", commit)
        for number, commit in enumerate(hashes)
        if _STASHED.fullmatch(_message_of(commit))
    ]


def _message_of(commit: str) -> str:
    return git("cat-file", "commit", commit).stdout.partition("\n\n")[2]


def _hash_of(name: str) -> str:
    return git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").stdout.strip()


def _tree_of(commit: str) -> str:
    return git("rev-parse", f"{commit}^{{tree}}").stdout.strip()


def _staged(*, temporary: bool = False) -> list[str]:
    """Return the staged files below the working directory: all, or only DVC's temporary ones."""
    paths = _paths("diff", "--cached", "--name-only", "--relative", "-z")
    return [path for path in paths if path.startswith(_TEMPORARY) or not temporary]


def _changed(commit: str) -> list[str]:
    """Return the tracked files that differ between a commit and the working tree.

    Paths are relative to the working directory; those outside of it begin with a slash.
    """
    prefix = git_folders().prefix
    return [
        path.removeprefix(prefix) if path.startswith(prefix) else f"/{path}"
        for path in _paths("diff", "--name-only", "--no-relative", "-z", commit)
    ]


def _paths(*words: str) -> list[str]:
    return [path for path in git(*words).stdout.split("\0") if path]


def _checked(*words: str) -> None:
    done = git(*words)
    if done.returncode != 0:
        raise InputError(f"git {' '.join(words)}: {reason_of(done.stderr)}")
