"""Augmentation seeds: the unit draws that every variant of a run shares.

What is stored is neither pictures nor angles but numbers in [-1, 1) or [0, 1) per view and image.
An operation multiplies them by its range, so changing a range, the set of operations or alpha
needs no new draws, and two variants differ by what was changed alone (common random numbers).
"""

import numpy as np

# One column a draw. Uniform on [-1, 1): the six of the affine map. On [0, 1): whether an image
# is binarized, and at which threshold; whether its partner is a neighbour, and which.
SYMMETRIC_DRAWS = ("angle", "shear", "scale_x", "scale_y", "shift_x", "shift_y")
UNIT_DRAWS = ("binarize", "threshold", "is_neighbor", "neighbor")
DRAWS = SYMMETRIC_DRAWS + UNIT_DRAWS


def make_draws(seed: int, views: int, images: int) -> dict[str, np.ndarray]:
    """Draw the augmentation seeds of all views.

    Each view has a random stream of its own, so the first views stay the same when more are drawn.

    Args:
        seed: of the run.
        views: number of transformed versions of each image.
        images: number of training images.

    Returns:
        `draws` (views, images, len(DRAWS)) float32 and `noise_seeds` (views, images) uint32,
        the key of each picture's own pixel noise.
    """
    draws = np.empty((views, images, len(DRAWS)), np.float32)
    noise_seeds = np.empty((views, images), np.uint32)
    for view in range(views):
        random = np.random.default_rng([seed, view])
        unit = random.random((images, len(DRAWS)), np.float32)
        unit[:, : len(SYMMETRIC_DRAWS)] = 2 * unit[:, : len(SYMMETRIC_DRAWS)] - 1
        draws[view] = unit
        noise_seeds[view] = random.integers(0, 2**32, images, np.uint32)
    return {"draws": draws, "noise_seeds": noise_seeds}


def views_of_epoch(epoch: int, views: int, *, both_views: bool) -> tuple[int, ...]:
    """Which stored views an epoch uses: fresh ones first, then again in other pairs.

    With one transformed view the epochs walk through the views in turn. With two, epoch e takes
    views 2e and 2e + 1; each time the views are used up, the second lies two further from the
    first, so that pairs seldom repeat.

    Args:
        epoch: from 0.
        views: number of stored views; at least 2 with `both_views`.
        both_views: whether both images of a pair are transformed.
    """
    if not both_views:
        return (epoch % views,)
    cycle, first = divmod(2 * epoch, views)
    distance = 1 + (2 * cycle) % (views - 1)
    return first, (first + distance) % views
