"""Where an interrupted training has left its state, for the next run of the same stage."""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from iic.core.machine import instructions, processor_model, usable_cores
from iic.core.params import Params

FOLDER = Path(".resume")
# States of other settings, of interrupted runs that nobody went on with.
_KEPT = 8
_PACKAGES = ("keras", "numpy", "tensorflow")
# What else decides how sums are rounded.
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
def resumable(params: Params, inputs: Sequence[Path]) -> Iterator[Path]:
    """A folder for the state of a training, which a success removes and a failure leaves.

    Its name is a hash of all that decides the result, so that no other settings, code or data go on
    with it. It lies in the repository that the user works in, since the folders of experiments
    beside the workspace go with them.

    Args:
        params: of the run.
        inputs: files that the stage reads, and its own, which no module imports.
    """
    # DVC names the user's own repository, from a temporary copy of it, too.
    root = Path(os.environ.get("DVC_ROOT", ".")) / FOLDER
    folder = root / _key(params, inputs)
    _forget_others(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _key(params: Params, inputs: Sequence[Path]) -> str:
    content = hashlib.sha256()
    # The files hold what `data` has chosen; the other two decide nothing here.
    content.update(params.model_dump_json(exclude={"recipe", "data", "report"}).encode())
    for package in _PACKAGES:
        content.update(version(package).encode())
    for name in _VARIABLES:
        content.update(f"{name}={os.environ.get(name)}".encode())
    # TensorFlow takes its number of threads from the cores, and its code from the instructions.
    for fact in (usable_cores(), processor_model(), sorted(instructions())):
        content.update(str(fact).encode())
    for path in (*_code(), *inputs):
        with path.open("rb") as file:
            content.update(hashlib.file_digest(file, "sha256").digest())
    return content.hexdigest()[:16]


def _code() -> list[Path]:
    """Files of the modules of ours that are imported."""
    ours = [
        module
        for name, module in sorted(sys.modules.items())
        if name.partition(".")[0] in ("iic", "stages")
    ]
    return [Path(module.__file__) for module in ours if module.__file__]


def _forget_others(folder: Path) -> None:
    """Remove all but the newest of the other states beside this one."""
    if folder.parent.is_dir():
        others = [path for path in folder.parent.iterdir() if path != folder]
        newest = sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)
        for path in newest[_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
