"""The Git repository around the working directory: its folders, locks and processes."""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import psutil

from iic.core.errors import InputError, reason_of

# Locks in a work tree's own folder, and in the folder that all work trees share.
_OWN_LOCKS = ("index.lock", "HEAD.lock")
_SHARED_LOCKS = ("config.lock", "packed-refs.lock", "shallow.lock")
# Processes of DVC's queue; they work in folders of their own.
_QUEUE = ("queue-worker", "exec-run")
# Reference of a DVC experiment: the commit that it starts from, and its name. DVC's own references
# have fewer parts.
_EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38,}/([^/]+)")


class GitFolders(NamedTuple):
    """Folders of the Git repository that contains the working directory.

    Attributes:
        top: Top folder of the work tree.
        prefix: Path of the working directory below it, empty or with a slash at the end.
        own: Git's folder for this work tree, which contains its index.
        shared: Git's folder that all work trees of the repository share.
        shallow: Whether the repository lacks the history before a commit.
    """

    top: Path
    prefix: str
    own: Path
    shared: Path
    shallow: bool


def git(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Git in the working directory, in English, with paths taken literally."""
    return subprocess.run(  # noqa: S603 - a list, no shell
        ["git", "--literal-pathspecs", *words],  # noqa: S607 - Git is on PATH
        env={**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )


def git_folders() -> GitFolders:
    """Return the folders of the Git repository that contains the working directory.

    Raises:
        InputError: There is no repository, or Git refuses it.
    """
    done = git(
        *("rev-parse", "--path-format=absolute", "--show-toplevel", "--show-prefix"),
        *("--git-dir", "--git-common-dir", "--is-shallow-repository"),
    )
    if done.returncode != 0:
        raise InputError(_why_refused(done.stderr))
    top, prefix, own, shared, shallow = done.stdout.removesuffix("\n").split("\n")
    return GitFolders(Path(top), prefix, Path(own), Path(shared), shallow == "true")


def current_commit() -> str:
    """Return the short hash of the commit of the working directory's code.

    A plus sign follows if tracked files of this directory have changed since, except results in
    reports/, which are not code.

    Raises:
        InputError: There is no repository, or Git refuses it.
    """
    # Git names paths from the top folder of the repository, which may be further up.
    results = f"{git_folders().prefix}reports/"
    changed = git("status", "--porcelain", "--untracked-files=no", "--no-renames", ".").stdout
    edited = [line for line in changed.splitlines() if not line[3:].startswith(results)]
    return git("rev-parse", "--short=7", "HEAD").stdout.strip() + "+" * bool(edited)


def experiment_references() -> dict[str, list[str]]:
    """Return the references of all DVC experiments by name; each commit may have one of a name."""
    found: dict[str, list[str]] = {}
    for reference in git("for-each-ref", "--format=%(refname)", "refs/exps").stdout.splitlines():
        if match := _EXPERIMENT.fullmatch(reference):
            found.setdefault(match[1], []).append(reference)
    return found


def _why_refused(complaint: str) -> str:
    if "dubious ownership" in complaint:
        folder = complaint.partition("repository at '")[2].partition("'")[0] or Path.cwd()
        return (
            f"{folder}: belongs to another user, so Git refuses to use it; run "
            f"`git config --global --add safe.directory {folder}`"
        )
    if "not a git repository" in complaint:
        return (
            f"{Path.cwd()}: not a Git repository, which experiments need; run `git init && "
            "git add -A && git commit -m start`, or, for the pipeline alone, "
            "`dvc config core.no_scm true`"
        )
    return reason_of(complaint)


def git_locks(folders: GitFolders) -> list[Path]:
    """Return the lock files of Git that exist; with one of them, Git and DVC cannot write."""
    named = [
        *(folders.own / name for name in _OWN_LOCKS),
        *(folders.shared / name for name in _SHARED_LOCKS),
    ]
    # No reference has a name that ends so.
    references = sorted((folders.shared / "refs").rglob("*.lock"))
    here = Path.cwd()
    return [
        path.relative_to(here) if path.is_relative_to(here) else path
        for path in [*filter(Path.exists, named), *references]
    ]


def busy_processes(folders: GitFolders) -> list[str]:
    """Return the running commands of Git and DVC that may write to the repository."""
    return [
        " ".join(command)
        for process in psutil.process_iter()
        if (command := _command(process)) and _is_inside(process, folders)
    ]


def _command(process: psutil.Process) -> list[str]:
    """Return the command of a process of Git or DVC, but for DVC's queue; else an empty list."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return []
    names = [Path(word).name for word in words[:3]]
    is_git = bool(names) and (names[0] == "git" or names[0].startswith("git-"))
    is_dvc = "dvc" in names and not any(word in _QUEUE for word in words)
    return words if is_git or is_dvc else []


def _is_inside(process: psutil.Process, folders: GitFolders) -> bool:
    try:
        where = Path(process.cwd())
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        # The process belongs to another user.
        return True
    return any(where.is_relative_to(folder) for folder in (folders.top, folders.shared))
