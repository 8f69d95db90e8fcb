"""New images put into the clusters of a trained network, in batches, as they are read."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import keras
import numpy as np

from iic.errors import InputError
from iic.images import Ground, Reading, Source, read_images
from iic.model import Assignments, as_input

# That of iic.model.predict, so that the same images in the same order give the same numbers.
BATCH_SIZE = 500
_Item = TypeVar("_Item")


class Batch(NamedTuple):
    """Some images of a source: their indices in it (n,), and their soft assignments."""

    indices: list[int]
    soft: Assignments


def predict_source(
    network: keras.Model,
    source: Source,
    ground: Ground,
    reading: Reading,
    skipped: Callable[[InputError], None],
) -> Iterator[Batch]:
    """Put all images of a source into clusters; the next batch is read while one is computed.

    Args:
        network: see iic.model.build_network.
        source: of the images.
        ground: what they are drawn on.
        reading: how they are made to fit.
        skipped: told of each image that is left out.

    Raises:
        InputError: an image cannot be read or does not fit, and is not to be skipped.
    """
    for indices, images in _ahead(_batches(read_images(source, ground, reading, skipped))):
        yield Batch(indices, Assignments(*network.predict_on_batch(as_input(images))))


def _batches(
    images: Iterator[tuple[int, np.ndarray]],
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Indices and images (n, 28, 28) uint8, BATCH_SIZE at most at a time."""
    indices: list[int] = []
    pixels: list[np.ndarray] = []
    for index, image in images:
        indices.append(index)
        pixels.append(image)
        if len(indices) == BATCH_SIZE:
            yield indices, np.stack(pixels)
            indices, pixels = [], []
    if indices:
        yield indices, np.stack(pixels)


def _ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The same items, the next one made in another thread meanwhile."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]  # it is not `end`
