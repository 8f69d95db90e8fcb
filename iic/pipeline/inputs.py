"""Checksums of the files that a stage reads, compared with dvc.lock.

DVC assumes that a file with the same size and time is unchanged, and that a read-only object of its
cache is intact. A failing disk can break both assumptions.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from iic.core.errors import InputError
from iic.pipeline.paths import CLUSTERING, Pipeline


def check_inputs(pipeline: Pipeline = CLUSTERING) -> None:
    """Compare the inputs of the stage that DVC has started with their checksums in dvc.lock.

    Args:
        pipeline: Pipeline of the stage.

    Raises:
        InputError: The content of a file has changed since an earlier stage wrote it.
    """
    stage = os.environ.get("DVC_STAGE")
    if stage is None or not pipeline.lock.exists():
        return
    # In a sub-folder, DVC puts the path of dvc.yaml before the name.
    stage = stage.rpartition(":")[2]
    written = dict(outputs_in(pipeline.lock))
    for name in yaml.safe_load(pipeline.stages.read_text("utf-8"))["stages"][stage]["deps"]:
        if name in written and Path(name).exists() and md5_of(Path(name)) != written[name]:
            raise InputError(
                f"{name}: damaged, its MD5 is not that in {pipeline.lock}; "
                "run `iic repair --all` and then the same command again"
            )


def outputs_in(lock: Path) -> Iterator[tuple[str, str]]:
    """Yield the path and MD5 of each output in a lock file."""
    for stage in yaml.safe_load(lock.read_text("utf-8")).get("stages", {}).values():
        for output in stage.get("outs", []):
            # DVC reruns a stage whose output has no checksum.
            if "md5" in output:
                yield output["path"], output["md5"]


def md5_of(path: Path) -> str:
    """Compute the MD5 of a file, or of a folder in DVC's format (`….dir`)."""
    if path.is_dir():
        # .dvcignore excludes bytecode.
        files = sorted(
            file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts
        )
        listing = [
            {"md5": md5_of(file), "relpath": file.relative_to(path).as_posix()} for file in files
        ]
        return f"{hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest()}.dir"
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest()


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
