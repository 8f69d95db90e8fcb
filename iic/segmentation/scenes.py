"""The data of the segmentation pipeline: tiles of pictures, and masks apart from them."""

import numpy as np

from iic.segmentation import earth, textures
from iic.segmentation.custom import custom_scenes
from iic.segmentation.params import ScenesParams
from iic.segmentation.tiling import Scenes, cut_tiles, scored_once


def load_scenes(data: ScenesParams, seed: int) -> Scenes:
    """Return the data that `data.name` names.

    Args:
        data: Parameters of the data.
        seed: Seed of the random choices of the mosaics.

    Raises:
        InputError: The data cannot be read.
    """
    if data.name == "custom":
        return custom_scenes(data)
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
    return Scenes(
        tiles["train"],
        np.ones(tiles["train"].shape[:3], bool),
        masks["train"],
        tiles["test"],
        masks["test"],
        earth.NAMES,
        whole=(picture, truth),
    )
