"""Outputs of the last successful run, which DVC removes before it runs a stage again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from iic.pipeline.paths import CLUSTERING, Pipeline

# Links to the outputs that DVC does not cache, by their paths.
KEPT = Path(".dvc/tmp/iic-outputs")


@contextmanager
def outputs_kept(pipeline: Pipeline = CLUSTERING) -> Iterator[None]:
    """Put the outputs of the last successful run back if the block, a stage's work, fails.

    Only a stage that DVC has started in the user's repository is concerned, since DVC removes its
    temporary folders of experiments anyway.

    Args:
        pipeline: Pipeline of the stage.
    """
    stage = os.environ.get("DVC_STAGE")
    if stage is None or not Path(".dvc").is_dir() or ".dvc" in Path.cwd().parts:
        yield
        return
    # In a sub-folder, DVC puts the path of dvc.yaml before the name.
    name = stage.rpartition(":")[2]
    try:
        yield
    except BaseException:
        # Another process, since only experiments know DVC's cache. It must not hide the failure.
        with suppress(OSError, KeyboardInterrupt):
            subprocess.run(  # noqa: S603 - a list, no shell
                [sys.executable, "-m", "iic.cli", "repair", "--stage", f"{pipeline.stages}:{name}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        raise
    for output in _uncached(pipeline, name):
        _keep(output)


def _uncached(pipeline: Pipeline, stage: str) -> Iterator[Path]:
    """Yield the outputs of a stage that DVC does not cache."""
    declared = yaml.safe_load(pipeline.stages.read_text("utf-8"))["stages"][stage]
    for kind in ("outs", "metrics", "plots"):
        for entry in declared.get(kind, []):
            if isinstance(entry, dict):
                ((name, settings),) = entry.items()
                if not settings.get("cache", True):
                    yield Path(name)


def _keep(output: Path) -> None:
    """Link an output, a file or a folder of files, from KEPT; hard links take no space."""
    target = KEPT / output
    with suppress(OSError):
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        if output.is_dir():
            shutil.copytree(output, target, copy_function=_link)
        else:
            _link(output, target)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Not every file system has hard links.
        shutil.copyfile(source, target)
