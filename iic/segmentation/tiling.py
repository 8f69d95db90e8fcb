"""Square tiles of pictures of any size.

Tiles lie on a grid; the last ones of a row and of a column are shifted inwards, so that all tiles
lie inside the picture and together cover it.
"""

from typing import NamedTuple

import numpy as np

from iic.core.appearance import Appearance
from iic.segmentation.constants import IGNORED


class Scenes(NamedTuple):
    """Tiles and masks of a training and a test split.

    Attributes:
        train_tiles: (n, s, s) or (n, s, s, 3) uint8 training tiles.
        train_valid: (n, s, s) bool, False for pixels that do not count in training.
        train_masks: (n, s, s) uint8 classes, or IGNORED.
        test_tiles: (m, s, s) or (m, s, s, 3) uint8 test tiles.
        test_masks: (m, s, s) uint8 classes, or IGNORED.
        names: Names of the classes; empty without masks.
        appearance: Value ranges of custom pictures; None for other data.
        whole: A whole picture (h, w, 3), uint8, to show as a map, and the class of each of its
            pixels (h, w), uint8; None for data without a map.
    """

    train_tiles: np.ndarray
    train_valid: np.ndarray
    train_masks: np.ndarray
    test_tiles: np.ndarray
    test_masks: np.ndarray
    names: tuple[str, ...]
    appearance: Appearance | None = None
    whole: tuple[np.ndarray, np.ndarray] | None = None


class Place(NamedTuple):
    """The place of a tile in a picture: its first row and its first column."""

    row: int
    column: int


def tile_places(height: int, width: int, side: int, step: int) -> list[Place]:
    """Return the places of the tiles that cover a picture, row by row.

    Args:
        height: Height of the picture in pixels, at least `side`.
        width: Width of the picture in pixels, at least `side`.
        side: Height and width of a tile in pixels.
        step: Distance between neighbouring tiles in pixels, at most `side`.
    """
    return [
        Place(row, column)
        for row in _starts(height, side, step)
        for column in _starts(width, side, step)
    ]


def cut_tiles(picture: np.ndarray, places: list[Place], side: int) -> np.ndarray:
    """Cut tiles, (n, side, side, ...), from a picture (h, w, ...)."""
    return np.stack([picture[row : row + side, column : column + side] for row, column in places])


def scored_once(mask: np.ndarray, places: list[Place], side: int) -> np.ndarray:
    """Cut tiles from a mask, each pixel of which is scored in the first tile that has it.

    Args:
        mask: (h, w) uint8 classes, or IGNORED.
        places: Places of the tiles.
        side: Height and width of a tile in pixels.

    Returns:
        (n, side, side) uint8 classes, IGNORED where an earlier tile has the pixel.
    """
    left = mask.copy()
    tiles = []
    for row, column in places:
        inside = slice(row, row + side), slice(column, column + side)
        tiles.append(left[inside].copy())
        left[inside] = IGNORED
    return np.stack(tiles)


def _starts(length: int, side: int, step: int) -> list[int]:
    """Return the first pixels of tiles along one axis."""
    last = length - side
    return [*range(0, last, step), last]
