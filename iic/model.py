"""The article's network: a convolutional trunk shared by two heads, its storage and its use."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras import layers
from pydantic import ValidationError

from iic.assignments import Assignments
from iic.datasets import IMAGE_SIZE
from iic.errors import InputError
from iic.files import check_plain, read_text, reason_of, replacing, write_text
from iic.params import ModelParams, Precision
from iic.sizes import MODEL_BYTES, count_parameters

POOLINGS = 3
# An average over about ten batches: the default of 0.99 lags behind weights that move fast.
_MOMENTUM = 0.9
_CONFIG, _WEIGHTS = "model.json", "model.weights.h5"
# Bytes of HDF5 beside the numbers, more than it takes.
_SPARE = 1 << 20
# Somebody's own ~/.keras/keras.json may say otherwise; no result is to depend on it.
keras.config.set_floatx("float32")
keras.config.set_image_data_format("channels_last")


def build_network(params: ModelParams, precision: Precision = "float32") -> keras.Model:
    """Images (n, 28, 28, 1) in [0, 1] -> [clustering (n, k), overclustering (n, k')] softmax.

    With mixed_bfloat16 the layers compute in bfloat16; weights and softmax stay float32.
    """
    images = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1), name="image")
    with _policy(precision):
        return _network(images, params)


@contextmanager
def _policy(precision: Precision) -> Iterator[None]:
    """Layers made inside compute in this precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _network(images: keras.KerasTensor, params: ModelParams) -> keras.Model:
    features = _backbone(images, params)
    return keras.Model(
        images,
        [
            _head(features, params.clusters, params, "clustering"),
            _head(features, params.overclusters, params, "overclustering"),
        ],
        name="iic",
    )


def _backbone(x: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """3×3 convolutions with BatchNorm and ReLU, max-pooled after the first three, then averaged.

    Max-pooling commutes with the increasing map ReLU(BatchNorm(·)), so pooling first computes the
    same function from the same weights (as long as no BatchNorm scale is negative) on a quarter of
    the pixels; only the batch statistics differ.
    """
    for index, width in enumerate(params.widths):
        name, pools = f"backbone_{index + 1}", index < POOLINGS
        x = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv")(x)
        if pools and params.pool_first:
            x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
        if pools and not params.pool_first:
            x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    return layers.GlobalAveragePooling2D(name="features")(x)


def _head(x: keras.KerasTensor, k: int, params: ModelParams, name: str) -> keras.KerasTensor:
    """Dense layers to k softmax outputs.

    Normalised logits give a head spread and balanced outputs from the first step. Without them all
    images start with the same uniform output, where mutual information has no gradient.
    """
    for index, width in enumerate(params.head_widths):
        x = layers.Dense(width, activation="relu", name=f"{name}_dense_{index + 1}")(x)
    x = layers.Dense(k, name=f"{name}_logits")(x)
    if params.normalize_logits:
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.Softmax(dtype="float32", name=name)(x)


def as_input(images: tf.Tensor) -> tf.Tensor:
    """(n, 28, 28) uint8 -> (n, 28, 28, 1) float32 in [0, 1]."""
    return tf.cast(images, tf.float32)[..., None] / 255.0


def predict(network: keras.Model, images: np.ndarray, batch_size: int = 500) -> Assignments:
    """Soft assignments of images (n, 28, 28) uint8, in batches that bound the memory."""
    return Assignments(*outputs_of(network, images, batch_size))


def outputs_of(network: keras.Model, images: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """All outputs of a network for images (n, 28, 28) uint8, so many of them at a time."""
    batches = tf.data.Dataset.from_tensor_slices(images).batch(batch_size).map(as_input)
    return network.predict(batches, verbose=0)


def save_network(network: keras.Model, params: ModelParams, folder: Path) -> None:
    """Write what rebuilds the network: its parameters as JSON and its weights as HDF5.

    A `.keras` archive would hold the date, and so differ from run to run.
    """
    write_text(folder / _CONFIG, json.dumps(params.model_dump(), indent=2) + "\n")
    with replacing(folder / _WEIGHTS) as temporary:
        # HDF5 would tell of a full disk in many lines, some of them after the error.
        temporary.write_bytes(bytes(sum(w.nbytes for w in network.get_weights()) + _SPARE))
        network.save_weights(temporary)


def load_network(folder: Path) -> keras.Model:
    """Rebuild a saved network. Only numbers are read from the files, never code.

    Raises:
        InputError: a file is missing or damaged.
    """
    config, weights = folder / _CONFIG, folder / _WEIGHTS
    remedy = "delete the folder and run `dvc repro`, or `dvc pull` the model"
    try:
        params = ModelParams.model_validate_json(read_text(config, remedy, remedy, MODEL_BYTES))
        _check_weights(weights, params)
        network = build_network(params)
        network.load_weights(weights)
    except ValidationError as error:
        first = error.errors()[0]
        reason = reason_of(f"{first['loc']}: {first['msg']}")
        raise InputError(f"{config}: {reason}; {remedy}") from error
    except Exception as error:
        # HDF5 that is damaged or crafted may raise nearly anything.
        raise InputError(f"{folder}: no readable model ({reason_of(error)}); {remedy}") from error
    if not all(np.isfinite(array).all() for array in network.get_weights()):
        raise InputError(f"{weights}: holds what is no number; {remedy}")
    return network


def _check_weights(path: Path, params: ModelParams) -> None:
    """Raise ValueError for anything but as many floating-point numbers as the network has.

    All of them stand in this file: neither is another one opened, nor more built or unpacked than
    the file has bytes, whatever it claims.
    """
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


def _check_array(name: str, array: h5py.Dataset) -> None:
    """Raise ValueError for more than floating-point numbers."""
    # Whatever is packed, or made by a filter, comes in chunks.
    if array.dtype.kind != "f" or array.chunks or array.external or array.is_virtual:
        raise ValueError(f"{name} is more than numbers")
