"""New images put into the clusters of a trained network, in batches, as they are read."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import keras

from iic.core.errors import InputError
from iic.data.images import Ground, ImageSource, Reading, read_images
from iic.model.assignments import Assignments
from iic.model.network import as_input

# Batches, of 0.4 MB each: enough that neither reading nor computing often waits for the other.
_AHEAD = 20
_Item = TypeVar("_Item")


class Assigned(NamedTuple):
    """Some images of a source: their indices in it (n,), and their soft assignments."""

    indices: list[int]
    soft: Assignments


def predict_source(
    network: keras.Model,
    source: ImageSource,
    ground: Ground,
    reading: Reading,
    skipped: Callable[[InputError], None],
) -> Iterator[Assigned]:
    """Put all images of a source into clusters; the next batch is read while one is computed.

    Args:
        network: see iic.model.network.build_network.
        source: of the images.
        ground: what they are drawn on.
        reading: how they are made to fit.
        skipped: told of each image that is left out.

    Raises:
        InputError: an image cannot be read or does not fit, and is not to be skipped.
    """
    for batch in _ahead(read_images(source, ground, reading, skipped)):
        soft = network.predict_on_batch(as_input(batch.images))
        yield Assigned(batch.indices, Assignments(*soft))


def _ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The same items, up to _AHEAD of them made in another thread meanwhile."""
    end = object()
    pool = ThreadPoolExecutor(1)
    try:
        coming = deque(pool.submit(next, items, end) for _ in range(_AHEAD))
        while (item := coming.popleft().result()) is not end:
            coming.append(pool.submit(next, items, end))
            yield item  # type: ignore[misc]  # it is not `end`
    finally:
        pool.shutdown(cancel_futures=True)
