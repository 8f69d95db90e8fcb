"""A user's own pictures as tiles: with masks of the same names, or without any."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.core.machine import usable_memory
from iic.core.params import Channels
from iic.core.plurals import counted
from iic.segmentation.constants import IGNORED
from iic.segmentation.masks import match_masks, number_classes, read_mask
from iic.segmentation.params import NO_MASKS, ScenesParams
from iic.segmentation.pictures import (
    FoundPictures,
    Pixels,
    appearance_of,
    channels_of,
    find_pictures,
    pixels_of,
    read_picture,
)
from iic.segmentation.tiling import Scenes, cut_tiles, scored_once, tile_places

log = logging.getLogger(__name__)

# Stage that reads the pictures, for DVC.
_STAGE = "segmentation/dvc.yaml:scenes"
# Most pictures of a folder.
_MOST = 100_000
# Memory of the stages: a fixed part, for TensorFlow and the records, and a multiple of the bytes of
# all tiles.
_FIXED, _COPIES = 1_500_000_000, 3


class _Scene(NamedTuple):
    """A picture with the class of each pixel."""

    pixels: Pixels
    truth: np.ndarray


def custom_scenes(data: ScenesParams) -> Scenes:
    """Read pictures and masks, and cut them into tiles; training tiles overlap by half.

    Splits are found as in clustering. Without them, all pictures are trained on and scored, since
    no mask is used in training.

    Args:
        data: Parameters of the data.

    Returns:
        Tiles of both splits; masks are IGNORED everywhere, and there are no names, without masks.

    Raises:
        InputError: A picture or a mask cannot be used; the message names it.
    """
    path, masks = Path(data.path), Path(data.masks)
    if not path.exists():
        raise InputError(f"data.path: {path} not found; set it to your pictures")
    if masks != NO_MASKS:
        _check_apart(path, masks)
    found = find_pictures(path, _MOST, _STAGE)
    files = [None] * len(found.names) if masks == NO_MASKS else match_masks(found, masks, _MOST)
    appearance = appearance_of([found.source], data.channels)
    channels = data.channels or channels_of(found, appearance)
    scenes, names = _read(found, files, appearance, channels, data)
    train, test = _splits(found)
    train_tiles, train_valid, train_masks = _tiles(
        [scenes[index] for index in train], data.tile, data.tile // 2
    )
    # Invalid pixels are already IGNORED in the masks.
    test_tiles, _, test_masks = _tiles([scenes[index] for index in test], data.tile, data.tile)
    if names and (test_masks == IGNORED).all():
        log.warning(
            "warning: no picture of the test split has a mask, so nothing is scored; add masks for "
            "some of them to %s",
            masks,
        )
    return Scenes(train_tiles, train_valid, train_masks, test_tiles, test_masks, names, appearance)


def _check_apart(pictures: Path, masks: Path) -> None:
    """Refuse folders of which one lies in the other, since masks would be pictures, too."""
    inner, outer = masks.resolve(), pictures.resolve()
    if inner.is_relative_to(outer) or (pictures.is_dir() and outer.is_relative_to(inner)):
        raise InputError(
            f"data.masks: {masks} and data.path ({pictures}) lie in one another, so masks would be "
            "trained on as pictures; use two folders side by side"
        )


def _read(
    found: FoundPictures,
    files: Sequence[Path | None],
    appearance: Appearance,
    channels: Channels,
    data: ScenesParams,
) -> tuple[list[_Scene], tuple[str, ...]]:
    """Read all pictures and masks; return them and the names of the classes."""
    pixels: list[Pixels] = []
    masks: dict[Path, np.ndarray] = {}
    tiles = 0
    for index, file in enumerate(tqdm(files, unit="picture", leave=False, disable=None)):
        name = found.source.names[index]
        read = pixels_of(read_picture(found.source, index), name, appearance, channels)
        height, width = read.valid.shape
        if min(height, width) < data.tile:
            raise InputError(
                f"{name}: {width}×{height} pixels, smaller than a tile (data.tile: {data.tile}); "
                "lower data.tile, or leave the picture out"
            )
        tiles += len(tile_places(height, width, data.tile, data.tile // 2))
        _check_memory(tiles, data.tile, channels, found.source.title)
        pixels.append(read)
        if file is not None:
            masks[file] = read_mask(file, (height, width))
    if missing := len(files) - len(masks):
        if masks:
            log.warning("%s without a mask: not scored", counted(missing, "picture"))
        else:
            log.info("no masks: nothing is scored")
    classes, names = number_classes(masks, data.classes) if masks else ({}, ())
    scenes = []
    for read, file in zip(pixels, files, strict=True):
        truth = np.full(read.valid.shape, IGNORED, np.uint8) if file is None else classes[file]
        scenes.append(_Scene(read, np.where(read.valid, truth, IGNORED).astype(np.uint8)))
    return scenes, names


def _check_memory(tiles: int, side: int, channels: int, where: str) -> None:
    needed, there = _FIXED + _COPIES * tiles * side**2 * (channels + 2), usable_memory()
    if needed > there:
        raise InputError(
            f"{where}: the tiles need more than the {there / 1e9:.1f} GB of memory; give fewer or "
            "smaller pictures for the training, and segment the others with `iic segment`"
        )


def _splits(found: FoundPictures) -> tuple[range, range]:
    """Return the indices of the training and of the test pictures."""
    title, splits = found.source.title, found.splits
    if len(splits) == 1:
        (everything,) = splits.values()
        log.info(
            "%s: %s for training and, without a split, the same for the test",
            *(title, counted(len(everything), "picture")),
        )
        return everything, everything
    train, test = splits["train"], splits["test"]
    log.info("%s: %s to train on, %d to test", title, counted(len(train), "picture"), len(test))
    return train, test


def _tiles(
    scenes: Sequence[_Scene], side: int, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut pictures into tiles: values, valid pixels, and classes, each pixel of which is once."""
    values, valid, masks = [], [], []
    for pixels, truth in scenes:
        height, width = truth.shape
        places = tile_places(height, width, side, step)
        values.append(cut_tiles(pixels.values, places, side))
        valid.append(cut_tiles(pixels.valid, places, side))
        masks.append(scored_once(truth, places, side))
    return np.concatenate(values), np.concatenate(valid), np.concatenate(masks)
