"""Normal random numbers that depend on an image's own seed alone."""

import functools
import math

import numpy as np
import tensorflow as tf

# Points of a smooth field a side: fewer bend a digit as a whole, more make strokes tremble.
FIELD_GRID = 4


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


def smooth_field(seeds: tf.Tensor, size: int) -> tf.Tensor:
    """Smooth random displacements: normal ones on a grid of FIELD_GRID², bicubic in between.

    After Simard, Steinkraus, Platt: Best Practices for Convolutional Neural Networks Applied to
    Visual Document Analysis, ICDAR 2003.

    Args:
        seeds: (n,) uint32; the numbers are others than those of normal_noise.
        size: of the square image.

    Returns:
        (n, size, size, 2) float32, of standard deviation 1 at the points of the grid.
    """
    other = tf.bitwise.bitwise_xor(seeds, _u32(0x5BD1E995))
    points, weights = normal_noise(other, (FIELD_GRID, FIELD_GRID, 2)), _bicubic(size)
    # Products as sums: the rounding of a matrix product depends on the size of the batch.
    rows = sum(weights[:, i, None, None] * points[:, i, None] for i in range(FIELD_GRID))
    return sum(weights[:, j, None] * rows[:, :, j, None] for j in range(FIELD_GRID))


@functools.cache
def _bicubic(size: int) -> np.ndarray:
    """(size, FIELD_GRID) weights of the grid's points in a row of pixels, as a resize gives them.

    As a matrix, since XLA cannot resize.
    """
    with tf.init_scope():
        rows = tf.eye(FIELD_GRID)[None, :, :, None]
        resized = tf.image.resize(rows, [size, FIELD_GRID], method="bicubic")
        return resized[0, :, :, 0].numpy()


def _hash(x: tf.Tensor) -> tf.Tensor:
    """MurmurHash3's 32-bit finalizer (A. Appleby): each input bit flips half of the output bits."""
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(16))) * _u32(0x85EBCA6B)
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(13))) * _u32(0xC2B2AE35)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(16)))


def _u32(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)
