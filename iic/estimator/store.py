"""The file in the folder of a saved estimator: what a model folder of the pipeline lacks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from iic.core.appearance import Appearance
from iic.core.constants import Head
from iic.core.errors import InputError
from iic.core.files import read_arrays, write_arrays
from iic.core.params import Section
from iic.core.validation import explain_first
from iic.model.store import hash_of_weights

FILE = "estimator.npz"
SNAPSHOTS = [f"{head}_{kind}" for head in Head for kind in ("joint", "test")]
_REMEDY = "save the model again, or delete the file to load the model without its records"


class State(Section):
    """State of an estimator besides its weights.

    Attributes:
        params: Arguments of the estimator.
        image_shape: Shape of an image; None for any.
        appearance: How the training images looked; None if it is not known.
        ink_share: Mean and standard deviation of the ink of the training images, or None.
        history: Columns of the history by name; empty if it is not known.
        weights_sha256: SHA-256 of the weights file.
    """

    params: dict[str, Any]
    image_shape: list[int] | None
    appearance: Appearance | None
    ink_share: tuple[float, float] | None
    history: dict[str, list[float]]
    weights_sha256: str


def write_state(folder: Path, state: State, snapshots: dict[str, np.ndarray]) -> None:
    """Write the file.

    Args:
        folder: Folder of the model.
        state: State of the estimator.
        snapshots: The arrays in SNAPSHOTS; empty if the history is.
    """
    write_arrays(folder / FILE, {"state": np.array(state.model_dump_json()), **snapshots})


def read_state(folder: Path) -> tuple[State, dict[str, np.ndarray]] | None:
    """Read the file; return None if there is none.

    Args:
        folder: Folder of the model.

    Returns:
        State and snapshots, as in `write_state`.

    Raises:
        InputError: The file is damaged, or belongs to other weights than those in the folder.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        text = str(read_arrays(path, ["state"])["state"])
        state = State.model_validate_json(text)
        snapshots = read_arrays(path, SNAPSHOTS) if state.history else {}
    except ValidationError as error:
        raise InputError(f"{path}: {explain_first(error)}; {_REMEDY}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: no readable state; {_REMEDY}") from error
    if state.weights_sha256 != hash_of_weights(folder):
        raise InputError(f"{path}: describes other weights than those in {folder}; {_REMEDY}")
    return state, snapshots
