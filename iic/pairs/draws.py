"""Augmentation seeds: random draws that all variants of a run share.

For each view and image, numbers in [-1, 1) or [0, 1) are stored, neither images nor angles. An
operation multiplies a draw by its range or compares it with its probability. Changing a range, the
set of operations or alpha therefore needs no new draws, and two variants of a run differ only in
the changed setting (common random numbers).
"""

import numpy as np

# Uniform on [-1, 1): the parameters of the affine map.
SYMMETRIC_DRAWS = ("angle", "shear", "scale_x", "scale_y", "shift_x", "shift_y")
# Uniform on [0, 1): whether an image is binarized and at which threshold; whether its partner is a
# neighbour and which one.
UNIT_DRAWS = ("binarize", "threshold", "is_neighbor", "neighbor")
# Name of each column of an array of draws.
DRAW_NAMES = SYMMETRIC_DRAWS + UNIT_DRAWS


def make_draws(seed: int, views: int, images: int) -> dict[str, np.ndarray]:
    """Draw the augmentation seeds of all views.

    Each view has its own random stream, so the first views stay the same when more are drawn.

    Args:
        seed: Seed of the run, a non-negative integer.
        views: Number of transformed views of each image.
        images: Number of training images.

    Returns:
        `draws`, (views, images, len(DRAW_NAMES)) float32, and `noise_seeds`, (views, images)
        uint32, the seed of each image's pixel noise, elastic distortion, flip and colour change.
    """
    draws = np.empty((views, images, len(DRAW_NAMES)), np.float32)
    noise_seeds = np.empty((views, images), np.uint32)
    for view in range(views):
        random = np.random.default_rng([seed, view])
        unit = random.random((images, len(DRAW_NAMES)), np.float32)
        unit[:, : len(SYMMETRIC_DRAWS)] = 2 * unit[:, : len(SYMMETRIC_DRAWS)] - 1
        draws[view] = unit
        noise_seeds[view] = random.integers(0, 2**32, images, np.uint32)
    return {"draws": draws, "noise_seeds": noise_seeds}


def views_of_epoch(epoch: int, views: int, *, both_views: bool) -> tuple[int, ...]:
    """Choose the stored views that an epoch uses: unused ones first, then other pairs of them.

    With one transformed view, the epochs use the views in turn. With two, epoch e uses the views
    2e and 2e + 1. Each time all views have been used, the distance from the first to the second
    view grows by two, so that pairs of views seldom repeat.

    Args:
        epoch: Number of the epoch, counted from 0.
        views: Number of stored views; at least 2 with `both_views`.
        both_views: Whether both images of a pair are transformed.

    Returns:
        Index of the view of each transformed image of a pair: one index, or two different ones.
    """
    if not both_views:
        return (epoch % views,)
    cycle, first = divmod(2 * epoch, views)
    distance = 1 + (2 * cycle) % (views - 1)
    return first, (first + distance) % views
