"""The files of a trained model: what is stored, how it is checked, and how it is read back.

Importing this module does not import TensorFlow; only `load_network` does.
"""

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from iic.core.errors import InputError, reason_of
from iic.core.files import check_plain, read_text, replacing, write_text
from iic.core.params import ModelParams
from iic.core.validation import explain_first

if TYPE_CHECKING:
    import h5py
    import keras

CONFIG, WEIGHTS = "model.json", "model.weights.h5"
# Upper limit, in bytes, for a model's parameters as JSON.
_MOST_CONFIG = 1 << 20
# Bytes that HDF5 needs beside the numbers; an upper bound.
_SPARE = 1 << 20
_REMEDY = "run `dvc repro`, or `dvc pull` it"
_REPLACE = "delete it and run `dvc repro`, or `dvc pull` it"


def save_network(network: "keras.Model", params: ModelParams, folder: Path) -> None:
    """Write what rebuilds the network: its parameters as JSON and its weights as HDF5.

    A `.keras` archive would hold the date, and so differ from run to run.
    """
    write_text(folder / CONFIG, json.dumps(params.model_dump(), indent=2) + "\n")
    with replacing(folder / WEIGHTS) as temporary:
        # HDF5 would tell of a full disk in many lines, some of them after the error.
        temporary.write_bytes(bytes(sum(w.nbytes for w in network.get_weights()) + _SPARE))
        network.save_weights(temporary)


def load_network(folder: Path) -> "keras.Model":
    """Rebuild a saved network. Only numbers are read from the files, never code.

    Raises:
        InputError: a file is missing or damaged.
    """
    from iic.model.network import build_network

    remedy = "delete the folder and run `dvc repro`, or `dvc pull` the model"
    params = read_model_params(folder)
    try:
        _check_weights(folder / WEIGHTS, params)
        network = build_network(params)
        network.load_weights(folder / WEIGHTS)
    except Exception as error:
        # HDF5 that is damaged or crafted may raise nearly anything.
        raise InputError(f"{folder}: no readable model ({reason_of(error)}); {remedy}") from error
    if not all(np.isfinite(array).all() for array in network.get_weights()):
        raise InputError(f"{folder / WEIGHTS}: holds what is no number; {remedy}")
    return network


def read_model_params(folder: Path) -> ModelParams:
    """The parameters that a model's folder was saved with.

    Raises:
        InputError: they are missing or damaged.
    """
    path = folder / CONFIG
    try:
        return ModelParams.model_validate_json(read_text(path, _REMEDY, _REPLACE, _MOST_CONFIG))
    except ValidationError as error:
        raise InputError(f"{path}: {explain_first(error)}; {_REPLACE}") from error


def hash_of_weights(folder: Path) -> str:
    """SHA-256 of a model's weights, which tells one training from another.

    Raises:
        InputError: there are none.
    """
    path = folder / WEIGHTS
    try:
        check_plain(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run `dvc repro`, or `dvc pull` it") from error


def count_parameters(params: ModelParams) -> int:
    """Number of weights of a network: kernels and biases, and four a channel for each norm."""
    total, channels = 0, 1
    for width in params.widths:
        total += 9 * channels * width + width + 4 * width
        channels = width
    for k in (params.clusters, params.overclusters):
        sizes = [channels, *params.head_widths, k]
        total += sum(before * after + after for before, after in pairwise(sizes))
        total += 4 * k if params.normalize_logits else 0
    return total


def _check_weights(path: Path, params: ModelParams) -> None:
    """Raise ValueError for anything but as many floating-point numbers as the network has.

    All of them stand in this file: neither is another one opened, nor more built or unpacked than
    the file has bytes, whatever it claims.
    """
    # Imported late: `iic info` needs this module, but not HDF5.
    import h5py

    check_plain(path)
    sizes: list[int] = []
    bytes_held = 0
    links: list[tuple[str, object]] = []
    with h5py.File(path) as file:
        # Looked at afterwards: h5py can take no exception while it walks.
        file.visititems_links(lambda name, link: links.append((name, link)))
        for name, link in links:
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{name} lies elsewhere")
            if isinstance(item := file[name], h5py.Dataset):
                _check_array(name, item)
                sizes.append(item.size)
                bytes_held += item.nbytes
    # Names of one array, or places that were never written, cost the file nothing.
    if bytes_held > path.stat().st_size:
        raise ValueError("says that it is larger than its file")
    if sum(sizes) != count_parameters(params):
        raise ValueError(f"{sum(sizes):,} numbers instead of {count_parameters(params):,}")


def _check_array(name: str, array: "h5py.Dataset") -> None:
    """Raise ValueError for more than floating-point numbers."""
    # Whatever is packed, or made by a filter, comes in chunks.
    if array.dtype.kind != "f" or array.chunks or array.external or array.is_virtual:
        raise ValueError(f"{name} is more than numbers")
