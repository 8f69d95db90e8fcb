"""Smaller copies of images."""

import math

import numpy as np
from PIL import Image


def reduced(images: np.ndarray, side: int) -> np.ndarray:
    """Reduce larger square images to a side by averages.

    Args:
        images: Images (n, h, h) or (n, h, h, 3), uint8.
        side: Height and width of the result, in pixels.

    Returns:
        Images (n, side, side) or (n, side, side, 3), uint8; `images` itself if they are no larger.
    """
    if images.shape[1] <= side:
        return images
    smaller = np.empty((len(images), side, side, *images.shape[3:]), np.uint8)
    for target, image in zip(smaller, images, strict=True):
        target[...] = Image.fromarray(image).resize((side, side), Image.Resampling.BOX)
    return smaller


def fit_budget(images: np.ndarray, pixels: int) -> np.ndarray:
    """Reduce square images to a number of pixels of all of them, by averages.

    Args:
        images: Images (n, h, h) or (n, h, h, 3), uint8.
        pixels: Largest number of pixels of the n images together.

    Returns:
        Images of the largest side, at most their own, with which they have no more pixels.
    """
    return reduced(images, max(1, math.isqrt(pixels // max(1, len(images)))))
