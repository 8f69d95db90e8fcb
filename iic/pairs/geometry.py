"""Affine maps, and images resampled under them. Points are (x, y) in pixels, y pointing down."""

import math

import tensorflow as tf


def rotation_matrix(degrees: tf.Tensor) -> tf.Tensor:
    """Compute rotation matrices.

    Args:
        degrees: (n,) angles in degrees, anticlockwise as the image is seen.

    Returns:
        (n, 2, 2) matrices on (x, y), y pointing down.
    """
    radians = degrees * (math.pi / 180)
    cos, sin = tf.cos(radians), tf.sin(radians)
    return _matrix(cos, sin, -sin, cos)


def distortion_matrix(slope: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Compute matrices that shear along x, then scale width and height.

    Args:
        slope: (n,) shift along x per pixel along y.
        factor: (n, 2) factors of the width and of the height.

    Returns:
        (n, 2, 2) matrices on (x, y).
    """
    width, height = factor[:, 0], factor[:, 1]
    return _matrix(width, width * slope, tf.zeros_like(slope), height)


def warp(
    images: tf.Tensor, linear: tf.Tensor, shift: tf.Tensor, bend: tf.Tensor | None = None
) -> tf.Tensor:
    """Move the ink at each point p, relative to the centre, to linear·p + shift.

    Interpolation is bilinear; what is outside the image, `sample` says.

    Args:
        images: (n, h, w, c) grey values or colours.
        linear: (n, 2, 2) invertible matrices on (x, y).
        shift: (n, 2) shifts in pixels, right and down.
        bend: (n, h, w, 2) displacement in pixels of the point at which each output pixel is
            sampled, or None.

    Returns:
        (n, h, w, c) grey values or colours.
    """
    # Sampling needs the inverse map: from each output pixel to its origin.
    inverse = _inverse(linear)
    height, width = images.shape[1:3]
    center = tf.constant([(width - 1) / 2, (height - 1) / 2])
    # Sums instead of a matrix product, whose rounding depends on the size of the batch.
    offset = center - tf.reduce_sum(inverse * (center + shift)[:, None], -1)
    grid = tf.stack(tf.meshgrid(tf.range(float(width)), tf.range(float(height))), axis=-1)
    points = tf.reduce_sum(inverse[:, None, None] * grid[:, :, None], -1) + offset[:, None, None]
    return sample(images, points if bend is None else points + bend)


def sample(images: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """Interpolate values bilinearly.

    Outside a grey image there is background (0). Images in colour have no background, so the
    nearest pixel of the border continues.

    Args:
        images: (n, h, w, 1) grey values or (n, h, w, 3) colours.
        points: (n, h, w, 2) points (x, y) in pixels.

    Returns:
        (n, h, w, 1 or 3) values at the points.
    """
    channels = images.shape[3]
    outside = "CONSTANT" if channels == 1 else "SYMMETRIC"
    return tf.stack(
        [_sampled(images[..., channel], points, outside) for channel in range(channels)], axis=-1
    )


def _sampled(plane: tf.Tensor, points: tf.Tensor, outside: str) -> tf.Tensor:
    """Interpolate one channel (n, h, w) at points (n, h, w, 2)."""
    height, width = plane.shape[1:3]
    # One pixel of background on each side; points further out are clipped onto it.
    padded = tf.reshape(
        tf.pad(plane, [[0, 0], [1, 1], [1, 1]], outside), [-1, (height + 2) * (width + 2)]
    )
    x = tf.clip_by_value(points[..., 0] + 1, 0.0, width + 1.0)
    y = tf.clip_by_value(points[..., 1] + 1, 0.0, height + 1.0)
    left = tf.minimum(tf.floor(x), float(width))
    above = tf.minimum(tf.floor(y), float(height))
    first = tf.cast(above * (width + 2) + left, tf.int32)
    corners = [
        tf.gather(padded, first + step, batch_dims=1) for step in (0, 1, width + 2, width + 3)
    ]
    to_right, down = x - left, y - above
    upper = (1 - to_right) * corners[0] + to_right * corners[1]
    lower = (1 - to_right) * corners[2] + to_right * corners[3]
    return (1 - down) * upper + down * lower


def _inverse(matrix: tf.Tensor) -> tf.Tensor:
    """Invert (n, 2, 2) matrices in closed form, which is fast and lets NaN pass through."""
    a, b, c, d = tf.unstack(tf.reshape(matrix, [-1, 4]), axis=1)
    return _matrix(d, -b, -c, a) / (a * d - b * c)[:, None, None]


def _matrix(a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
    """Build (n, 2, 2) matrices from four (n,) entries, row by row."""
    return tf.stack([tf.stack([a, b], axis=1), tf.stack([c, d], axis=1)], axis=1)
