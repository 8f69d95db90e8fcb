"""Pictures to segment: found, decoded and converted as in clustering, but without ink and paper.

The stage `scenes` and `iic segment` use this module, so that both see the same pixels.
"""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
from PIL import Image

from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.core.params import Channels
from iic.core.plurals import counted
from iic.data.examine import examine
from iic.data.found import find_parts
from iic.data.images import ImageSource, JoinedSource, limits_of
from iic.data.pictures import Picture, grey_of, is_colorful
from iic.data.values import scaled

log = logging.getLogger(__name__)

# Least opacity of a pixel that counts.
_OPAQUE = 0.5
# Remedies in messages of the reader that name settings which segmentation does not have.
_NOT_HERE = re.compile(
    r", or set data\.broken to skip \(iic predict --skip-broken\)"
    r"|,( or)? allow more \(data\.max_images\)(?=,|$)|allow more \(data\.max_images\), or "
    r"| \(data\.max_images\)"
)
# Name of an image of an array, "scans.npy[3]": the file and the position.
_ITEM = re.compile(r"(?P<file>.+)\[(?P<index>\d+)\]")


class Pixels(NamedTuple):
    """A picture as the network sees it.

    Attributes:
        values: (h, w) grey values or (h, w, 3) colours, uint8.
        valid: (h, w) bool, False for transparent pixels.
    """

    values: np.ndarray
    valid: np.ndarray


class FoundPictures(NamedTuple):
    """Pictures below one path.

    Attributes:
        source: Source of the pictures, in a fixed order.
        names: Name of each picture relative to the path.
        splits: Indices of the pictures of the splits "train" and "test"; all of them as "" if there
            are no splits.
    """

    source: ImageSource
    names: list[str]
    splits: dict[str, range]


def find_pictures(path: Path, most: int, stage: str | None = None) -> FoundPictures:
    """Find all pictures at a path.

    Args:
        path: Picture, folder of pictures, or any other form that `iic.data.found` reads.
        most: Largest number of pictures allowed.
        stage: Stage of the pipeline that reads them; then names of folders are splits.

    Returns:
        The pictures.

    Raises:
        InputError: There are none or too many, or the path cannot be read.
    """
    with _own_remedies():
        parts = find_parts(path, most, names="splits" if stage else "nothing", stage=stage)
    names: list[str] = []
    splits: dict[str, range] = {}
    for split, part in parts.items():
        root = f"{path}/" if path.is_dir() else part.root
        start = len(names)
        names += [Path(name.removeprefix(root)).as_posix() for name in part.source.names]
        splits[split] = range(start, len(names))
    sources = [part.source for part in parts.values()]
    return FoundPictures(sources[0] if len(sources) == 1 else JoinedSource(sources), names, splits)


def stem_of(name: str) -> PurePath:
    """Return the subfolders and the name without a suffix that files of a picture share.

    Args:
        name: Name of a picture as in FoundPictures.

    Returns:
        A relative path without "..": that of "../a/b.png" is "a/b", of "x.npy[3]" "x-3".
    """
    item = _ITEM.fullmatch(name)
    path = PurePath(item["file"] if item else name)
    last = f"{path.stem}-{item['index']}" if item else path.stem
    inside = [part for part in path.parts[:-1] if part not in (path.anchor, "..")]
    return PurePath(*inside, last)


def appearance_of(
    sources: Sequence[ImageSource], channels: Channels | None, known: Appearance | None = None
) -> Appearance:
    """Find the value ranges of pictures, the same for all of them; log what is unusual.

    Args:
        sources: Sources of the pictures.
        channels: 1 for grey, 3 for colours, None if it is not known yet.
        known: Appearance of the pictures that the network was trained on, if these are new.

    Raises:
        InputError: No picture can be read, or values are not finite numbers.
    """
    with large_pictures():
        examination = examine(sources, "light", known, has_colors=channels == 3)
    pictures = sum(len(source.names) for source in sources)
    title = sources[0].title if len(sources) == 1 else counted(pictures, "picture")
    for warning in examination.warnings:
        log.warning("warning: %s: %s", title, warning)
    return examination.appearance


def channels_of(found: FoundPictures, appearance: Appearance) -> Channels:
    """Return the channels that all pictures have: 1 for grey, 3 for colours.

    Raises:
        InputError: Some are grey and some have colours, or one cannot be read.
    """
    kinds: dict[bool, str] = {}
    for name, index in zip(found.names, range(len(found.names)), strict=True):
        picture = read_picture(found.source, index)
        limits = limits_of(picture, appearance, found.source.names[index])
        kinds.setdefault(is_colorful(picture, limits), name)
    if len(kinds) == 2:
        raise InputError(
            f"{found.source.title}: {kinds[False]} is grey and {kinds[True]} has colours; set "
            "data.channels to 3 to keep the colours, or to 1 to see all in grey"
        )
    return 3 if True in kinds else 1


def read_picture(source: ImageSource, index: int) -> Picture:
    """Decode one picture; raise an InputError that names it."""
    with large_pictures(), _own_remedies():
        return source.read(index)


def pixels_of(picture: Picture, name: str, appearance: Appearance, channels: Channels) -> Pixels:
    """Convert a decoded picture to what the network sees.

    Args:
        picture: Decoded picture.
        name: Name of the picture, for messages.
        appearance: Value ranges of the set.
        channels: 1 for grey, 3 for colours.

    Returns:
        Values and valid pixels.

    Raises:
        InputError: The values have another type than those of the set.
    """
    limits = limits_of(picture, appearance, name)
    shape = picture.values.shape[:2]
    opaque = picture.opacity
    valid = np.ones(shape, bool) if opaque is None else opaque >= _OPAQUE
    if channels == 1:
        return Pixels(grey_of(picture, limits), valid)
    values = scaled(picture.values, limits)
    colors = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    return Pixels(colors, valid)


@contextmanager
def _own_remedies() -> Iterator[None]:
    """Leave remedies out of errors that name settings of clustering."""
    try:
        yield
    except InputError as error:
        raise InputError(_NOT_HERE.sub("", str(error))) from error


@contextmanager
def large_pictures() -> Iterator[None]:
    """Silence Pillow's warning of pictures above 89 megapixels; the reader has its own limit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield
