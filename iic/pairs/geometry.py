"""Maps of the plane and images moved by them; points are (x, y) in pixels, y pointing down."""

import math

import tensorflow as tf


def rotation_matrix(degrees: tf.Tensor) -> tf.Tensor:
    """(n,) angles, anticlockwise as seen -> (n, 2, 2) matrices on (x, y), y pointing down."""
    radians = degrees * (math.pi / 180)
    cos, sin = tf.cos(radians), tf.sin(radians)
    return _matrix(cos, sin, -sin, cos)


def distortion_matrix(slope: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Shear along x by a slope (n,), then width and height times factors (n, 2): (n, 2, 2)."""
    width, height = factor[:, 0], factor[:, 1]
    return _matrix(width, width * slope, tf.zeros_like(slope), height)


def warp(
    images: tf.Tensor, linear: tf.Tensor, shift: tf.Tensor, bend: tf.Tensor | None = None
) -> tf.Tensor:
    """Move the ink at p to linear·p + shift about the centre; bilinear, paper outside.

    Args:
        images: (n, h, w, 1).
        linear: (n, 2, 2), invertible, on (x, y) in pixels.
        shift: (n, 2) pixels right and down.
        bend: (n, h, w, 2) pixels by which each ink's origin is off, or None.
    """
    # The sampler asks the opposite question: where does the ink of an output pixel come from?
    inverse = _inverse(linear)
    height, width = images.shape[1:3]
    center = tf.constant([(width - 1) / 2, (height - 1) / 2])
    # Products as sums: the rounding of a matrix product depends on the size of the batch.
    offset = center - tf.reduce_sum(inverse * (center + shift)[:, None], -1)
    grid = tf.stack(tf.meshgrid(tf.range(float(width)), tf.range(float(height))), axis=-1)
    points = tf.reduce_sum(inverse[:, None, None] * grid[:, :, None], -1) + offset[:, None, None]
    return sample(images, points if bend is None else points + bend)


def sample(images: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """Grey values between pixels: bilinear, paper outside.

    Args:
        images: (n, h, w, 1).
        points: (n, h, w, 2), (x, y) in pixels.

    Returns:
        (n, h, w, 1).
    """
    height, width = images.shape[1:3]
    # A frame of paper: a point further out than that has nothing but paper around it.
    paper = tf.reshape(
        tf.pad(images[..., 0], [[0, 0], [1, 1], [1, 1]]), [-1, (height + 2) * (width + 2)]
    )
    x = tf.clip_by_value(points[..., 0] + 1, 0.0, width + 1.0)
    y = tf.clip_by_value(points[..., 1] + 1, 0.0, height + 1.0)
    left = tf.minimum(tf.floor(x), float(width))
    above = tf.minimum(tf.floor(y), float(height))
    first = tf.cast(above * (width + 2) + left, tf.int32)
    corners = [
        tf.gather(paper, first + step, batch_dims=1) for step in (0, 1, width + 2, width + 3)
    ]
    to_right, down = x - left, y - above
    upper = (1 - to_right) * corners[0] + to_right * corners[1]
    lower = (1 - to_right) * corners[2] + to_right * corners[3]
    return ((1 - down) * upper + down * lower)[..., None]


def _inverse(matrix: tf.Tensor) -> tf.Tensor:
    """Inverse of (n, 2, 2) in closed form: fast, and a NaN passes through it."""
    a, b, c, d = tf.unstack(tf.reshape(matrix, [-1, 4]), axis=1)
    return _matrix(d, -b, -c, a) / (a * d - b * c)[:, None, None]


def _matrix(a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
    """Four (n,) entries, row by row, as (n, 2, 2)."""
    return tf.stack([tf.stack([a, b], axis=1), tf.stack([c, d], axis=1)], axis=1)
