"""Poses: the changes of the geometry of square pictures, and of a network's outputs for them.

A pose is an exact symmetry of the square (transposing, then mirroring along either axis: eight in
all) followed by a rotation by a small angle. Outputs of a network have fewer pixels than pictures,
so angles are the same for both, and no pose moves the centre.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from iic.pairs.geometry import rotation_matrix, warp

# Least share of a pixel inside the picture with which it counts.
_INSIDE = 0.99


class Poses(NamedTuple):
    """The poses of n pictures.

    Attributes:
        transposed: (n,) bool; whether rows and columns are exchanged, first of all.
        flipped: (n,) bool; whether the picture is then mirrored top to bottom.
        mirrored: (n,) bool; whether the picture is then mirrored left to right.
        degrees: (n,) float32 angles of the final rotation, anticlockwise, or None for none.
    """

    transposed: tf.Tensor
    flipped: tf.Tensor
    mirrored: tf.Tensor
    degrees: tf.Tensor | None = None


def draw_poses(random: np.random.Generator, n: int, *, symmetries: bool, rotation: float) -> Poses:
    """Draw poses.

    Args:
        random: Generator.
        n: Number of poses.
        symmetries: Whether to draw all eight symmetries of the square, or keep pictures upright.
        rotation: Largest angle of the rotation in degrees, either way; 0 for no rotation.

    Returns:
        The poses; the generator advances equally for all settings.
    """
    transposed, flipped, mirrored = random.integers(2, size=(3, n)).astype(bool) & symmetries
    angles = (rotation * random.uniform(-1, 1, n)).astype(np.float32)
    return Poses(transposed, flipped, mirrored, angles)


def apply(x: tf.Tensor, poses: Poses) -> tf.Tensor:
    """Pose pictures or outputs.

    Args:
        x: (n, s, s, c) float values.
        poses: A pose for each.

    Returns:
        (n, s, s, c) float; `iic.pairs.geometry.sample` says what comes from outside.
    """
    x = _where(poses.transposed, tf.transpose(x, [0, 2, 1, 3]), x)
    x = _where(poses.flipped, tf.reverse(x, [1]), x)
    x = _where(poses.mirrored, tf.reverse(x, [2]), x)
    return x if poses.degrees is None else _rotated(x, poses.degrees)


def visible(valid: tf.Tensor, poses: Poses) -> tf.Tensor:
    """Return which pixels of posed pictures count: those that show a valid pixel of the picture.

    Args:
        valid: (n, s, s) 1 for pixels of the picture that count, 0 for others.
        poses: A pose for each.

    Returns:
        (n, s, s) float32, 0 or 1.
    """
    posed = apply(tf.cast(valid, tf.float32)[..., None], poses)[..., 0]
    return tf.cast(posed > _INSIDE, tf.float32)


def _where(chosen: tf.Tensor, changed: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    return tf.where(chosen[:, None, None, None], changed, x)


def _rotated(x: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    return warp(x, rotation_matrix(degrees), tf.zeros([tf.shape(x)[0], 2]))
