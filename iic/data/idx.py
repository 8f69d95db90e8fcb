"""IDX files of unsigned bytes, plain or gzipped, and folders of them."""

import gzip
import logging
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from iic.core.errors import InputError, reason_of
from iic.data.arrays import BYTES_AN_IMAGE, MOST_BYTES, TOO_MANY_BYTES
from iic.data.datasets import IdxFile, parse_idx
from iic.data.images import ArraySource
from iic.data.labels import label_texts
from iic.data.parts import Part, check_name, used_splits
from iic.data.splits import SPLITS, Split, splits_in

log = logging.getLogger(__name__)

_MOST_DIMENSIONS = 8


def idx_parts(
    folder: Path, files: Sequence[Path], max_images: int, *, with_splits: bool
) -> dict[str, Part]:
    """Sort IDX files: three dimensions are images, one is labels, and the name gives the split.

    Args:
        folder: Folder of the data set.
        files: IDX files below it.
        max_images: Largest number of images allowed.
        with_splits: Whether the splits are those of a data set; otherwise each file of images is a
            part of its own, whichever splits there are.

    Returns:
        Parts by split; with splits, a single part is named "".

    Raises:
        InputError: No file contains images, or two different files have the same role.
    """
    found = _sorted_files(folder, files, max_images)
    splits = [split for split, rank in found if rank == 3]
    if not splits:
        names = ", ".join(file.name for file in files)
        raise InputError(f"{folder}: none of {names} contains images, shape (n, height, width)")
    if any("emnist" in file.name.lower() for file in files):
        log.warning(
            "%s: EMNIST stores its images transposed: the report shows mirrored letters, and a "
            "model of upright digits misreads them; images.swapaxes(1, 2) turns them",
            folder,
        )
    for (split, rank), (file, _) in found.items():
        if rank == 1 and split not in splits:
            log.warning("%s: labels without images, not read: %s", folder, file.name)
    parts: dict[str, Part] = {
        split: _idx_part(folder, found, split) for split in SPLITS if split in splits
    }
    return used_splits(parts, folder, f"{folder}/") if with_splits else parts


_Found = dict[tuple[Split, int], tuple[Path, np.ndarray]]


def _sorted_files(folder: Path, files: Sequence[Path], max_images: int) -> _Found:
    """Read IDX files by split and number of dimensions; the same content twice is used once."""
    found: _Found = {}
    unused = []
    for file in files:
        array = read_idx(file, max_images)
        words = splits_in(file.relative_to(folder).as_posix())
        split: Split = words[-1] if words else "train"
        if array.ndim not in (1, 3):
            unused.append(f"{file.relative_to(folder)} {array.shape}")
        elif (split, array.ndim) not in found:
            found[split, array.ndim] = (file, array)
        else:
            other, earlier = found[split, array.ndim]
            if not np.array_equal(array, earlier):
                raise InputError(
                    f"{folder}: {other.relative_to(folder)} and {file.relative_to(folder)} both "
                    f"belong to the {split} split; remove one, or set data.path to one data set"
                )
            log.warning(
                "%s: %s is a copy of %s; read once",
                *(folder, file.relative_to(folder), other.relative_to(folder)),
            )
    if unused:
        log.warning("%s: neither images nor labels, not read: %s", folder, ", ".join(unused))
    return found


def _idx_part(folder: Path, found: _Found, split: Split) -> Part:
    file, images = found[split, 3]
    source = ArraySource(str(file), images)
    if (split, 1) not in found:
        return Part(source, None, f"{folder}/")
    labels, array = found[split, 1]
    return Part(source, partial(label_texts, array, len(images), str(labels)), f"{folder}/")


def read_idx(path: Path, max_images: int) -> np.ndarray:
    """Read the array of an IDX file of unsigned bytes, plain or gzipped.

    Args:
        path: IDX file.
        max_images: Largest number of entries allowed.

    Returns:
        Read-only array of the shape in the header, uint8.

    Raises:
        InputError: The length of the file differs from its header, or there are more than
            `max_images` entries.
    """
    check_name(path)
    try:
        rank = rank_of(path)
        if rank > _MOST_DIMENSIONS:
            raise InputError(f"{path}: {rank} dimensions; images have 3 and labels 1")
        shape = struct.unpack(f">{rank}I", _head(path, 4 + 4 * rank)[4:])
        if shape and shape[0] > max_images:
            raise InputError(
                f"{path}: {shape[0]:,} entries, {max_images:,} are allowed (data.max_images)"
            )
        file = IdxFile(str(path), "", shape)
        if file.size > max_images * BYTES_AN_IMAGE:
            raise InputError(
                f"{path}: shape {shape} in the header is larger than allowed (data.max_images)"
            )
        if file.size > MOST_BYTES:
            raise InputError(f"{path}: {file.size:,} bytes; {TOO_MANY_BYTES}")
        return parse_idx(_head(path, file.size + 1), file)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise InputError(f"{path}: not a readable IDX file ({reason_of(error)})") from error


def rank_of(path: Path) -> int:
    """Return the number of dimensions of an IDX file: 1 for labels, 3 for images."""
    head = _head(path, 4)
    if len(head) < 4:
        raise InputError(f"{path}: {len(head)} bytes are too few for an IDX header")
    return head[3]


def _head(path: Path, size: int) -> bytes:
    """Return the first bytes of a file, decompressed if it is gzipped."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            return file.read(size)
        with gzip.open(file) as unpacked:
            return unpacked.read(size)
