"""Finding images in folders, NPZ files and IDX files, without trusting their content."""

import gzip
import logging
import math
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from iic.core.errors import InputError, reason_of
from iic.core.files import is_writable_name, open_arrays, read_array
from iic.data.datasets import IdxFile, parse_idx
from iic.data.images import SUFFIXES, ArraySource, FileSource, ImageSource

log = logging.getLogger(__name__)

# Names of image and label arrays in an NPZ file: with a training and a test split (ours, Keras's),
# and without a split.
SPLIT_ARRAYS = (
    (("train_images", "train_labels"), ("test_images", "test_labels")),
    (("x_train", "y_train"), ("x_test", "y_test")),
)
PLAIN_ARRAYS = (("images", "labels"), ("x", "y"))
IMAGE_ARRAYS = tuple(images for images, _ in (*chain(*SPLIT_ARRAYS), *PLAIN_ARRAYS))
_IDX_BYTES = b"\0\0\x08"
_MOST_DIMENSIONS = 8
# Bytes of an array that are allowed for each allowed image.
_BYTES_AN_IMAGE = 64 * 64 * 4
# Bytes of all arrays of a file, which are in memory at once.
_MOST_BYTES = 1_000_000_000
_TOO_MANY_BYTES = (
    f"at most {_MOST_BYTES:,} are read at once; save the images as files, which are read one by one"
)
# Longest header of an array in version 1 of the NPY format.
_HEADER_BYTES = 2**16 + 10


def sources_of(path: Path, max_images: int) -> list[ImageSource]:
    """Find all images at a path; labels are ignored.

    Args:
        path: Image file, folder of images or IDX files, NPZ file or IDX file.
        max_images: Largest number of images allowed.

    Returns:
        Sources of the images; one for each array of an NPZ file and for each IDX file.

    Raises:
        InputError: There are no images or too many, the file has another format, or a name is not
            printable.
    """
    check_name(path)
    if path.is_dir():
        return _folder_sources(path, max_images)
    if not path.is_file():
        raise InputError(f"{path}: not found")
    if path.suffix.lower() == ".npz":
        arrays = read_npz(path, max_images, IMAGE_ARRAYS)
        found = [name for name in IMAGE_ARRAYS if name in arrays]
        if not found:
            raise InputError(
                f"{path}: {describe_contents(path)}; images must be in one of "
                f"{', '.join(IMAGE_ARRAYS)}"
            )
        return [ArraySource(f"{path}#{name}", arrays[name]) for name in found]
    if is_idx(path):
        return [ArraySource(str(path), read_idx(path, max_images))]
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: not an image (PNG, JPEG, BMP, TIFF, WebP), NPZ or IDX file")
    return [FileSource(str(path), [path])]


def _folder_sources(folder: Path, max_images: int) -> list[ImageSource]:
    idx = [path for path in idx_files(folder) if _rank(path) == 3]
    if idx:
        return [ArraySource(str(path), read_idx(path, max_images)) for path in idx]
    files = image_files(folder, max_images)
    if not files:
        raise InputError(f"{folder}: contains no images ({', '.join(sorted(SUFFIXES))})")
    return [FileSource(str(folder), files)]


def image_files(folder: Path, max_images: int) -> list[Path]:
    """List the image files in a folder and its subfolders, sorted; count other files in the log.

    Args:
        folder: Folder to search.
        max_images: Largest number of images allowed.

    Returns:
        Sorted paths.

    Raises:
        InputError: There are more than `max_images`, a folder cannot be read, or a name is not
            printable.
    """
    found: list[Path] = []
    others: Counter[str] = Counter()
    for path in _walk(folder):
        if path.suffix.lower() not in SUFFIXES:
            others[path.suffix.lower() or "without suffix"] += 1
            continue
        check_name(path)
        found.append(path)
        if len(found) > max_images:
            raise InputError(
                f"{folder}: more than {max_images:,} images; choose a smaller folder, "
                "or allow more (data.max_images)"
            )
    if others:
        counts = ", ".join(f"{n:,} {reason_of(suffix)}" for suffix, n in others.most_common())
        log.info("%s: files of other types ignored: %s", folder, counts)
    return sorted(found)


def check_name(path: Path) -> None:
    """Raise an InputError for a path that is not printable in messages and tables."""
    if not is_writable_name(str(path)):
        raise InputError(
            f"{str(path)!a}: the name is not UTF-8 or contains control characters; rename it"
        )


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the visible files below a folder; follow links, but enter each folder once."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: {error.strerror}") from error

    seen: set[str] = set()
    for top, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(top)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in files:
            # macOS writes a companion file ._NAME for each file.
            if not name.startswith("."):
                yield Path(top, name)


def read_npz(path: Path, max_images: int, names: Collection[str]) -> dict[str, np.ndarray]:
    """Read the named arrays that an NPZ file contains; pickled objects are never loaded.

    Args:
        path: NPZ file.
        max_images: Largest number of images allowed.
        names: Names of the arrays to read, if present.

    Returns:
        Arrays by name.

    Raises:
        InputError: The file is damaged, or an array is larger than `max_images` allows.
    """
    with open_arrays(path, "write it again with numpy.savez") as archive:
        present = [name for name in names if f"{name}.npy" in archive.namelist()]
        sizes = [_checked_size(archive, name, f"{path}: {name}", max_images) for name in present]
        if sum(sizes) > _MOST_BYTES:
            raise InputError(f"{path}: arrays of {sum(sizes):,} bytes; {_TOO_MANY_BYTES}")
        return {name: read_array(archive, name) for name in present}


def _checked_size(archive: zipfile.ZipFile, name: str, place: str, max_images: int) -> int:
    """Return the size of an array in bytes from its header; raise an InputError if too large."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    if shape and shape[0] > max_images:
        raise InputError(
            f"{place}: {shape[0]:,} entries, {max_images:,} are allowed (data.max_images)"
        )
    limit = max_images * _BYTES_AN_IMAGE
    # The archive's member may be larger than the array's header says.
    unpacked = archive.getinfo(f"{name}.npy").file_size - _HEADER_BYTES
    if (size := max(math.prod(shape) * dtype.itemsize, unpacked)) > limit:
        raise InputError(f"{place}: {size:,} bytes, {limit:,} are allowed (data.max_images)")
    return size


def describe_contents(path: Path) -> str:
    """List the names of the arrays in an NPZ file, for messages."""
    with zipfile.ZipFile(path) as archive:
        names = ", ".join(name.removesuffix(".npy") for name in archive.namelist())
    return f"contains the arrays {reason_of(names)}" if names else "contains no arrays"


def idx_files(folder: Path) -> list[Path]:
    """List the IDX files in a folder, without its subfolders, sorted."""
    # Image files are not opened; there may be a million.
    others = [path for path in folder.iterdir() if path.suffix.lower() not in SUFFIXES]
    return sorted(path for path in others if is_idx(path))


def is_idx(path: Path) -> bool:
    """Return whether a path is an IDX file of unsigned bytes, plain or gzipped.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        return path.is_file() and _head(path, 3) == _IDX_BYTES
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return False
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


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
        rank = _rank(path)
        if rank > _MOST_DIMENSIONS:
            raise InputError(f"{path}: {rank} dimensions; images have 3 and labels 1")
        shape = struct.unpack(f">{rank}I", _head(path, 4 + 4 * rank)[4:])
        if shape and shape[0] > max_images:
            raise InputError(
                f"{path}: {shape[0]:,} entries, {max_images:,} are allowed (data.max_images)"
            )
        file = IdxFile(str(path), "", shape)
        if file.size > max_images * _BYTES_AN_IMAGE:
            raise InputError(
                f"{path}: shape {shape} in the header is larger than allowed (data.max_images)"
            )
        if file.size > _MOST_BYTES:
            raise InputError(f"{path}: {file.size:,} bytes; {_TOO_MANY_BYTES}")
        return parse_idx(_head(path, file.size + 1), file)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise InputError(f"{path}: not a readable IDX file ({reason_of(error)})") from error


def _rank(path: Path) -> int:
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
