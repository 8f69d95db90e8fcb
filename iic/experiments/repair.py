"""Mend what a killed DVC or a failing disk has left: `python -m iic.experiments.repair`.

DVC writes two of its own files in place. A process that is killed in that instant leaves a part of
one, and DVC then refuses to go on until somebody removes it.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

from iic.experiments.cli import run_main
from iic.experiments.damage import remove_damaged
from iic.pipeline.paths import LOCK

# Which process uses which path; without it, DVC asks the processes that live.
USES = Path(".dvc/tmp/rwlock")
# Longer than a living DVC takes to write either.
_SECONDS = 2.0


def main(arguments: list[str]) -> None:
    """Mend half-written files, and remove what is damaged from DVC's cache."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--all", action="store_true", help="look at all of DVC's cache, not only at this run's"
    )
    options = parser.parse_args(arguments)
    _mend_half_written()
    _forget_the_dead()
    for file in remove_damaged(everything=options.all):
        sys.stderr.write(f"{file}: damaged; removed, `dvc repro` makes it again\n")


def _mend_half_written() -> None:
    """Remove a half-written list of locks, and bring back a half-written dvc.lock."""
    broken = [path for path in (USES, LOCK) if not _is_whole(path)]
    if broken:
        time.sleep(_SECONDS)
    for path in broken:
        if not _is_whole(path):
            sys.stderr.write(f"{path}: half-written by a DVC that was killed; mended\n")
            _bring_back(path)


def _forget_the_dead() -> None:
    """Remove a list of locks of processes that live no longer, though others have their numbers.

    DVC asks whether there is a process of a number; after a restart there soon is.
    """
    if USES.exists():
        written, users = USES.stat().st_mtime, [*_users(json.loads(USES.read_text()))]
        if users and not any(_lived(process, written) for process in users):
            USES.unlink()


def _users(uses: dict[str, dict[str, Any]]) -> Iterator[int]:
    """Numbers of the processes that read or write something."""
    for entry in uses.get("write", {}).values():
        yield entry["pid"]
    for entries in uses.get("read", {}).values():
        yield from (entry["pid"] for entry in entries)


def _lived(process: int, when: float) -> bool:
    try:
        return psutil.Process(process).create_time() <= when + _SECONDS
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _is_whole(path: Path) -> bool:
    if not path.exists():
        return True
    text = path.read_bytes().decode(errors="replace")
    try:
        if path == USES:
            json.loads(text)
        elif "\n<<<<<<< " not in f"\n{text}":  # a merge is the user's to decide
            stages = COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(text)).get("stages", {})
            # Whole lines are fine: DVC runs stages that are not there again.
            return text.endswith("\n") and all(
                "md5" in output for stage in stages.values() for output in stage.get("outs", [])
            )
    except (ValueError, yaml.YAMLError, Invalid):
        return False
    return True


def _bring_back(path: Path) -> None:
    """From Git's index, where DVC puts dvc.lock whenever it has written it; or remove it."""
    path.unlink()
    if path == LOCK:
        # Without one, DVC brings finished stages back from its cache.
        subprocess.run(  # noqa: S603 - a list, no shell
            ["git", "restore", "--", str(path)],  # noqa: S607 - first on PATH
            check=False,
            capture_output=True,
        )


if __name__ == "__main__":
    run_main(main)
