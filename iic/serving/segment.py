"""Segment a user's pictures: masks, overlays and a table, as `iic segment` writes them."""

import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from PIL import Image
from tqdm import tqdm

from iic.core.errors import InputError
from iic.core.files import write_bytes, write_table
from iic.core.plurals import counted
from iic.data.images import ImageSource
from iic.render.palette import painted, palette_image, segment_colors
from iic.segmentation.card import SegmentationCard
from iic.segmentation.constants import IGNORED
from iic.segmentation.pictures import (
    Pixels,
    appearance_of,
    find_pictures,
    pixels_of,
    read_picture,
    stem_of,
)
from iic.segmentation.predict import segment_picture
from iic.segmentation.store import SavedTrunk, load_trunk, read_trunk_params
from iic.serving.identity import identity_of

log = logging.getLogger(__name__)

TABLE = "segments.csv"
_COLUMNS = ("picture", "segment", "label", "pixels", "share")
# Most pictures of one folder.
_MOST = 100_000
# Effort of PNG's compression, 0 to 9: more is slow for large pictures and saves little.
_COMPRESSION = 3
# Share of the pixels in one segment that deserves a warning.
_COLLAPSED = 0.99


class Target(NamedTuple):
    """A picture and the files that are written for it.

    Attributes:
        source: Source that contains the picture.
        number: Its index in the source.
        mask: PNG file with the number of the segment of each pixel, and a palette.
        overlay: PNG file with the picture under the colours of its segments.
    """

    source: ImageSource
    number: int
    mask: Path
    overlay: Path

    @property
    def name(self) -> str:
        """Path of the picture."""
        return self.source.names[self.number]


def segment_files(paths: Sequence[Path], out: Path, model: Path, *, force: bool) -> Path:
    """Segment pictures and write masks, overlays and a table of the segments.

    Args:
        paths: Pictures and folders of pictures.
        out: Folder to write into.
        model: Folder of the network; without a card beside it, segments have no names.
        force: Whether to replace files.

    Returns:
        Path of the table, which is written last.

    Raises:
        InputError: There are no pictures, one cannot be read, a file exists already, or the model
            is damaged.
    """
    params, card = read_trunk_params(model), SegmentationCard.of(model)
    targets = list(_targets(paths, out))
    _check_free(targets, out, force=force)
    sources = list(dict.fromkeys(target.source for target in targets))
    appearance = appearance_of(sources, params.channels, card.appearance if card else None)
    network = load_trunk(model)
    colors = colors_of_segments(card, params)
    rows: list[tuple[str, int, str, int, float]] = []
    for target in targets:
        picture = read_picture(target.source, target.number)
        pixels = pixels_of(picture, target.name, appearance, params.channels)
        segments = _segmented(network, params, pixels, target.name)
        write_bytes(target.mask, mask_png(segments, colors))
        overlay = overlaid(pixels.values, segments, colors)
        write_bytes(target.overlay, _encoded(Image.fromarray(overlay)))
        rows += _rows(target.name, segments, card)
    write_table(
        out / TABLE,
        {name: [row[index] for row in rows] for index, name in enumerate(_COLUMNS)},
    )
    _warn_of_collapse(rows)
    return out / TABLE


def colors_of_segments(card: SegmentationCard | None, params: SavedTrunk) -> np.ndarray:
    """Return the colour of each segment, (k, 3) uint8: that of its class, if it has one."""
    if card is None:
        return segment_colors([None] * params.clusters, 0)
    return segment_colors(card.clusters, len(card.labels))


def mask_png(segments: np.ndarray, colors: np.ndarray) -> bytes:
    """Encode segments (h, w), uint8, as PNG with a palette; pixels have the segments' numbers."""
    return _encoded(palette_image(segments, colors))


def overlaid(picture: np.ndarray, segments: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Mix a picture (h, w) or (h, w, 3) with the colours of its segments, in equal parts.

    Returns:
        (h, w, 3) uint8.
    """
    shown = picture if picture.ndim == 3 else picture[..., None]
    # A shift keeps bytes, where a mean would need four times the memory.
    return (shown >> 1) + (painted(segments, colors) >> 1)


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def _targets(paths: Sequence[Path], out: Path) -> Iterator[Target]:
    """Yield all pictures with the files to write: below `out`, in the picture's subfolders."""
    for path in paths:
        found = find_pictures(path, _MOST)
        for index, name in enumerate(found.names):
            place = f"{out / stem_of(name)}"
            yield Target(found.source, index, Path(f"{place}.png"), Path(f"{place}-overlay.png"))


def _check_free(targets: Sequence[Target], out: Path, *, force: bool) -> None:
    """Refuse two pictures with the same files, and files that exist, before anything is read."""
    writers: dict[Path, str] = {}
    for target in targets:
        for file in (target.mask, target.overlay):
            if other := writers.get(file):
                raise InputError(
                    f"{target.name}: {file} would be written for {other} as well; rename one, or "
                    "segment them into two folders"
                )
            writers[file] = target.name
    pictures = {identity_of(Path(target.name)) for target in targets} - {None}
    for file in [*writers, out / TABLE]:
        if identity_of(file) in pictures:
            raise InputError(f"{file}: is a picture to segment; choose another --out")
        if file.exists() and not force:
            raise InputError(f"{file}: already exists; --force replaces it")


def _segmented(network: keras.Model, params: SavedTrunk, pixels: Pixels, name: str) -> np.ndarray:
    """Return the segments of a picture (h, w), uint8, IGNORED where it is transparent."""
    size = pixels.valid.size
    with tqdm(
        desc=name, total=size, unit="pixel", unit_scale=True, leave=False, disable=None
    ) as bar:
        segments = segment_picture(network, params, pixels.values, bar.update).cluster
    segments[~pixels.valid] = IGNORED
    return segments


def _rows(
    name: str, segments: np.ndarray, card: SegmentationCard | None
) -> Iterator[tuple[str, int, str, int, float]]:
    """Yield a row of the table for each segment that a picture has."""
    names = card.cluster_names() if card else []
    counts = np.bincount(segments.ravel(), minlength=256)[:IGNORED]
    for segment in np.flatnonzero(counts).tolist():
        label = (names[segment] if names else None) or ""
        yield name, segment, label, int(counts[segment]), counts[segment] / counts.sum()


def _warn_of_collapse(rows: Sequence[tuple[str, int, str, int, float]]) -> None:
    """Warn if nearly all pixels of all pictures lie in one segment."""
    pixels: dict[int, int] = {}
    for _, segment, _, count, _ in rows:
        pixels[segment] = pixels.get(segment, 0) + count
    if pixels and max(pixels.values()) > _COLLAPSED * sum(pixels.values()):
        segment = max(pixels, key=pixels.__getitem__)
        pictures = counted(len({row[0] for row in rows}), "picture")
        log.warning(
            "warning: more than %.0f %% of the pixels of %s lie in segment %d: they may differ "
            "from the pictures that the network was trained on",
            *(100 * _COLLAPSED, pictures, segment),
        )
