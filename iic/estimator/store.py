"""The file in the folder of a saved estimator: what a model folder of the pipeline lacks."""

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from iic.core.appearance import Appearance
from iic.core.constants import Head
from iic.core.errors import InputError
from iic.core.files import open_arrays, read_array, write_arrays
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
        file_appearance: How they looked in their files, if `load_images` has converted them.
        ink_share: Mean and standard deviation of the ink of the training images, or None.
        history: Columns of the history by name; empty if it is not known.
        weights_sha256: SHA-256 of the weights file.
    """

    params: dict[str, Any]
    image_shape: list[int] | None
    appearance: Appearance | None
    file_appearance: Appearance | None = None
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
    with open_arrays(path, _REMEDY) as archive:
        state = _parsed(str(read_array(archive, "state")), path)
        names = SNAPSHOTS if state.history else []
        snapshots = {name: read_array(archive, name) for name in names}
    if state.weights_sha256 != hash_of_weights(folder):
        raise InputError(f"{path}: describes other weights than those in {folder}; {_REMEDY}")
    return state, snapshots


def _parsed(text: str, path: Path) -> State:
    try:
        return State.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"{path}: {explain_first(error)}; {_REMEDY}") from error
