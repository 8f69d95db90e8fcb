"""The data of the segmentation pipeline: tiles of pictures, and masks apart from them."""

from typing import NamedTuple

import numpy as np

from iic.segmentation import earth, textures
from iic.segmentation.params import ScenesParams
from iic.segmentation.tiling import cut_tiles, scored_once


class Scenes(NamedTuple):
    """Tiles and masks of a training and a test split.

    Attributes:
        train_tiles: (n, s, s) or (n, s, s, 3) uint8 training tiles.
        train_valid: (n, s, s) bool, False for pixels that do not count in training.
        train_masks: (n, s, s) uint8 classes, or `iic.segmentation.constants.IGNORED`.
        test_tiles: (m, s, s) or (m, s, s, 3) uint8 test tiles.
        test_masks: (m, s, s) uint8 classes, or IGNORED.
        names: Names of the classes.
    """

    train_tiles: np.ndarray
    train_valid: np.ndarray
    train_masks: np.ndarray
    test_tiles: np.ndarray
    test_masks: np.ndarray
    names: tuple[str, ...]


def load_scenes(data: ScenesParams, seed: int) -> Scenes:
    """Return the data that `data.name` names.

    Args:
        data: Parameters of the data.
        seed: Seed of the random choices of the mosaics.

    Raises:
        InputError: The data cannot be read.
    """
    return _earth(data.tile) if data.name == "earth" else _textures(data, seed)


def _textures(data: ScenesParams, seed: int) -> Scenes:
    photographs = textures.installed_textures()
    train_tiles, train_masks = textures.mosaics(photographs, data.train_tiles, data.tile, 0, seed)
    test_tiles, test_masks = textures.mosaics(photographs, data.test_tiles, data.tile, 1, seed)
    valid = np.ones(train_tiles.shape[:3], bool)
    return Scenes(train_tiles, valid, train_masks, test_tiles, test_masks, textures.NAMES)


def _earth(side: int) -> Scenes:
    """Cut the Earth into tiles; training tiles overlap by half."""
    picture, truth = earth.load_earth()
    tiles, masks = {}, {}
    for split, step in (("train", side // 2), ("test", side)):
        places = earth.split_places(side, step, test=split == "test")
        tiles[split] = cut_tiles(picture, places, side)
        masks[split] = scored_once(truth, places, side)
    valid = np.ones(tiles["train"].shape[:3], bool)
    return Scenes(tiles["train"], valid, masks["train"], tiles["test"], masks["test"], earth.NAMES)
