"""The article's four augmentation operations on batches of images, driven by stored draws.

Nothing here is random: an image, its draws and its noise seed give the same view in every batch,
epoch and variant. Images are (n, 28, 28, 1) float32; ink is 1 and background is 0.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from iic.core.params import OPERATIONS, AugmentParams, Operation
from iic.pairs.draws import DRAW_NAMES
from iic.pairs.geometry import distortion_matrix, rotation_matrix, warp
from iic.pairs.noise import normal_noise, smooth_field

# XLA fuses about a dozen passes over the pixels into one.
_warp = tf.function(warp, jit_compile=True, reduce_retracing=True)
_smooth_field = tf.function(smooth_field, jit_compile=True, reduce_retracing=True)
_COLUMN = {name: column for column, name in enumerate(DRAW_NAMES)}


class Draws(NamedTuple):
    """The draws of one view of a batch.

    Attributes:
        unit: (n, len(DRAW_NAMES)) float32 draws, a column for each name in DRAW_NAMES.
        noise_seeds: (n,) uint32 seeds of pixel noise and elastic distortion.
    """

    unit: tf.Tensor
    noise_seeds: tf.Tensor

    def column(self, name: str) -> tf.Tensor:
        """Return the (n,) draws with a name in iic.pairs.draws.DRAW_NAMES."""
        return self.unit[:, _COLUMN[name]]


@dataclass(frozen=True)
class Transform:
    """The chosen operations with their ranges.

    The operations always run in the same order, first on the geometry, then on the grey values:
    rotation, distortion, binarization, noise.

    Attributes:
        params: Names of the operations and their ranges.
    """

    params: AugmentParams

    def __call__(self, images: tf.Tensor, draws: Draws, strength: float | tf.Tensor) -> tf.Tensor:
        """Transform images.

        Args:
            images: (n, 28, 28, 1) float32 in [0, 1].
            draws: Draws of one view of these images.
            strength: Share of all ranges in use, from 0 (images stay unchanged) to 1.

        Returns:
            (n, 28, 28, 1) float32 in [0, 1].
        """
        p, ops = self.params, self.params.ops
        if "rotation" in ops or "distortion" in ops:
            images = self._move(images, draws, strength)
        if "binarization" in ops:
            images = binarize(images, draws, p.binarization * strength)
        if "noise" in ops:
            images = add_noise(images, draws.noise_seeds, p.noise * strength)
        return images

    def _move(self, images: tf.Tensor, draws: Draws, strength: float | tf.Tensor) -> tf.Tensor:
        """Rotate and distort in one resampling, since a second one would blur the images again."""
        p = self.params
        linear = tf.eye(2, batch_shape=[tf.shape(images)[0]])
        shift, bend = tf.zeros([tf.shape(images)[0], 2]), None
        if "rotation" in p.ops:
            linear = rotation_matrix(draws.column("angle") * p.rotation * strength)
        if "distortion" in p.ops:
            factor = 1 + p.scale * strength * _pair(draws, "scale_x", "scale_y")
            slope = p.shear * strength * draws.column("shear")
            linear = linear @ distortion_matrix(slope, factor)
            shift = p.shift * strength * _pair(draws, "shift_x", "shift_y")
            if p.elastic > 0:
                bend = p.elastic * strength * _smooth_field(draws.noise_seeds, images.shape[1])
        return _warp(images, linear, shift, bend)


def make_pair(
    images: tf.Tensor,
    partners: tf.Tensor,
    views: tuple[Draws, ...],
    transform: Transform,
    strength: float | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Make the pairs (x, x_t): images, transformed or not, and their transformed partners.

    Args:
        images: (n, 28, 28, 1) float32 in [0, 1].
        partners: (n, 28, 28, 1) float32 in [0, 1], the images themselves or neighbours of them.
        views: Draws of one view, for the partners, or of two, for images and partners.
        transform: Operations and their ranges.
        strength: Share of all ranges in use, 0 to 1.

    Returns:
        x and x_t, (n, 28, 28, 1) float32 in [0, 1].
    """
    *first, second = views
    x = transform(images, first[0], strength) if first else images
    return x, transform(partners, second, strength)


def operation_examples(images: np.ndarray, draws: Draws, params: AugmentParams) -> np.ndarray:
    """Apply each operation at full strength, for the report.

    Args:
        images: (n, 28, 28, 1) float32 in [0, 1].
        draws: Draws of one view of these images.
        params: Ranges of all operations, and the run's set of operations.

    Returns:
        (n, 2 + len(OPERATIONS), 28, 28) uint8: the original, each operation alone, the run's set.
    """
    sets: list[list[Operation]] = [[], *([op] for op in OPERATIONS), params.ops]
    columns = [
        Transform(params.model_copy(update={"ops": ops}))(images, draws, 1.0)[..., 0]
        for ops in sets
    ]
    return np.rint(255 * np.stack(columns, axis=1)).astype(np.uint8)


def binarize(images: tf.Tensor, draws: Draws, probability: float | tf.Tensor) -> tf.Tensor:
    """Binarize some of the images, at thresholds from [0.3, 0.7).

    Args:
        images: (n, 28, 28, 1) float32 in [0, 1].
        draws: Draws of one view of these images.
        probability: Probability that an image is binarized, 0 to 1.

    Returns:
        (n, 28, 28, 1) float32; 0 or 1 in binarized images.
    """
    threshold = 0.3 + 0.4 * draws.column("threshold")
    chosen = draws.column("binarize") < probability
    black_white = tf.cast(images > threshold[:, None, None, None], images.dtype)
    return tf.where(chosen[:, None, None, None], black_white, images)


def add_noise(images: tf.Tensor, seeds: tf.Tensor, deviation: float | tf.Tensor) -> tf.Tensor:
    """Add normal noise to each pixel and clip to [0, 1].

    Args:
        images: (n, 28, 28, 1) float32 in [0, 1].
        seeds: (n,) uint32 seeds of the noise.
        deviation: Standard deviation of the noise; full ink is 1.

    Returns:
        (n, 28, 28, 1) float32 in [0, 1].
    """
    return tf.clip_by_value(images + deviation * normal_noise(seeds, images.shape[1:]), 0, 1)


def _pair(draws: Draws, x: str, y: str) -> tf.Tensor:
    """Stack two columns of draws as (n, 2)."""
    return tf.stack([draws.column(x), draws.column(y)], axis=1)
