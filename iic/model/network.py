"""The article's network, a convolutional backbone with two heads, and how to apply it."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from iic.core.params import ModelParams, Precision
from iic.core.shapes import GREY_SHAPE, ImageShape, batch_size_of, shape_of
from iic.model.assignments import Assignments
from iic.model.halvings import halvings

# Averages over about ten batches; the default of 0.99 lags behind weights that change fast.
_MOMENTUM = 0.9
# Results must not depend on the user's ~/.keras/keras.json.
keras.config.set_floatx("float32")
keras.config.set_image_data_format("channels_last")


def build_network(
    params: ModelParams, shape: ImageShape = GREY_SHAPE, precision: Precision = "float32"
) -> keras.Model:
    """Build the network with new random weights.

    Args:
        params: Widths and numbers of clusters.
        shape: Height, width and channels (1 or 3) of the images.
        precision: Precision in which the layers compute. Under "mixed_bfloat16",
            weights and softmax stay float32.

    Returns:
        Model from images (n, *shape) in [0, 1] to the soft assignments of the clustering head,
        (n, k), and of the overclustering head, (n, k'), float32.
    """
    images = keras.Input(shape, name="image")
    with precision_policy(precision):
        return _network(images, params)


@contextmanager
def precision_policy(precision: Precision) -> Iterator[None]:
    """Set the precision of the layers that are created in this context."""
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
    """Apply blocks of 3×3 convolution, BatchNorm and ReLU, then average over all pixels.

    The first blocks max-pool, see `halvings`. Max-pooling commutes with the increasing map
    ReLU(BatchNorm(·)), so pooling first computes the same function from the same weights (as long
    as no BatchNorm scale is negative) on a quarter of the pixels; only the batch statistics differ.
    """
    blocks = zip(params.widths, halvings(params, x.shape[1]), strict=True)
    for index, (width, pools) in enumerate(blocks):
        name = f"backbone_{index + 1}"
        x = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv")(x)
        if pools and params.pool_first:
            x = layers.MaxPooling2D(2**pools, name=f"{name}_pool")(x)
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
        if pools and not params.pool_first:
            x = layers.MaxPooling2D(2**pools, name=f"{name}_pool")(x)
    return layers.GlobalAveragePooling2D(name="features")(x)


def _head(x: keras.KerasTensor, k: int, params: ModelParams, name: str) -> keras.KerasTensor:
    """Apply dense layers and a softmax over k clusters.

    Normalised logits make the outputs of a head varied and balanced from the first step. Without
    them, all images start with nearly the same uniform output, where the gradient of the mutual
    information vanishes.
    """
    for index, width in enumerate(params.head_widths):
        x = layers.Dense(width, activation="relu", name=f"{name}_dense_{index + 1}")(x)
    x = layers.Dense(k, name=f"{name}_logits")(x)
    if params.normalize_logits:
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.Softmax(dtype="float32", name=name)(x)


def as_input(images: tf.Tensor) -> tf.Tensor:
    """Convert images (n, h, w) or (n, h, w, 3), uint8, to the network's input.

    Returns:
        (n, h, w, 1 or 3) float32 in [0, 1].
    """
    values = tf.cast(images, tf.float32)
    return (values if len(images.shape) == 4 else values[..., None]) / 255.0


def predict(network: keras.Model, images: np.ndarray, batch_size: int | None = None) -> Assignments:
    """Compute soft assignments, in batches that limit the memory.

    Args:
        network: Network from build_network.
        images: (n, h, w) or (n, h, w, 3) uint8 images.
        batch_size: Number of images per batch; None for 500, or fewer of more than 28×28 pixels.

    Returns:
        Probabilities of both heads, (n, k) and (n, k') float32.
    """
    return Assignments(*_outputs(network, images, batch_size))


def embed(
    network: keras.Model, images: np.ndarray, batch_size: int | None = None
) -> tuple[np.ndarray, Assignments]:
    """Compute the features of the backbone and the soft assignments in one pass.

    Args:
        network: Network from build_network.
        images: (n, h, w) or (n, h, w, 3) uint8 images.
        batch_size: Number of images per batch; None for 500, or fewer of more than 28×28 pixels.

    Returns:
        (n, width) float32 features, and the assignments.
    """
    both = keras.Model(network.input, [network.get_layer("features").output, *network.outputs])
    features, cluster, overcluster = _outputs(both, images, batch_size)
    return features, Assignments(cluster, overcluster)


def _outputs(network: keras.Model, images: np.ndarray, batch_size: int | None) -> list[np.ndarray]:
    size = batch_size or batch_size_of(shape_of(images))
    batches = tf.data.Dataset.from_tensor_slices(images).batch(size).map(as_input)
    return network.predict(batches, verbose=0)
