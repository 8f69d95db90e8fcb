"""The augmentation operations on batches of images, driven by stored draws.

Nothing here is random: an image, its draws and its noise seed give the same view in every batch,
epoch and variant. Images are (n, h, w, c) float32 with 1 channel, where ink is 1 and background is
0, or 3. Ranges in pixels are relative to 28 pixels: in larger images, the same share of the image.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from iic.core.constants import IMAGE_SIZE
from iic.core.params import AugmentParams, Operation, shown_operations
from iic.core.shapes import ImageShape
from iic.pairs.draws import DRAW_NAMES
from iic.pairs.geometry import distortion_matrix, rotation_matrix, warp
from iic.pairs.noise import normal_noise, smooth_field, uniform_draws

# XLA fuses about a dozen passes over the pixels into one.
_smooth_field = tf.function(smooth_field, jit_compile=True, reduce_retracing=True)
_COLUMN = {name: column for column, name in enumerate(DRAW_NAMES)}
# Draws of flip and color, in this order.
_FLIP, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(5)
# From red, green and blue to luma (ITU-R 601, as grey images are made) and the two axes of chroma.
_TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float64
)
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


class Draws(NamedTuple):
    """The draws of one view of a batch.

    Attributes:
        unit: (n, len(DRAW_NAMES)) float32 draws, a column for each name in DRAW_NAMES.
        noise_seeds: (n,) uint32 seeds of pixel noise, elastic distortion, flip and colour change.
    """

    unit: tf.Tensor
    noise_seeds: tf.Tensor

    def column(self, name: str) -> tf.Tensor:
        """Return the (n,) draws with a name in iic.pairs.draws.DRAW_NAMES."""
        return self.unit[:, _COLUMN[name]]

    def added(self) -> list[tf.Tensor]:
        """Return the draws (n,), from 0 to 1, of flip, brightness, contrast, saturation, hue."""
        return tf.unstack(uniform_draws(self.noise_seeds, 5), axis=1)


@dataclass(frozen=True)
class Transform:
    """The chosen operations with their ranges.

    The operations always run in the same order, first on the geometry, then on the values: flip,
    rotation, distortion, color, binarization, noise.

    Attributes:
        params: Names of the operations and their ranges.
    """

    params: AugmentParams

    def __call__(self, images: tf.Tensor, draws: Draws, strength: float | tf.Tensor) -> tf.Tensor:
        """Transform images.

        Args:
            images: (n, h, w, c) float32 in [0, 1].
            draws: Draws of one view of these images.
            strength: Share of all ranges in use, from 0 (images stay unchanged) to 1.

        Returns:
            (n, h, w, c) float32 in [0, 1].
        """
        p, ops = self.params, self.params.ops
        if "flip" in ops:
            images = flip(images, draws, p.flip * strength)
        if "rotation" in ops or "distortion" in ops:
            images = self._move(images, draws, strength)
        if "color" in ops:
            ranges = (p.brightness, p.contrast, p.saturation, p.hue)
            images = change_colors(images, draws, [limit * strength for limit in ranges])
        if "binarization" in ops:
            images = binarize(images, draws, p.binarization * strength)
        if "noise" in ops:
            images = add_noise(images, draws.noise_seeds, p.noise * strength)
        return images

    def _move(self, images: tf.Tensor, draws: Draws, strength: float | tf.Tensor) -> tf.Tensor:
        """Rotate and distort in one resampling, since a second one would blur the images again."""
        p, scale = self.params, images.shape[1] / IMAGE_SIZE
        linear = tf.eye(2, batch_shape=[tf.shape(images)[0]])
        shift, bend = tf.zeros([tf.shape(images)[0], 2]), None
        if "rotation" in p.ops:
            linear = rotation_matrix(draws.column("angle") * p.rotation * strength)
        if "distortion" in p.ops:
            factor = 1 + p.scale * strength * _pair(draws, "scale_x", "scale_y")
            slope = p.shear * strength * draws.column("shear")
            linear = linear @ distortion_matrix(slope, factor)
            shift = p.shift * scale * strength * _pair(draws, "shift_x", "shift_y")
            if p.elastic > 0:
                bend = (
                    p.elastic * scale * strength * _smooth_field(draws.noise_seeds, images.shape[1])
                )
        return _compiled_warp(tuple(images.shape[1:]))(images, linear, shift, bend)


@functools.cache
def _compiled_warp(shape: ImageShape) -> Callable[..., tf.Tensor]:  # noqa: ARG001 - the cache key
    """Compile `warp` for images of one shape; a common function would lose the static shape."""
    return tf.function(warp, jit_compile=True, reduce_retracing=True)


def make_pair(
    images: tf.Tensor,
    partners: tf.Tensor,
    views: tuple[Draws, ...],
    transform: Transform,
    strength: float | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Make the pairs (x, x_t): images, transformed or not, and their transformed partners.

    Args:
        images: (n, h, w, c) float32 in [0, 1].
        partners: (n, h, w, c) float32 in [0, 1], the images themselves or neighbours of them.
        views: Draws of one view, for the partners, or of two, for images and partners.
        transform: Operations and their ranges.
        strength: Share of all ranges in use, 0 to 1.

    Returns:
        x and x_t, (n, h, w, c) float32 in [0, 1].
    """
    *first, second = views
    x = transform(images, first[0], strength) if first else images
    return x, transform(partners, second, strength)


def operation_examples(images: np.ndarray, draws: Draws, params: AugmentParams) -> np.ndarray:
    """Apply each operation at full strength, for the report.

    Args:
        images: (n, h, w, c) float32 in [0, 1].
        draws: Draws of one view of these images.
        params: Ranges of all operations, and the run's set of operations.

    Returns:
        (n, columns, h, w) or (n, columns, h, w, 3) uint8: the original, each of
        `iic.core.params.shown_operations` alone, and the run's set.
    """
    shown = shown_operations(params.ops)
    sets: list[list[Operation]] = [[], *([op] for op in shown), params.ops]
    columns = np.stack(
        [Transform(params.model_copy(update={"ops": ops}))(images, draws, 1.0) for ops in sets],
        axis=1,
    )
    return np.rint(255 * (columns[..., 0] if columns.shape[-1] == 1 else columns)).astype(np.uint8)


def flip(images: tf.Tensor, draws: Draws, probability: float | tf.Tensor) -> tf.Tensor:
    """Mirror some of the images left to right.

    Args:
        images: (n, h, w, c) float32.
        draws: Draws of one view of these images.
        probability: Probability that an image is mirrored, 0 to 1.

    Returns:
        (n, h, w, c) float32.
    """
    chosen = draws.added()[_FLIP] < probability
    return tf.where(chosen[:, None, None, None], tf.reverse(images, [2]), images)


def change_colors(
    images: tf.Tensor, draws: Draws, ranges: Sequence[float | tf.Tensor]
) -> tf.Tensor:
    """Change brightness, contrast, saturation and hue, in this order, and clip to [0, 1].

    With b, c, s and h drawn evenly between minus and plus their ranges: all values are multiplied
    by 1 + b; their distances to the mean luma of the image by 1 + c; the distance of each pixel to
    grey of its luma by 1 + s; and its chroma is turned by h full turns. Grey images have no
    saturation and hue.

    Args:
        images: (n, h, w, c) float32 in [0, 1].
        draws: Draws of one view of these images.
        ranges: Ranges of b, c, s and h.

    Returns:
        (n, h, w, c) float32 in [0, 1].
    """
    drawn = draws.added()
    brightness, contrast, saturation, hue = (
        ((2 * drawn[place] - 1) * limit)[:, None, None]
        for place, limit in zip((_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE), ranges, strict=True)
    )
    planes = [plane * (1 + brightness) for plane in tf.unstack(images, axis=3)]
    luma = planes[0] if len(planes) == 1 else _combined(_TO_YIQ[0], planes)
    mean = tf.reduce_mean(luma, axis=[1, 2], keepdims=True)
    planes = [mean + (plane - mean) * (1 + contrast) for plane in planes]
    if len(planes) == 3:
        y, i, q = (_combined(row, planes) for row in _TO_YIQ)
        angle = 2 * math.pi * hue
        cos, sin = (1 + saturation) * tf.cos(angle), (1 + saturation) * tf.sin(angle)
        turned = [y, i * cos - q * sin, i * sin + q * cos]
        planes = [_combined(row, turned) for row in _FROM_YIQ]
    return tf.clip_by_value(tf.stack(planes, axis=3), 0, 1)


def _combined(weights: np.ndarray, planes: Sequence[tf.Tensor]) -> tf.Tensor:
    """Sum weighted planes; a matrix product's rounding depends on the size of the batch."""
    first, second, third = (
        float(weight) * plane for weight, plane in zip(weights, planes, strict=True)
    )
    return first + second + third


def binarize(images: tf.Tensor, draws: Draws, probability: float | tf.Tensor) -> tf.Tensor:
    """Binarize some of the images, at thresholds from [0.3, 0.7).

    Args:
        images: (n, h, w, c) float32 in [0, 1].
        draws: Draws of one view of these images.
        probability: Probability that an image is binarized, 0 to 1.

    Returns:
        (n, h, w, c) float32; 0 or 1 in binarized images.
    """
    threshold = 0.3 + 0.4 * draws.column("threshold")
    chosen = draws.column("binarize") < probability
    black_white = tf.cast(images > threshold[:, None, None, None], images.dtype)
    return tf.where(chosen[:, None, None, None], black_white, images)


def add_noise(images: tf.Tensor, seeds: tf.Tensor, deviation: float | tf.Tensor) -> tf.Tensor:
    """Add normal noise to each pixel and clip to [0, 1].

    Args:
        images: (n, h, w, c) float32 in [0, 1].
        seeds: (n,) uint32 seeds of the noise.
        deviation: Standard deviation of the noise; full ink is 1.

    Returns:
        (n, h, w, c) float32 in [0, 1].
    """
    return tf.clip_by_value(images + deviation * normal_noise(seeds, images.shape[1:]), 0, 1)


def _pair(draws: Draws, x: str, y: str) -> tf.Tensor:
    """Stack two columns of draws as (n, 2)."""
    return tf.stack([draws.column(x), draws.column(y)], axis=1)
