"""Detection of crossed sevens, a style of writing that the labels do not name."""

from typing import NamedTuple

import numpy as np

# Data sets whose class "7" is the digit.
HANDWRITTEN = ("mnist", "digits")
SEVEN = "7"
# Data sets on which BAR was checked by eye. In the coarse images of `digits` nearly all sevens are
# crossed, and BAR finds at most half of them.
CHECKED = ("mnist",)
# Pixels of ink by which the widest row of the middle of a crossed seven exceeds its stem. Chosen by
# eye on the 1,028 sevens of the test split.
BAR = 6.0
_MIDDLE, _STEM = (0.38, 0.72), (0.35, 1.0)


def crossed(sevens: np.ndarray) -> np.ndarray:
    """Detect the bar through the stem of a seven.

    Args:
        sevens: Images (n, 28, 28) of sevens, uint8.

    Returns:
        Whether each of them (n,) has a bar.
    """
    return np.array([bar_width(image / 255) > BAR for image in sevens], bool)


class Gathering(NamedTuple):
    """The overcluster with the most images of a style, and numbers of images.

    Attributes:
        overcluster: Index of the overcluster.
        inside: Images of the style in this overcluster.
        style: Images of the style in all overclusters.
        members: Images of any style in this overcluster.
    """

    overcluster: int
    inside: int
    style: int
    members: int


def gathering(overclusters: np.ndarray, has_style: np.ndarray) -> Gathering:
    """Find the overcluster with the most images of a style.

    Args:
        overclusters: Overcluster (n,) of each image of one class.
        has_style: Whether each image (n,) has the style; true for at least one.

    Returns:
        The overcluster, with numbers of images.
    """
    sizes = np.bincount(overclusters)
    inside = np.bincount(overclusters[has_style], minlength=len(sizes))
    fullest = int(inside.argmax())
    return Gathering(fullest, int(inside[fullest]), int(has_style.sum()), int(sizes[fullest]))


def bar_width(image: np.ndarray) -> float:
    """Measure the bar through the stem of a seven.

    Args:
        image: Image (h, w) of a seven, from 0 (paper) to 1 (ink).

    Returns:
        Ink of the widest row of the middle minus ink of the median row of the stem, in pixels.
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
    """Remove the slant of an image by shearing its rows, measured by second moments."""
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
