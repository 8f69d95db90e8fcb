"""The article's four operations on batches of images, driven by stored draws.

Nothing here is random: an image, its draws and its noise seed give the same picture in every batch,
epoch and variant. Images are (n, 28, 28, 1) float32, ink 1 on paper 0.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from iic.draws import DRAWS
from iic.params import OPERATIONS, AugmentParams, Operation

_COLUMN = {name: column for column, name in enumerate(DRAWS)}


class Draws(NamedTuple):
    """The draws of one view of a batch: `unit` (n, len(DRAWS)) and `noise_seeds` (n,) uint32."""

    unit: tf.Tensor
    noise_seeds: tf.Tensor

    def column(self, name: str) -> tf.Tensor:
        """The (n,) draws of one name in iic.draws.DRAWS."""
        return self.unit[:, _COLUMN[name]]


@dataclass(frozen=True)
class Transform:
    """A chosen set of operations with their ranges.

    The order is fixed, whatever the order in `ops`: first the geometry, then the grey values.
    """

    params: AugmentParams

    def __call__(self, images: tf.Tensor, draws: Draws, strength: float | tf.Tensor) -> tf.Tensor:
        """Transform images.

        Args:
            images: (n, 28, 28, 1) in [0, 1].
            draws: of one view of these images.
            strength: 0 (nothing happens) to 1 (the whole range), a scalar for all operations.

        Returns:
            (n, 28, 28, 1) in [0, 1].
        """
        p, ops = self.params, self.params.ops
        if "rotation" in ops or "distortion" in ops:
            # One resampling for both: a second one would blur the picture again.
            linear = tf.eye(2, batch_shape=[tf.shape(images)[0]])
            shift = tf.zeros([tf.shape(images)[0], 2])
            if "rotation" in ops:
                linear = rotation_matrix(draws.column("angle") * p.rotation * strength)
            if "distortion" in ops:
                linear = linear @ distortion_matrix(draws, p.shear * strength, p.scale * strength)
                shift = p.shift * strength * _pair(draws, "shift_x", "shift_y")
            images = warp(images, linear, shift)
        if "binarization" in ops:
            images = binarize(images, draws, p.binarization * strength)
        if "noise" in ops:
            images = add_noise(images, draws.noise_seeds, p.noise * strength)
        return images


def make_pair(
    images: tf.Tensor,
    partners: tf.Tensor,
    views: tuple[Draws, ...],
    transform: Transform,
    strength: float | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The pair (x, x_t): an image as it is or transformed, and its partner transformed.

    Args:
        images: (n, 28, 28, 1) in [0, 1].
        partners: the same, or of each image a neighbour.
        views: one or two views' draws.
        transform: operations and ranges.
        strength: see Transform.
    """
    *first, second = views
    x = transform(images, first[0], strength) if first else images
    return x, transform(partners, second, strength)


def operation_examples(images: np.ndarray, draws: Draws, params: AugmentParams) -> np.ndarray:
    """What each operation does at full strength, for the report.

    Args:
        images: (n, 28, 28, 1) in [0, 1].
        draws: of one view of these images.
        params: ranges, and the set of operations of the run.

    Returns:
        (n, 2 + operations, 28, 28) uint8: the original, each operation alone, the run's set.
    """
    sets: list[list[Operation]] = [[], *([op] for op in OPERATIONS), params.ops]
    columns = [
        Transform(params.model_copy(update={"ops": ops}))(images, draws, 1.0)[..., 0]
        for ops in sets
    ]
    return np.rint(255 * np.stack(columns, axis=1)).astype(np.uint8)


def rotation_matrix(degrees: tf.Tensor) -> tf.Tensor:
    """(n,) angles, anticlockwise as seen -> (n, 2, 2) matrices on (x, y), y pointing down."""
    radians = degrees * (math.pi / 180)
    cos, sin = tf.cos(radians), tf.sin(radians)
    return _matrix(cos, sin, -sin, cos)


def distortion_matrix(
    draws: Draws, shear: float | tf.Tensor, scale: float | tf.Tensor
) -> tf.Tensor:
    """Shear along x, then scale of each axis by a factor in [1 - scale, 1 + scale]: (n, 2, 2)."""
    factor = 1 + scale * _pair(draws, "scale_x", "scale_y")
    slope = shear * draws.column("shear")
    width, height = factor[:, 0], factor[:, 1]
    return _matrix(width, width * slope, tf.zeros_like(slope), height)


def warp(images: tf.Tensor, linear: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Move the ink at p to linear·p + shift about the centre; bilinear, paper outside.

    Args:
        images: (n, h, w, 1).
        linear: (n, 2, 2), invertible, on (x, y) in pixels.
        shift: (n, 2) pixels right and down.
    """
    # The sampler asks the opposite question: where does the ink of an output pixel come from?
    inverse = _inverse(linear)
    center = tf.constant([(images.shape[2] - 1) / 2, (images.shape[1] - 1) / 2])
    offset = center - tf.linalg.matvec(inverse, center + shift)
    rows = tf.concat([inverse, offset[:, :, None]], axis=2)
    flat = tf.concat([tf.reshape(rows, [-1, 6]), tf.zeros_like(offset)], axis=1)
    return keras.ops.image.affine_transform(
        images, flat, interpolation="bilinear", fill_mode="constant", data_format="channels_last"
    )


def binarize(images: tf.Tensor, draws: Draws, probability: float | tf.Tensor) -> tf.Tensor:
    """Make an image black and white at a threshold in [0.3, 0.7), with the given probability."""
    threshold = 0.3 + 0.4 * draws.column("threshold")
    chosen = draws.column("binarize") < probability
    black_white = tf.cast(images > threshold[:, None, None, None], images.dtype)
    return tf.where(chosen[:, None, None, None], black_white, images)


def add_noise(images: tf.Tensor, seeds: tf.Tensor, deviation: float | tf.Tensor) -> tf.Tensor:
    """Add normal noise of the given standard deviation to each pixel; clip to [0, 1]."""
    return tf.clip_by_value(images + deviation * normal_noise(seeds, images.shape[1:]), 0, 1)


def normal_noise(seeds: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Standard normal numbers that depend on each image's seed alone, not on its batch.

    TensorFlow's stateless generators take one seed a call. Here a hash of (seed, position) gives
    every pixel its own uniform numbers, and Box-Muller turns two of them into two normal ones.

    Args:
        seeds: (n,) uint32.
        shape: of one image.

    Returns:
        (n, *shape) float32.
    """
    pixels = math.prod(shape)
    half = (pixels + 1) // 2
    position = tf.cast(tf.range(2 * half), tf.uint32)
    # Odd constants spread the positions over all 32 bits before the seed is mixed in.
    uniform = _hash(_hash(seeds)[:, None] + position[None, :] * tf.constant(0x9E3779B1, tf.uint32))
    # 24 bits fit float32 exactly; the half keeps ln away from 0.
    unit = (tf.cast(tf.bitwise.right_shift(uniform, _u32(8)), tf.float32) + 0.5) * 2.0**-24
    radius = tf.sqrt(-2 * tf.math.log(unit[:, :half]))
    angle = 2 * math.pi * unit[:, half:]
    normal = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)
    return tf.reshape(normal[:, :pixels], [-1, *shape])


def _hash(x: tf.Tensor) -> tf.Tensor:
    """MurmurHash3's 32-bit finalizer (A. Appleby): each input bit flips half of the output bits."""
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(16))) * _u32(0x85EBCA6B)
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(13))) * _u32(0xC2B2AE35)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(16)))


def _u32(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)


def _inverse(matrix: tf.Tensor) -> tf.Tensor:
    """Inverse of (n, 2, 2) in closed form: fast, and a NaN passes through it."""
    a, b, c, d = tf.unstack(tf.reshape(matrix, [-1, 4]), axis=1)
    return _matrix(d, -b, -c, a) / (a * d - b * c)[:, None, None]


def _pair(draws: Draws, x: str, y: str) -> tf.Tensor:
    """Two columns as (n, 2)."""
    return tf.stack([draws.column(x), draws.column(y)], axis=1)


def _matrix(a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
    """Four (n,) entries, row by row, as (n, 2, 2)."""
    return tf.stack([tf.stack([a, b], axis=1), tf.stack([c, d], axis=1)], axis=1)
