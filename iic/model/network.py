"""The article's network: a convolutional trunk shared by two heads, and its use."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from iic.core.constants import IMAGE_SIZE
from iic.core.params import ModelParams, Precision
from iic.model.assignments import Assignments

POOLINGS = 3
# An average over about ten batches: the default of 0.99 lags behind weights that move fast.
_MOMENTUM = 0.9
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
