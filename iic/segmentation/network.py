"""The network of segmentation: a fully convolutional trunk and two heads of 1×1 convolutions.

The trunk consists of blocks of 3×3 convolution, BatchNorm and ReLU, the first of which also halve
the map by max-pooling. Both heads give probabilities on this coarse map, on which the loss is
computed. For a prediction, they are interpolated to all pixels. With `grouped`, the probability of
a segment is instead the sum of those of its overclusters, a 1×1 convolution with zeros and ones.
"""

import keras
import numpy as np
from keras import layers

from iic.core.constants import Head
from iic.core.params import Precision
from iic.model.network import precision_policy
from iic.segmentation.params import TrunkParams

# Averages over about ten batches, as in the network of clustering.
_MOMENTUM = 0.9


def build_trunk(
    params: TrunkParams, channels: int, precision: Precision = "float32"
) -> keras.Model:
    """Build the network with new random weights.

    Args:
        params: Widths, poolings and numbers of clusters.
        channels: Channels of the pictures, 1 or 3.
        precision: Precision in which the layers compute; weights and softmax stay float32.

    Returns:
        Model from pictures (n, h, w, channels) in [0, 1] to the soft assignments of both heads on
        the coarse map, (n, h/2ᵖ, w/2ᵖ, k) and (n, h/2ᵖ, w/2ᵖ, k'), float32, with the number of
        poolings p; height and width have to be multiples of 2ᵖ.
    """
    pictures = keras.Input((None, None, channels), name="picture")
    with precision_policy(precision):
        x = _trunk(pictures, params)
        if params.grouped:
            overclusters = _head(x, params.overclusters, Head.OVERCLUSTER.value)
            heads = [_groups(overclusters, params.clusters), overclusters]
        else:
            heads = [_head(x, k, head.value) for head, k in params.head_sizes.items()]
    return keras.Model(pictures, heads, name="iic_segmentation")


def _trunk(x: keras.KerasTensor, params: TrunkParams) -> keras.KerasTensor:
    """Apply blocks of 3×3 convolution, BatchNorm and ReLU, the first with max-pooling."""
    for index, width in enumerate(params.widths):
        name = f"trunk_{index + 1}"
        x = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv")(x)
        # Pooling commutes with BatchNorm and ReLU (iic.model.network), and is faster first.
        if index < params.poolings:
            x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
    return x


def _head(x: keras.KerasTensor, k: int, name: str) -> keras.KerasTensor:
    """Apply a 1×1 convolution with normalised logits and a softmax over k clusters."""
    x = layers.Conv2D(k, 1, name=f"{name}_logits")(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.Softmax(dtype="float32", name=name)(x)


def _groups(overclusters: keras.KerasTensor, k: int) -> keras.KerasTensor:
    """Add the probabilities of the overclusters of each of k groups, at first every k-th one."""
    in_turn = np.eye(k)[np.arange(overclusters.shape[-1]) % k]
    return layers.Conv2D(
        *(k, 1),
        use_bias=False,
        kernel_initializer=keras.initializers.Constant(in_turn),
        trainable=False,
        dtype="float32",
        name=Head.CLUSTER.value,
    )(overclusters)


def get_groups(trunk: keras.Model) -> np.ndarray:
    """Return the group of each overcluster, (k',) integers, of a grouped network."""
    return np.asarray(trunk.get_layer(Head.CLUSTER.value).kernel)[0, 0].argmax(axis=1)


def set_groups(trunk: keras.Model, groups: np.ndarray) -> None:
    """Set the group of each overcluster, (k',) integers, of a grouped network."""
    kernel = trunk.get_layer(Head.CLUSTER.value).kernel
    kernel.assign(np.eye(kernel.shape[-1])[groups][None, None])


def build_fine(trunk: keras.Model, poolings: int) -> keras.Model:
    """Build a model that gives each pixel of a picture its assignments, from the same weights.

    Args:
        trunk: Network from build_trunk.
        poolings: Number of its poolings p.

    Returns:
        Model from pictures (n, h, w, channels) in [0, 1] to both heads, (n, h, w, k) and
        (n, h, w, k'); the probabilities are interpolated bilinearly, so they still sum to 1.
    """
    if not poolings:
        return trunk
    outputs = [
        layers.UpSampling2D(2**poolings, interpolation="bilinear", name=f"fine_{output.name}")(
            output
        )
        for output in trunk.outputs
    ]
    return keras.Model(trunk.input, outputs, name="iic_segmentation_fine")


def build_pixels(trunk: keras.Model, poolings: int) -> keras.Model:
    """Build a model that treats each pixel as a sample of its own, from the same weights.

    Args:
        trunk: Network from build_trunk.
        poolings: Number of its poolings.

    Returns:
        Model from pictures (n, h, w, channels) in [0, 1] to both heads, (n·h·w, k) and
        (n·h·w, k'), picture by picture and row by row.
    """
    fine = build_fine(trunk, poolings)
    rows = [keras.ops.reshape(output, (-1, output.shape[-1])) for output in fine.outputs]
    return keras.Model(trunk.input, rows, name="iic_segmentation_pixels")
