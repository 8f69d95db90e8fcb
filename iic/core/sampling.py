"""Even samples of what is too many to show or to keep."""

import numpy as np


def evenly(n: int, most: int) -> np.ndarray:
    """Choose things at equal distances, the first and the last among them.

    Args:
        n: Number of things.
        most: Largest number to choose, at least 1.

    Returns:
        Indices, in order: all n of them, or `most`.
    """
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))
