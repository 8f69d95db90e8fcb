"""What a stage reads is what the stages before it have written, down to the last bit.

DVC takes a file for unchanged while its size and time are, and an object of its cache for whole
while it is read-only. A disk that fails leaves all of these as they are.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from iic.core.errors import InputError
from iic.pipeline.paths import LOCK, PIPELINE


def check_inputs() -> None:
    """Compare what the stage that DVC has started is about to read with dvc.lock.

    Raises:
        InputError: the content of a file is another one than was written.
    """
    stage = os.environ.get("DVC_STAGE")
    if stage is None or not LOCK.exists():
        return
    # Below the top folder, DVC puts the way to dvc.yaml before the name.
    stage = stage.rpartition(":")[2]
    written = dict(outputs_in(LOCK))
    for name in yaml.safe_load(PIPELINE.read_text("utf-8"))["stages"][stage]["deps"]:
        if name in written and Path(name).exists() and md5_of(Path(name)) != written[name]:
            raise InputError(
                f"{name}: damaged, its MD5 is not that in {LOCK}; "
                "run `iic repair --all` and then the same command again"
            )


def outputs_in(lock: Path) -> Iterator[tuple[str, str]]:
    """Path and MD5 of each output of each stage, as DVC has written them down."""
    for stage in yaml.safe_load(lock.read_text("utf-8")).get("stages", {}).values():
        for output in stage.get("outs", []):
            # A line that was never written; DVC runs such a stage again.
            if "md5" in output:
                yield output["path"], output["md5"]


def md5_of(path: Path) -> str:
    """MD5 of a file, or of a folder as DVC names it."""
    if path.is_dir():
        # As .dvcignore says, bytecode is no content.
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
