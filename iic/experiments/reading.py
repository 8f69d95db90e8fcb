"""Read results of experiments from Git and DVC, without touching the workspace."""

import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import dvc.api
import numpy as np
from dvc.exceptions import DvcException
from dvc.scm import SCMError

from iic.core.errors import InputError
from iic.core.files import parse_table
from iic.core.params import validate_params
from iic.core.yaml_text import read_tree
from iic.evaluation.paths import METRICS
from iic.experiments.git import git_folders
from iic.experiments.recipes import leaves
from iic.pipeline.paths import PARAMS

# In place of the name of an experiment or commit: the files in the working directory.
WORKSPACE = "workspace"


def columns_of(name: str, path: Path, text: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Read a CSV file of an experiment.

    Args:
        name: Name of the experiment or commit, or "workspace".
        path: Path of the file in the repository.
        text: Names of the columns to return as strings; all others are numbers.

    Returns:
        Array (rows,) by the name of the column.

    Raises:
        InputError: The file cannot be read.
    """
    content = _read(name, path)
    return parse_table(content, f"{path} of {name}", text)


def array_of(name: str, path: Path, key: str) -> np.ndarray:
    """Read one array of an NPZ file of an experiment.

    Args:
        name: Name of the experiment or commit, or "workspace".
        path: Path of the file in the repository.
        key: Name of the array.

    Returns:
        The array.

    Raises:
        InputError: The file cannot be read.
    """
    content = _read(name, path, "rb")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return archive[key]


def metrics_of(name: str) -> dict[str, float]:
    """Read the metrics of an experiment.

    Args:
        name: Name of the experiment or commit, or "workspace".

    Returns:
        Metrics by name.

    Raises:
        InputError: The file cannot be read or is damaged.
    """
    # `dvc.api.metrics_show` fails if the workspace has no metrics.
    text = _read(name, METRICS)
    try:
        return dict(json.loads(text))
    except (TypeError, ValueError) as error:
        raise InputError(f"{METRICS} of {name}: damaged; run that experiment again") from error


def settings_of(name: str) -> dict[str, object]:
    """Read the parameters of an experiment.

    Args:
        name: Name of the experiment or commit, or "workspace".

    Returns:
        Values by "section.key".

    Raises:
        InputError: The file cannot be read.
    """
    text = _read(name, PARAMS)
    tree = read_tree(text, f"{PARAMS} of {name}")
    try:
        # Validation turns different spellings of a value into one.
        return dict(leaves(validate_params(tree, str(PARAMS)).model_dump()))
    except InputError:
        # The commit had other parameters than today's code.
        return dict(leaves(tree))


def _read(name: str, path: Path, mode: str = "r") -> Any:  # noqa: ANN401 - str or bytes, by mode
    try:
        if name == WORKSPACE:
            return dvc.api.read(str(path), mode=mode)
        # DVC looks for the path in a commit from the repository's top folder.
        return dvc.api.read(git_folders().prefix + str(path), rev=name, mode=mode)
    except (DvcException, SCMError, OSError) as error:
        raise InputError(
            f"{name}: {path} cannot be read ({' '.join(str(error).split())}); "
            "`dvc exp list --all-commits` lists the experiments; results of a commit are on this "
            "machine once `dvc repro` has run there"
        ) from error
