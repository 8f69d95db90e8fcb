"""Assign new images to the clusters of a trained network, in batches while they are read."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import keras
import numpy as np

from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.data.images import ImageSource, Reading, read_images
from iic.model.assignments import Assignments
from iic.model.network import as_input

# Batches read ahead, of 0.4 MB each; enough to keep both reading and computing busy.
_AHEAD = 20
_Item = TypeVar("_Item")


class AssignedBatch(NamedTuple):
    """Soft assignments of a batch of images.

    Attributes:
        indices: Index of each image in the source.
        images: Images (n, h, w) or (n, h, w, 3), uint8, as the network sees them.
        soft: Soft assignments of the images.
    """

    indices: list[int]
    images: np.ndarray
    soft: Assignments


def predict_source(
    network: keras.Model,
    source: ImageSource,
    appearance: Appearance,
    reading: Reading,
    skipped: Callable[[InputError], None],
) -> Iterator[AssignedBatch]:
    """Assign all images of a source to clusters; batches are read in a second thread.

    Args:
        network: Network from `iic.model.network.build_network`.
        source: Source of the images.
        appearance: Value ranges, ink and paper of the set.
        reading: How images are converted.
        skipped: Function that is called with the error of each skipped image.

    Yields:
        Batches of assignments, in the order of the source.

    Raises:
        InputError: An image is unreadable or does not fit, and `reading.broken` is "refuse".
    """
    for batch in _ahead(read_images(source, appearance, reading, skipped)):
        soft = network.predict_on_batch(as_input(batch.images))
        yield AssignedBatch(batch.indices, batch.images, Assignments(*soft))


def _ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Yield the same items, with up to _AHEAD of them prepared in another thread."""
    end = object()
    pool = ThreadPoolExecutor(1)
    try:
        coming = deque(pool.submit(next, items, end) for _ in range(_AHEAD))
        while (item := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, items, end))
            yield item  # type: ignore[misc]  # not `end`
    finally:
        pool.shutdown(cancel_futures=True)
