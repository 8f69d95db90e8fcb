"""Folder for the state of an interrupted training, which the next run of the stage resumes."""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from iic.core.machine import instructions, processor_model, usable_cores
from iic.core.params import Section

FOLDER = Path(".resume")
# Largest number of kept states of other settings, from runs that were never resumed.
_KEPT = 8
_PACKAGES = ("keras", "numpy", "scikit-learn", "scipy", "tensorflow")
# Environment variables that affect the rounding of sums.
_VARIABLES = (
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "GLIBC_TUNABLES",
    "NPY_DISABLE_CPU_FEATURES",
    "OMP_NUM_THREADS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)


@contextmanager
def resumable(params: Section, inputs: Sequence[Path]) -> Iterator[Path]:
    """Yield the folder for the state of a training; success removes it, a failure leaves it.

    The name of the folder is a hash of everything that affects the result, so a run with other
    settings, code or data does not resume from it. The folder is in the user's repository, since
    DVC removes the temporary folders of experiments.

    Args:
        params: Parameters of the run.
        inputs: Files that the stage reads, and its script, which no module imports.

    Yields:
        Path of the folder, which may not exist yet.
    """
    # DVC sets this to the user's repository, also in a temporary copy of it.
    root = Path(os.environ.get("DVC_ROOT", ".")) / FOLDER
    folder = root / _key(params, inputs)
    _remove_old_states(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _key(params: Section, inputs: Sequence[Path]) -> str:
    content = hashlib.sha256()
    # The input files stand for `data`; the other two do not affect the training.
    content.update(params.model_dump_json(exclude={"recipe", "data", "report"}).encode())
    for package in _PACKAGES:
        content.update(version(package).encode())
    for name in _VARIABLES:
        content.update(f"{name}={os.environ.get(name)}".encode())
    # TensorFlow chooses its number of threads by the cores, and its code by the instruction sets.
    for fact in (usable_cores(), processor_model(), sorted(instructions())):
        content.update(str(fact).encode())
    for path in (*_code(), *inputs):
        with path.open("rb") as file:
            content.update(hashlib.file_digest(file, "sha256").digest())
    return content.hexdigest()[:16]


def _code() -> list[Path]:
    """Return the files of all imported modules of this project."""
    modules = [
        module
        for name, module in sorted(sys.modules.items())
        if name.partition(".")[0] in ("iic", "stages")
    ]
    return [Path(module.__file__) for module in modules if module.__file__]


def _remove_old_states(folder: Path) -> None:
    """Remove all but the newest of the other states."""
    if folder.parent.is_dir():
        others = [path for path in folder.parent.iterdir() if path != folder]
        newest = sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)
        for path in newest[_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
