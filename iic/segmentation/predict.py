"""Segments of pictures by a trained network: of tiles, and of pictures of any size.

A large picture is segmented window by window. Each window has so much of the picture around it that
its inside is the same as if the whole picture were segmented at once.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from iic.model.network import as_input
from iic.segmentation.network import build_fine
from iic.segmentation.params import TrunkParams

# Pixels of the tiles that are segmented at once: 50 MB for 24 probabilities each.
_PIXELS = 1 << 19
# Height and width of the inside of a window, a multiple of all that poolings need.
_WINDOW = 512


class Segments(NamedTuple):
    """Segments of pixels.

    Attributes:
        cluster: Segments of the clustering head, uint8.
        overcluster: Segments of the overclustering head, uint8, of the same shape.
    """

    cluster: np.ndarray
    overcluster: np.ndarray


def segment_tiles(network: keras.Model, poolings: int, tiles: np.ndarray) -> Segments:
    """Segment tiles.

    Args:
        network: Network from build_trunk.
        poolings: Number of its poolings.
        tiles: (n, s, s) or (n, s, s, 3) uint8 tiles.

    Returns:
        Segments (n, s, s).
    """
    fine = build_fine(network, poolings)
    size = max(1, _PIXELS // (tiles.shape[1] * tiles.shape[2]))
    found = [_segments(fine, tiles[start : start + size]) for start in range(0, len(tiles), size)]
    return Segments(*(np.concatenate(head) for head in zip(*found, strict=True)))


def segment_picture(
    network: keras.Model,
    params: TrunkParams,
    picture: np.ndarray,
    done: Callable[[int], object] = lambda _: None,
) -> Segments:
    """Segment a picture of any size; memory grows with the picture by two bytes a pixel.

    Args:
        network: Network from build_trunk.
        params: Parameters from which it was built.
        picture: (h, w) or (h, w, 3) uint8.
        done: Function called with the number of pixels of each finished window.

    Returns:
        Segments (h, w).
    """
    fine = build_fine(network, params.poolings)
    margin, step = context(params), 2**params.poolings
    height, width = picture.shape[:2]
    result = Segments(*(np.empty((height, width), np.uint8) for _ in range(2)))
    for top in range(0, height, _WINDOW):
        for left in range(0, width, _WINDOW):
            rows, inner_rows = _around(top, height, margin)
            columns, inner_columns = _around(left, width, margin)
            found = _segments(fine, _padded(picture[rows, columns], step)[None])
            inside = slice(top, top + _WINDOW), slice(left, left + _WINDOW)
            for whole, window in zip(result, found, strict=True):
                whole[inside] = window[0, inner_rows, inner_columns]
            done(result.cluster[inside].size)
    return result


def context(params: TrunkParams) -> int:
    """Return the pixels around a window that its segments depend on, a multiple of 2ᵖ.

    A 3×3 convolution after q poolings looks 2^q pixels further; the last map is interpolated, which
    adds one cell, and the pixel may lie anywhere in its cell.
    """
    reach = sum(2 ** min(index, params.poolings) for index in range(len(params.widths)))
    step = 2**params.poolings
    return -(-(reach + 2 * step) // step) * step


def _segments(fine: keras.Model, pictures: np.ndarray) -> Segments:
    return Segments(
        *(np.argmax(soft, axis=-1).astype(np.uint8) for soft in fine(as_input(pictures)))
    )


def _around(start: int, length: int, margin: int) -> tuple[slice, slice]:
    """Return the pixels of a window with its margin along one axis, and its inside in them."""
    end = min(start + _WINDOW, length)
    first = max(0, start - margin)
    return slice(first, min(length, end + margin)), slice(start - first, end - first)


def _padded(window: np.ndarray, step: int) -> np.ndarray:
    """Repeat the last row and column until both sides are multiples of `step`."""
    missing = [(0, -side % step) for side in window.shape[:2]]
    return np.pad(window, [*missing, (0, 0)][: window.ndim], mode="edge")
