"""The files of a trained model: writing, checking and loading them.

Importing this module imports neither TensorFlow nor h5py; load_network does.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from pydantic import ValidationError

from iic.core.constants import IMAGE_SIZE
from iic.core.errors import InputError, reason_of
from iic.core.files import check_plain, read_text, replacing, sha256_of, write_text
from iic.core.params import Channels, ModelParams, Poolings, Precision, Section, Side
from iic.core.shapes import GREY_SHAPE, ImageShape
from iic.core.validation import explain_first

if TYPE_CHECKING:
    import h5py
    import keras

    from iic.model.numpy_network import NumpyNetwork

_S = TypeVar("_S", bound=Section)
CONFIG, WEIGHTS = "model.json", "model.weights.h5"
# Upper limit in bytes of a file of model parameters.
_MAX_CONFIG_BYTES = 1 << 20
# Upper bound in bytes on what HDF5 stores besides the numbers.
_HDF5_OVERHEAD = 1 << 20
_REMEDY = "delete the folder and run `dvc repro`, or `dvc pull` the model"
# What a network is that has a parameter which others lack, and what it is for.
_KINDS = {
    "head_widths": "a clustering network; `iic predict`, `iic explore` and `iic info` use it",
    "channels": "a segmentation network; `iic segment` and `iic export` use it",
}
MISSING_REMEDY = "run `dvc repro`, or `dvc pull` it"
DAMAGED_REMEDY = "delete it and run `dvc repro`, or `dvc pull` it"


class SavedParams(ModelParams):
    """The parameters of a saved network.

    Attributes:
        poolings: As in ModelParams; earlier versions did not save it.
        input_shape: Height, width and channels of the images; saved if they are not 28×28 grey.
        precision: Precision of the training's steps; saved if it is not float32.
    """

    poolings: Poolings = None
    input_shape: tuple[Side, Side, Channels] = (IMAGE_SIZE, IMAGE_SIZE, 1)
    precision: Precision = "float32"

    def is_for(self, params: ModelParams, shape: ImageShape) -> bool:
        """Return whether the saved network has these parameters and images of this shape."""
        saved = self.model_dump(exclude={"input_shape", "precision"})
        return saved == params.model_dump() and tuple(self.input_shape) == shape


def save_network(
    network: "keras.Model", params: ModelParams, folder: Path, precision: Precision = "float32"
) -> None:
    """Write the parameters of a network as JSON and its weights as HDF5.

    Both files have the same bytes in each run, unlike a `.keras` archive, which contains the date.

    Args:
        network: Network from build_network.
        params: Parameters from which the network was built.
        folder: Folder to write into.
        precision: Precision of the training's steps.
    """
    # Without defaults, so that models of 28×28 grey images are those of earlier versions.
    config = params.model_dump(exclude_none=True)
    if (shape := tuple(network.input_shape[1:])) != GREY_SHAPE:
        config["input_shape"] = shape
    if precision != "float32":
        config["precision"] = precision
    write_model(network, config, folder)


def write_model(network: "keras.Model", config: Mapping[str, object], folder: Path) -> None:
    """Write a description of a network as JSON and its weights as HDF5, the same bytes each time.

    Args:
        network: Any network.
        config: Description from which the network can be built again.
        folder: Folder to write into.
    """
    write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    with replacing(folder / WEIGHTS) as temporary:
        # Reserve the space first: HDF5 reports a full disk in many lines, some after the error.
        temporary.write_bytes(bytes(sum(w.nbytes for w in network.get_weights()) + _HDF5_OVERHEAD))
        network.save_weights(temporary)


def load_network(folder: Path) -> "keras.Model":
    """Load a saved network.

    Only parameters and floating-point numbers are read, never code.

    Args:
        folder: Folder that save_network wrote.

    Returns:
        Network in float32, as from build_network.

    Raises:
        InputError: A file is missing, damaged or not what save_network writes.
    """
    from iic.model.network import build_network

    params = read_model_params(folder)
    return load_checked(
        lambda: build_network(params, params.input_shape), count_parameters(params), folder
    )


def load_checked(
    build: Callable[[], "keras.Model"], weights: int, folder: Path, remedy: str = _REMEDY
) -> "keras.Model":
    """Build a network and load its weights, after a check that the file has nothing else.

    Args:
        build: Function that builds the network.
        weights: Number of its weights.
        folder: Folder that write_model wrote.
        remedy: What to do about a damaged file, for the error.

    Returns:
        The network.

    Raises:
        InputError: The file is missing, damaged or not what write_model writes.
    """
    with _readable(folder, remedy):
        _check_weights(folder / WEIGHTS, weights)
        network = build()
        network.load_weights(folder / WEIGHTS)
    _check_finite(network.get_weights(), folder, remedy)
    return network


def load_numpy_network(folder: Path) -> "NumpyNetwork":
    """Load a saved network without TensorFlow, which takes seconds to import.

    Args:
        folder: Folder that save_network wrote.

    Returns:
        Network that computes in NumPy, with the probabilities of `load_network` up to rounding.

    Raises:
        InputError: A file is missing, damaged or not what save_network writes.
    """
    from iic.model.numpy_network import NumpyNetwork

    params = read_model_params(folder)
    with _readable(folder):
        _check_weights(folder / WEIGHTS, count_parameters(params))
        arrays = _read_layers(folder / WEIGHTS)
        network = NumpyNetwork(params, params.input_shape, arrays)
    _check_finite([array for layer in arrays.values() for array in layer], folder)
    return network


def _read_layers(path: Path) -> dict[str, list[np.ndarray]]:
    """Read the arrays of each layer, by the name that Keras gives it in the file."""
    import h5py

    with h5py.File(path) as file:
        return {
            name: [group["vars"][str(index)][()] for index in range(len(group["vars"]))]
            for name, group in file["layers"].items()
            if len(group["vars"])
        }


@contextmanager
def _readable(folder: Path, remedy: str = _REMEDY) -> Iterator[None]:
    """Raise an InputError for any error in the block, which reads a model."""
    try:
        yield
    except Exception as error:
        # A damaged or crafted HDF5 file can raise nearly any exception.
        raise InputError(f"{folder}: no readable model ({reason_of(error)}); {remedy}") from error


def _check_finite(arrays: Iterable[np.ndarray], folder: Path, remedy: str = _REMEDY) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise InputError(f"{folder / WEIGHTS}: contains numbers that are not finite; {remedy}")


def read_model_params(folder: Path) -> SavedParams:
    """Read the parameters of a saved network.

    Args:
        folder: Folder that save_network wrote.

    Returns:
        The validated parameters.

    Raises:
        InputError: The file is missing or damaged.
    """
    return read_config(folder, SavedParams, MISSING_REMEDY, DAMAGED_REMEDY)


def read_config(folder: Path, kind: type[_S], missing: str, damaged: str) -> _S:
    """Read the description of a network that write_model wrote.

    Args:
        folder: Folder of the network.
        kind: Type of the description.
        missing: What to do about a missing file, for the error.
        damaged: What to do about a damaged file, for the error.

    Returns:
        The validated description.

    Raises:
        InputError: The file is missing or damaged.
    """
    path = folder / CONFIG
    text = read_text(path, missing, damaged, _MAX_CONFIG_BYTES)
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        for key, whose in _KINDS.items():
            if f'"{key}"' in text and key not in kind.model_fields:
                raise InputError(f"{folder}: {whose}") from error
        raise InputError(f"{path}: {explain_first(error)}; {damaged}") from error


def hash_of_weights(folder: Path) -> str:
    """Compute the SHA-256 of a model's weights file, which identifies the training.

    Args:
        folder: Folder that save_network wrote.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: There is no weights file.
    """
    path = folder / WEIGHTS
    try:
        return sha256_of(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; {MISSING_REMEDY}") from error


def count_parameters(params: SavedParams) -> int:
    """Count the weights of a network: kernels, biases, and four per channel of each BatchNorm."""
    total, channels = 0, int(params.input_shape[2])
    for width in params.widths:
        total += 9 * channels * width + width + 4 * width
        channels = width
    for k in (params.clusters, params.overclusters):
        sizes = [channels, *params.head_widths, k]
        total += sum(before * after + after for before, after in pairwise(sizes))
        total += 4 * k if params.normalize_logits else 0
    return total


def _check_weights(path: Path, weights: int) -> None:
    """Raise ValueError unless the file consists of so many floating-point numbers.

    All numbers have to be stored plainly in this file. So loading it opens no other file and
    allocates no more memory than the file has bytes, whatever it claims to contain.
    """
    # Imported late: `iic info` needs this module, but not HDF5.
    import h5py

    check_plain(path)
    sizes: list[int] = []
    bytes_held = 0
    links: list[tuple[str, object]] = []
    with h5py.File(path) as file:
        # Collect first and check afterwards, since h5py cannot handle exceptions in a visitor.
        file.visititems_links(lambda name, link: links.append((name, link)))
        for name, link in links:
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{name} is a link, not data in this file")
            if isinstance(item := file[name], h5py.Dataset):
                _check_array(name, item)
                sizes.append(item.size)
                bytes_held += item.nbytes
    # Further names of an array and space that was never written take no bytes in the file.
    if bytes_held > path.stat().st_size:
        raise ValueError("its arrays have more bytes than the file")
    if sum(sizes) != weights:
        raise ValueError(f"it has {sum(sizes):,} weights instead of {weights:,}")


def _check_array(name: str, array: "h5py.Dataset") -> None:
    """Raise ValueError unless the array consists of plain floating-point numbers."""
    # Compression and other filters need chunks.
    if array.dtype.kind != "f" or array.chunks or array.external or array.is_virtual:
        raise ValueError(f"{name} is not a plain array of floating-point numbers")
