"""Masks of a user's own pictures: files of the same names, whose pixels are numbers of classes.

Masks are only for scoring; training never sees them.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TypeVar

import numpy as np
from PIL import Image

from iic.core.errors import InputError, reason_of
from iic.core.plurals import counted
from iic.data.folders import contents_of, report_left_out
from iic.data.kinds import FORMATS
from iic.segmentation.constants import IGNORED, MOST_CLASSES
from iic.segmentation.params import NO_MASKS
from iic.segmentation.pictures import FoundPictures, large_pictures, stem_of

log = logging.getLogger(__name__)

_T = TypeVar("_T")
# Formats that change the values of pixels.
_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")


def match_masks(found: FoundPictures, folder: Path, most: int) -> list[Path | None]:
    """Find the mask of each picture: the file of the same name, whatever its suffix.

    Args:
        found: Pictures.
        folder: Folder of the masks, with the same subfolders as the pictures.
        most: Largest number of masks allowed.

    Returns:
        Path of the mask of each picture, None for a picture without one.

    Raises:
        InputError: There are no masks, a mask has no picture, or two files have the same name but
            for the suffix.
    """
    if not folder.is_dir():
        raise InputError(f"data.masks: {folder} is not a folder; set it to the folder of the masks")
    pictures = _by_stem({name: name for name in found.names}, found.source.title)
    contents = contents_of(folder, most)
    report_left_out(folder, contents)
    masks = _by_stem(
        {path.relative_to(folder).as_posix(): path for path in contents.images}, str(folder)
    )
    if not masks:
        raise InputError(
            f"data.masks: {folder} contains no masks; save them as PNG, with the names of their "
            f"pictures, or set data.masks to {NO_MASKS} to segment without"
        )
    if lost := sorted(masks.keys() - pictures.keys()):
        raise InputError(
            f"{masks[lost[0]]}: no picture of this name in {found.source.title}; remove the mask, "
            "or give both files the same name and subfolder"
        )
    return [masks.get(stem_of(name)) for name in found.names]


def read_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read a mask.

    Args:
        path: Image file, grey or with a palette, in a format without loss.
        shape: Height and width of its picture.

    Returns:
        (h, w) integer values.

    Raises:
        InputError: The file cannot be read, has colours, or another size than the picture.
    """
    try:
        with large_pictures(), Image.open(path, formats=FORMATS) as image:
            if image.format in _LOSSY:
                raise InputError(
                    f"{path}: {image.format} changes the values of a mask; save it as PNG"
                )
            if (image.height, image.width) != shape:
                raise InputError(
                    f"{path}: {image.width}×{image.height} pixels, but its picture has "
                    f"{shape[1]}×{shape[0]}; give both the same size"
                )
            values = np.asarray(image)
    except InputError:
        raise
    except Exception as error:
        # Damaged headers can raise almost any exception.
        raise InputError(f"{path}: cannot be read as a mask ({reason_of(error)})") from error
    if values.ndim == 3 and (values[..., :3] == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "biu":
        raise InputError(
            f"{path}: has {'colours' if values.ndim == 3 else 'fractions'}; a mask has the number "
            "of the class in each pixel (a grey or palette PNG)"
        )
    return values.astype(np.int64)


def number_classes(
    masks: Mapping[Path, np.ndarray], names: Sequence[str] | None
) -> tuple[dict[Path, np.ndarray], tuple[str, ...]]:
    """Number the classes of masks from 0.

    Args:
        masks: (h, w) values by file; IGNORED is not scored.
        names: Names of the values 0, 1, …; None to number the values that occur.

    Returns:
        (h, w) uint8 classes or IGNORED by file, and the names of the classes.

    Raises:
        InputError: There are more values than names, too many for classes, or fewer than two, which
            leaves nothing to tell apart.
    """
    values = np.unique(np.concatenate([np.unique(mask) for mask in masks.values()]))
    is_ignoring = IGNORED in values
    values = values[values != IGNORED]
    if len(values) < 2:
        raise InputError(_nothing_to_tell_apart(next(iter(masks)), values, is_ignoring))
    if names is not None:
        for path, mask in masks.items():
            _check_values(path, mask, len(names))
        if len(values) < len(names):
            missing = [name for index, name in enumerate(names) if index not in values]
            log.warning(
                "warning: no mask has the class %s%s",
                ", ".join(missing),
                f"; pixels of {IGNORED} are not scored" if is_ignoring else "",
            )
        return {path: mask.astype(np.uint8) for path, mask in masks.items()}, tuple(names)
    if len(values) > MOST_CLASSES:
        raise InputError(
            f"{next(iter(masks))}: the masks have {len(values):,} values, more than "
            f"{MOST_CLASSES} classes; a mask has the number of the class in each pixel"
        )
    numbered = {}
    for path, mask in masks.items():
        classes = np.searchsorted(values, mask)
        numbered[path] = np.where(mask == IGNORED, IGNORED, classes).astype(np.uint8)
    return numbered, tuple(str(value) for value in values.tolist())


def _nothing_to_tell_apart(first: Path, values: np.ndarray, is_ignoring: bool) -> str:
    """Describe masks of fewer than two classes."""
    found = f"only the value {values[0]}" if len(values) else "no value"
    beside = f" beside {IGNORED}, which is not scored" if is_ignoring else ""
    return (
        f"{first}: the masks have {found}{beside}; number the classes 0, 1, …, or leave the masks "
        "out"
    )


def _check_values(path: Path, mask: np.ndarray, classes: int) -> None:
    wrong = mask[(mask != IGNORED) & ((mask < 0) | (mask >= classes))]
    if wrong.size:
        raise InputError(
            f"{path}: has the value {wrong[0]}, but data.classes names {counted(classes, 'class')} "
            f"(0 to {classes - 1}; {IGNORED} is not scored); name all values, or set data.classes "
            "to null"
        )


def _by_stem(files: Mapping[str, _T], where: str) -> dict[PurePath, _T]:
    stems: dict[PurePath, _T] = {}
    for name, file in files.items():
        stem = stem_of(name)
        if stem in stems:
            raise InputError(
                f"{where}: {name} has the same name as another file but for the "
                "suffix, so masks cannot be matched; rename one"
            )
        stems[stem] = file
    return stems
