"""Assign new images to the clusters of a trained network, in batches while they are read."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.core.quiet import quiet
from iic.core.shapes import GREY_SHAPE
from iic.data.images import ImageSource, Reading, read_images
from iic.model.assignments import Assignments
from iic.model.store import load_numpy_network, read_model_params

# Batches read ahead, of 0.4 MB each; enough to keep both reading and computing busy.
_AHEAD = 20
_Item = TypeVar("_Item")
# Computes the soft assignments of images (n, h, w) or (n, h, w, 3), uint8.
Assign = Callable[[np.ndarray], Assignments]
# Numbers in images, of 28×28 bytes each, up to which NumPy is faster than importing TensorFlow.
FEW = 1000 * math.prod(GREY_SHAPE)


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


def load_assign(folder: Path, images: int) -> Assign:
    """Load a trained network in the form that is fastest for a number of images.

    Args:
        folder: Folder that `iic.model.store.save_network` wrote.
        images: Number of images to assign.

    Returns:
        A function that computes their soft assignments.

    Raises:
        InputError: A file is missing, damaged or not what save_network writes.
    """
    if images * math.prod(read_model_params(folder).input_shape) <= FEW:
        return load_numpy_network(folder).assign
    with quiet():
        from iic.model.network import as_input
        from iic.model.store import load_network

        network = load_network(folder)
    return lambda batch: Assignments(*network.predict_on_batch(as_input(batch)))


def predict_source(
    assign: Assign,
    source: ImageSource,
    appearance: Appearance,
    reading: Reading,
    skipped: Callable[[InputError], None],
) -> Iterator[AssignedBatch]:
    """Assign all images of a source to clusters; batches are read in a second thread.

    Args:
        assign: Computes the soft assignments of a batch.
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
        yield AssignedBatch(batch.indices, batch.images, assign(batch.images))


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
