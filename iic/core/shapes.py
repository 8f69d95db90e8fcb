"""Shapes of images and of the network's input, and how many images to handle at once."""

import math

import numpy as np

from iic.core.constants import IMAGE_SIZE

# Height, width and number of channels (1 or 3) of the network's input.
ImageShape = tuple[int, int, int]
GREY_SHAPE: ImageShape = (IMAGE_SIZE, IMAGE_SIZE, 1)
# Images of 28×28 grey pixels that are handled at once, and the fewest of larger images.
_BATCH, _SMALLEST_BATCH = 500, 10


def shape_of(images: np.ndarray) -> ImageShape:
    """Return the shape of the network's input for images (n, h, w) or (n, h, w, 3)."""
    height, width, *channels = images.shape[1:]
    return height, width, channels[0] if channels else 1


def array_shape(shape: ImageShape) -> tuple[int, ...]:
    """Return the shape of one stored image: (h, w) for grey images, (h, w, 3) for colours."""
    height, width, channels = shape
    return (height, width) if channels == 1 else shape


def batch_size_of(shape: ImageShape) -> int:
    """Return the number of images to read, or to run through the network, at once.

    Reading and prediction share it, so that the same images in the same order give the same
    numbers. Larger images form smaller batches, which need about the same memory.
    """
    return min(_BATCH, max(_SMALLEST_BATCH, _BATCH * math.prod(GREY_SHAPE) // math.prod(shape)))
