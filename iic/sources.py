"""Where images of people's own are found: folders, NPZ files and IDX files."""

import gzip
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from iic.datasets import IdxFile, parse_idx
from iic.errors import InputError
from iic.images import SUFFIXES, ArraySource, FileSource, Source

# Names of the arrays of images in an NPZ file: ours, Keras's, and plain ones.
IMAGE_ARRAYS = ("train_images", "test_images", "x_train", "x_test", "images", "x")
_IDX_BYTES = b"\0\0\x08"
# An NPZ file may hold this many times the images that are allowed, in bytes of a small picture.
_BYTES_AN_IMAGE = 64 * 64 * 4


def sources_of(path: Path, max_images: int) -> list[Source]:
    """All images at a path: an image file, a folder of them, an NPZ or an IDX file.

    Args:
        path: of the file or folder.
        max_images: more are refused.

    Raises:
        InputError: there are none, too many, or the file is something else.
    """
    if path.is_dir():
        return _folder_sources(path, max_images)
    if not path.is_file():
        raise InputError(f"{path}: not found")
    if path.suffix.lower() == ".npz":
        arrays = read_npz(path, max_images)
        found = [name for name in IMAGE_ARRAYS if name in arrays]
        if not found:
            raise InputError(f"{path}: {describe(arrays)}; images are in one of {_LISTED}")
        return [ArraySource(f"{path}#{name}", arrays[name]) for name in found]
    if is_idx(path):
        return [ArraySource(str(path), read_idx(path, max_images))]
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: no image (PNG, JPEG, BMP, TIFF, WebP), NPZ or IDX file")
    return [FileSource(str(path), [path])]


def _folder_sources(folder: Path, max_images: int) -> list[Source]:
    idx = [path for path in idx_files(folder) if _rank(path) == 3]
    if idx:
        return [ArraySource(str(path), read_idx(path, max_images)) for path in idx]
    files = image_files(folder, max_images)
    if not files:
        raise InputError(f"{folder}: holds no image ({', '.join(sorted(SUFFIXES))})")
    return [FileSource(str(folder), files)]


def image_files(folder: Path, max_images: int) -> list[Path]:
    """Image files in a folder and all below it, sorted; hidden ones and other files are left out.

    Raises:
        InputError: there are more than `max_images`, or a folder cannot be read.
    """
    found: list[Path] = []
    for path in _walk(folder):
        if path.suffix.lower() in SUFFIXES:
            found.append(path)
            if len(found) > max_images:
                raise InputError(
                    f"{folder}: more than {max_images:,} images; choose a smaller folder, "
                    "or allow more (data.max_images)"
                )
    return sorted(found)


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: {error.strerror}") from error

    for top, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        for name in files:
            # macOS leaves twins of each file whose names begin with a dot.
            if not name.startswith("."):
                yield Path(top, name)


def read_npz(path: Path, max_images: int) -> dict[str, np.ndarray]:
    """All arrays of an NPZ file, none of them of Python objects.

    Raises:
        InputError: the file is damaged, or unpacks to more than `max_images` can need.
    """
    limit = max_images * _BYTES_AN_IMAGE
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > limit:
            raise InputError(
                f"{path}: unpacks to {size:,} bytes, {limit:,} are allowed (data.max_images)"
            )
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            read = {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not a readable NPZ file ({error})") from error
    for name, array in read.items():
        if array.ndim and len(array) > max_images:
            raise InputError(
                f"{path}: {len(array):,} entries of {name}, {max_images:,} are allowed "
                "(data.max_images)"
            )
    return read


def describe(arrays: dict[str, np.ndarray]) -> str:
    """Names and shapes of arrays, for messages."""
    listed = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    return f"holds {listed or 'no array'}"


def idx_files(folder: Path) -> list[Path]:
    """IDX files that lie in a folder itself, sorted."""
    # Not each of a million images is opened for this.
    others = [path for path in folder.iterdir() if path.suffix.lower() not in SUFFIXES]
    return sorted(path for path in others if is_idx(path))


def is_idx(path: Path) -> bool:
    """Whether a file begins as an IDX file of bytes, plain or gzipped."""
    try:
        return path.is_file() and _head(path, 3) == _IDX_BYTES
    except (OSError, EOFError, zlib.error):
        return False


def read_idx(path: Path, max_images: int) -> np.ndarray:
    """The array of an IDX file of unsigned bytes, plain or gzipped.

    Raises:
        InputError: it is cut off, longer than its header says, or holds more than `max_images`.
    """
    try:
        rank = _rank(path)
        shape = struct.unpack(f">{rank}I", _head(path, 4 + 4 * rank)[4:])
        if shape and shape[0] > max_images:
            raise InputError(
                f"{path}: {shape[0]:,} entries, {max_images:,} are allowed (data.max_images)"
            )
        file = IdxFile(str(path), "", shape)
        if file.size > max_images * _BYTES_AN_IMAGE:
            raise InputError(f"{path}: header says shape {shape}, more than is allowed")
        return parse_idx(_head(path, file.size + 1), file)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise InputError(f"{path}: not a readable IDX file ({error})") from error


def _rank(path: Path) -> int:
    return _head(path, 4)[3]


def _head(path: Path, size: int) -> bytes:
    """The first bytes of a file, unpacked if it is gzipped."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            return file.read(size)
        with gzip.open(file) as unpacked:
            return unpacked.read(size)


_LISTED = ", ".join(IMAGE_ARRAYS)
