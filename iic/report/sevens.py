"""A style of writing that labels do not name: sevens with a bar through their stem."""

from typing import NamedTuple

import numpy as np

# Data whose class "7" is the digit.
HANDWRITTEN = ("mnist", "digits")
SEVEN = "7"
# Data whose sevens BAR was looked at on. In the coarse images of `digits` nearly all are crossed,
# and it finds no more than half of them.
CHECKED = ("mnist",)
# Pixels of ink by which the widest row of the middle exceeds the stem. Above it lie the sevens that
# a reader would call crossed, with few others: seen on the 1,028 sevens of the test split.
BAR = 6.0
_MIDDLE, _STEM = (0.38, 0.72), (0.35, 1.0)


def crossed(sevens: np.ndarray) -> np.ndarray:
    """(n,) whether each of n images of a seven (n, 28, 28) uint8 has a bar through its stem."""
    return np.array([bar_width(image / 255) > BAR for image in sevens], bool)


class Gathering(NamedTuple):
    """Where a style lies: the overcluster that holds most of it, and counts of images.

    Attributes:
        overcluster: its number.
        inside: images of the style in it.
        style: images of the style anywhere.
        members: images of any style in it.
    """

    overcluster: int
    inside: int
    style: int
    members: int


def gathering(overclusters: np.ndarray, has_style: np.ndarray) -> Gathering:
    """Find the overcluster that holds most of a style.

    Args:
        overclusters: (n,) of the images of one class.
        has_style: (n,) bool, at least one of them true.
    """
    sizes = np.bincount(overclusters)
    inside = np.bincount(overclusters[has_style], minlength=len(sizes))
    fullest = int(inside.argmax())
    return Gathering(fullest, int(inside[fullest]), int(has_style.sum()), int(sizes[fullest]))


def bar_width(image: np.ndarray) -> float:
    """By how many pixels of ink the widest row of the middle exceeds the median row of the stem.

    Args:
        image: (h, w), ink 1 on paper 0.
    """
    upright = _without_slant(image)
    rows = np.flatnonzero(upright.sum(axis=1) > 0.5)
    if len(rows) == 0:
        return 0.0
    top, height = rows[0], len(upright[rows[0] : rows[-1] + 1])
    ink = upright.sum(axis=1)

    def part(share: tuple[float, float]) -> np.ndarray:
        return ink[top + int(share[0] * height) : top + max(int(share[1] * height), 1)]

    return float(part(_MIDDLE).max(initial=0.0) - np.median(part(_STEM)))


def _without_slant(image: np.ndarray) -> np.ndarray:
    """Rows shifted so that the ink's x no longer depends on its y, by second moments."""
    y, x = np.indices(image.shape)
    weight = image / max(image.sum(), 1e-9)
    center_y, center_x = (weight * y).sum(), (weight * x).sum()
    variance = (weight * (y - center_y) ** 2).sum()
    slope = (weight * (y - center_y) * (x - center_x)).sum() / max(variance, 1e-9)
    columns = np.arange(image.shape[1])
    return np.stack(
        [
            np.interp(columns + slope * (row - center_y), columns, ink, left=0, right=0)
            for row, ink in enumerate(image)
        ]
    )
