"""What experiments left behind, read from Git and DVC without touching the workspace."""

import io
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

import dvc.api
import numpy as np
from dvc.exceptions import DvcException
from dvc.scm import SCMError

from iic.core.errors import InputError
from iic.core.files import parse_table
from iic.core.params import validate_params
from iic.core.yaml_text import read_tree
from iic.evaluation.paths import METRICS
from iic.experiments.recipes import leaves
from iic.pipeline.paths import PARAMS

# In place of an experiment's name or a commit: the files as they lie here.
WORKSPACE = "workspace"
_Content = TypeVar("_Content")


def columns_of(name: str, path: Path, text: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Columns of an experiment's CSV file; those named in `text` are strings, others numbers."""
    content = _ask(name, str(path), lambda rev: dvc.api.read(str(path), rev=rev))
    return parse_table(content, f"{path} of {name}", text)


def array_of(name: str, path: Path, key: str) -> np.ndarray:
    """One array of an experiment's NPZ file."""
    content = _ask(name, str(path), lambda rev: dvc.api.read(str(path), rev=rev, mode="rb"))
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return archive[key]


def metrics_of(name: str) -> dict[str, float]:
    """An experiment's metrics."""
    # `dvc.api.metrics_show` also opens the workspace's file, which need not be there.
    text = _ask(name, str(METRICS), lambda rev: dvc.api.read(str(METRICS), rev=rev))
    try:
        return dict(json.loads(text))
    except (TypeError, ValueError) as error:
        raise InputError(f"{METRICS} of {name}: damaged; run that experiment again") from error


def settings_of(name: str) -> dict[str, object]:
    """Value by "section.key" of an experiment's parameters, in one spelling where they are ours."""
    text = _ask(name, str(PARAMS), lambda rev: dvc.api.read(str(PARAMS), rev=rev))
    tree = read_tree(text, f"{PARAMS} of {name}")
    try:
        return dict(leaves(validate_params(tree, str(PARAMS)).model_dump()))
    except InputError:
        # From a commit with other parameters than today's.
        return dict(leaves(tree))


def _ask(name: str, what: str, ask: Callable[[str | None], _Content]) -> _Content:
    try:
        return ask(None if name == WORKSPACE else name)
    except (DvcException, SCMError, OSError) as error:
        raise InputError(
            f"{name}: {what} cannot be read ({' '.join(str(error).split())}); "
            "`dvc exp list --all-commits` lists the experiments; what a commit gave is on this "
            "machine once `dvc repro` has run there"
        ) from error
