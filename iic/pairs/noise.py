"""Normal random numbers that depend only on each image's seed, not on its batch."""

import functools
import math

import numpy as np
import tensorflow as tf

# Grid points per side of a smooth field: fewer bend the whole digit, more make strokes shaky.
FIELD_GRID = 4


def normal_noise(seeds: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Generate standard normal numbers from one seed per image.

    TensorFlow's stateless generators take one seed per call. Here a hash of seed and position
    yields uniform numbers u, and the Box-Muller transform turns each two of them into two normal
    numbers:

        sqrt(-2 ln u₁)·cos(2π u₂)  and  sqrt(-2 ln u₁)·sin(2π u₂)

    Args:
        seeds: (n,) uint32 seeds.
        shape: Shape of the numbers of one image.

    Returns:
        (n, *shape) float32 standard normal numbers.
    """
    pixels = math.prod(shape)
    half = (pixels + 1) // 2
    unit = _uniform(seeds, 2 * half)
    radius = tf.sqrt(-2 * tf.math.log(unit[:, :half]))
    angle = 2 * math.pi * unit[:, half:]
    normal = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)
    return tf.reshape(normal[:, :pixels], [-1, *shape])


def uniform_draws(seeds: tf.Tensor, count: int) -> tf.Tensor:
    """Generate uniform numbers from one seed per image, for operations added after the draws.

    Derived from the stored seeds, they leave the stored draws as they are.

    Args:
        seeds: (n,) uint32 seeds; the same seeds give normal_noise unrelated numbers.
        count: Numbers of an image.

    Returns:
        (n, count) float32 numbers between 0 and 1.
    """
    return _uniform(tf.bitwise.bitwise_xor(seeds, _u32(0x27D4EB2F)), count)


def smooth_field(seeds: tf.Tensor, size: int) -> tf.Tensor:
    """Generate smooth random displacements for elastic distortion.

    Normal numbers on a grid of FIELD_GRID × FIELD_GRID points, with bicubic interpolation in
    between. After Simard, Steinkraus, Platt: Best Practices for Convolutional Neural Networks
    Applied to Visual Document Analysis, ICDAR 2003.

    Args:
        seeds: (n,) uint32 seeds; the same seeds give normal_noise unrelated numbers.
        size: Height and width of the images in pixels.

    Returns:
        (n, size, size, 2) float32 displacements along x and y, with standard deviation 1 at the
        points of the grid.
    """
    other = tf.bitwise.bitwise_xor(seeds, _u32(0x5BD1E995))
    points, weights = normal_noise(other, (FIELD_GRID, FIELD_GRID, 2)), _bicubic(size)
    # Sums instead of a matrix product, whose rounding depends on the size of the batch.
    rows = sum(weights[:, i, None, None] * points[:, i, None] for i in range(FIELD_GRID))
    return sum(weights[:, j, None] * rows[:, :, j, None] for j in range(FIELD_GRID))


def _uniform(seeds: tf.Tensor, count: int) -> tf.Tensor:
    """Hash seeds (n,) and positions to (n, count) float32 numbers between 0 and 1."""
    position = tf.cast(tf.range(count), tf.uint32)
    # The odd constant spreads the positions over all 32 bits before the hash mixes in the seed.
    uniform = _hash(_hash(seeds)[:, None] + position[None, :] * tf.constant(0x9E3779B1, tf.uint32))
    # float32 represents 24 bits exactly; adding a half keeps the logarithm finite.
    return (tf.cast(tf.bitwise.right_shift(uniform, _u32(8)), tf.float32) + 0.5) * 2.0**-24


@functools.cache
def _bicubic(size: int) -> np.ndarray:
    """Compute the (size, FIELD_GRID) weights of the grid points in each pixel of a row.

    These weights replace tf.image.resize, which XLA does not support.
    """
    with tf.init_scope():
        rows = tf.eye(FIELD_GRID)[None, :, :, None]
        resized = tf.image.resize(rows, [size, FIELD_GRID], method="bicubic")
        return resized[0, :, :, 0].numpy()


def _hash(x: tf.Tensor) -> tf.Tensor:
    """MurmurHash3's 32-bit finalizer (A. Appleby): each input bit flips half the output bits."""
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(16))) * _u32(0x85EBCA6B)
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(13))) * _u32(0xC2B2AE35)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u32(16)))


def _u32(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint32)
