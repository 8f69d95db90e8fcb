"""Repositories to try things in: clones of what is committed, and what has become of them."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from iic.core.errors import InputError
from iic.experiments.recipes import options_of, read_settings, recipe_params, with_overrides
from iic.pipeline.resume import FOLDER as STATES

CACHE = Path(".dvc/cache")
# Beside a copy: what DVC remembers of files, which it keeps outside of the repository.
SITE = Path("../site")


@contextmanager
def finished_clone(recipe: str, settings: Sequence[str] = ()) -> Iterator[Path]:
    """A clone of HEAD in which the pipeline has run and been committed.

    Args:
        recipe: name of a recipe.
        settings: on top of it, as for `dvc exp run -S`.
    """
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        call("git", "clone", "--quiet", str(Path.cwd()), str(clone), cwd=Path.cwd())
        params = with_overrides(recipe_params(recipe), read_settings(list(settings)), "settings")
        call("dvc", "exp", "run", *options_of(params), cwd=clone)
        commit(clone)
        yield clone


def copy_into(clone: Path, finished: Path, *, linked: bool = True) -> None:
    """Copy a finished clone, and let DVC look at the copy.

    Args:
        clone: an empty folder.
        finished: the clone.
        linked: whether files that DVC has linked with each other are so in the copy; they cannot
            be where folders of the copy are disks of their own.
    """
    links = [] if linked else ["--no-preserve=links"]
    call("cp", "--archive", *links, f"{finished}/.", str(clone), cwd=finished)
    site = (clone / SITE).resolve()
    (clone / ".dvc/config.local").write_text(f"[core]\n    site_cache_dir = {site}\n")
    look = ("status",) if linked else ("checkout", "--relink")
    call("dvc", *look, cwd=clone)


def commit(clone: Path) -> None:
    """Commit everything that Git does not ignore."""
    author = ["-c", "user.name=trial", "-c", "user.email=trial@example.org"]
    call("git", "add", "--all", cwd=clone)
    call("git", *author, "commit", "--quiet", "--message", "finished", cwd=clone)


def repro(clone: Path) -> subprocess.CompletedProcess[str]:
    """What `make repro` runs once the environment is there."""
    call(sys.executable, "-m", "iic.cli", "repair", cwd=clone)
    return call("dvc", "repro", cwd=clone)


def empty_cache(clone: Path) -> None:
    """DVC would bring every output back from it, and nothing would have to run."""
    shutil.rmtree(clone / CACHE, ignore_errors=True)


def lost(clone: Path, lock: bytes) -> str:
    """What is not as it was when dvc.lock had this content, in words."""
    found = {
        "dvc.lock differs": (clone / "dvc.lock").read_bytes() != lock,
        "DVC sees a change": json.loads(call("dvc", "status", "--json", cwd=clone).stdout) != {},
        "Git sees a change": bool(call("git", "status", "--porcelain", cwd=clone).stdout),
        "a state is left": any((clone / STATES).glob("*")),
    }
    return ", ".join(what for what, is_so in found.items() if is_so)


def call(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command; raise InputError with what it said if it fails."""
    done = subprocess.run(  # noqa: S603 - a list, no shell
        command, cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise InputError(f"{' '.join(command)}: {' '.join(done.stderr.split())[-2000:]}")
    return done
