"""Images and labels in arrays: shapes, names of the arrays in NPZ files, files of one array."""

import io
import math
import re
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

from iic.core.errors import InputError, reason_of
from iic.core.files import check_plain, open_arrays, read_array
from iic.data.splits import Split, split_of

Role = Literal["images", "labels"]

# A page at 600 dpi has 35 million pixels, a map up to 100 million; more are a mistake or an attack.
MAX_PIXELS = 100_000_000
# Bytes of all arrays of a file, which are in memory at once.
MOST_BYTES = 1_000_000_000
AS_FILES = "save the images as files, which are read one by one"
TOO_MANY_BYTES = f"at most {MOST_BYTES:,} are read at once; {AS_FILES}"
# Bytes of an array that are allowed for each allowed image.
BYTES_AN_IMAGE = 128 * 128 * 3 * 4
# Longest header of an array in version 1 of the NPY format.
_HEADER_BYTES = 2**16 + 10
# The shortest side of images in rows of pixels; fewer numbers are rather measurements than images.
_SHORTEST = 8
_IMAGE_WORDS = ("images", "image", "imgs", "img", "x", "data", "pixels", "samples", "arr0")
_LABEL_WORDS = ("labels", "label", "y", "target", "targets", "class", "classes", "arr1")
_NPZ_REMEDY = "write it again with numpy.savez"


class ArrayRole(NamedTuple):
    """What the name of an array says about it."""

    split: Split | None
    role: Role
    rank: int  # position among the usual names; the first of several is used


def role_of(name: str) -> ArrayRole | None:
    """Return the split and the role of an array by its name, such as "x_train"; None if unknown."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
    if words[-1:] in (["0"], ["1"]) and words[:1] == ["arr"]:
        words = ["".join(words)]
    splits = [split for word in words if (split := split_of(word))]
    others = [word for word in words if not split_of(word)]
    if len(splits) > 1 or len(others) != 1:
        return None
    split = splits[0] if splits else None
    if others[0] in _IMAGE_WORDS:
        return ArrayRole(split, "images", _IMAGE_WORDS.index(others[0]))
    if others[0] in _LABEL_WORDS:
        return ArrayRole(split, "labels", _LABEL_WORDS.index(others[0]))
    return None


class Header(NamedTuple):
    """Shape and type of an array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype


def npz_headers(path: Path) -> dict[str, Header]:
    """Read the headers of the arrays in an NPZ file, by name.

    Raises:
        InputError: The file is not a readable NPZ file.
    """
    with open_arrays(path, _NPZ_REMEDY) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        return {name: _header(archive, name) for name in names}


def _header(archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(f"{name}.npy") as file:
        return _read_header(file)


def _read_header(file: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
        version, np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    return Header(shape, dtype)


def read_npz(path: Path, max_images: int, names: Collection[str]) -> dict[str, np.ndarray]:
    """Read arrays of an NPZ file; pickled objects are never loaded.

    Args:
        path: NPZ file.
        max_images: Largest number of images allowed.
        names: Names of the arrays to read.

    Returns:
        Arrays by name.

    Raises:
        InputError: The file is damaged, an array is larger than `max_images` allows or consists of
            Python objects.
    """
    with open_arrays(path, _NPZ_REMEDY) as archive:
        sizes = [_checked_size(archive, name, f"{path}: {name}", max_images) for name in names]
        if sum(sizes) > MOST_BYTES:
            raise InputError(f"{path}: arrays of {sum(sizes):,} bytes; {TOO_MANY_BYTES}")
        return {name: read_array(archive, name) for name in names}


def _checked_size(archive: zipfile.ZipFile, name: str, place: str, max_images: int) -> int:
    """Return the size of an array in bytes from its header; raise an InputError if too large."""
    # The archive's member may be larger than the array's header says.
    unpacked = archive.getinfo(f"{name}.npy").file_size - _HEADER_BYTES
    return check_array(*_header(archive, name), place, max_images, unpacked)


def check_array(
    shape: tuple[int, ...], dtype: np.dtype, place: str, max_images: int, unpacked: int = 0
) -> int:
    """Check the header of an array before it is read.

    Args:
        shape: Shape in the header.
        dtype: Type in the header.
        place: File and name of the array, for errors.
        max_images: Largest number of images allowed.
        unpacked: Size of the array in bytes according to its file.

    Returns:
        Size in bytes.

    Raises:
        InputError: The array is too large, or consists of Python objects.
    """
    if dtype.hasobject:
        raise InputError(
            f"{place}: an array of Python objects, which are never unpickled; save images as "
            "numbers (numpy.stack(images)) and labels as text (labels.astype(str))"
        )
    if shape and shape[0] > max_images:
        raise InputError(
            f"{place}: {shape[0]:,} entries, {max_images:,} are allowed (data.max_images)"
        )
    limit = max_images * BYTES_AN_IMAGE
    if (size := max(math.prod(shape) * dtype.itemsize, unpacked)) > limit:
        raise InputError(f"{place}: {size:,} bytes, {limit:,} are allowed (data.max_images)")
    return size


def read_npy(path: Path, max_images: int) -> np.ndarray:
    """Read the array of an NPY file; pickled objects are never loaded.

    Raises:
        InputError: The file is damaged or larger than `max_images` allows.
    """
    try:
        check_plain(path)
        with path.open("rb") as file:
            if check_array(*_read_header(file), str(path), max_images) > MOST_BYTES:
                raise InputError(f"{path}: {TOO_MANY_BYTES}")
            file.seek(0)
            return np.lib.format.read_array(io.BytesIO(file.read()), allow_pickle=False)
    except InputError:
        raise
    except Exception as error:
        # Damage can raise almost any exception in the NPY reader.
        raise InputError(
            f"{path}: not a readable NPY file ({reason_of(error)}); write it again with numpy.save"
        ) from error


def describe_arrays(headers: Mapping[str, Header]) -> str:
    """List names and shapes of arrays, for messages."""
    shown = [f"{name} {header.shape}" for name, header in headers.items()]
    return reason_of(", ".join(shown))


def image_array(array: np.ndarray, place: str) -> np.ndarray:
    """Check that an array has the shape of images; rows of pixels become squares.

    Args:
        array: Images (n, h, w), (n, h, w, 1, 3 or 4), (n, 1, h, w) or (n, side²).
        place: File and name of the array, for errors.

    Returns:
        Images (n, h, w) or (n, h, w, 3 or 4).

    Raises:
        InputError: The array has another shape; the message shows how to change it.
    """
    shape = array.shape
    if 0 in shape:
        raise InputError(f"{place}: an array of shape {shape} contains no images")
    if remedy := _remedy(shape):
        raise InputError(
            f"{place}: an array of shape {shape}; expected (n, height, width) or "
            f"(n, height, width, channels) with 1, 3 or 4 channels; {remedy}"
        )
    if array.ndim == 2:
        side = math.isqrt(shape[1])
        array = array.reshape(-1, side, side)
    elif array.ndim == 4 and shape[3] == 1:
        array = array[..., 0]
    elif array.ndim == 4 and shape[1] == 1 and shape[3] not in (3, 4):
        array = array[:, 0]
    if array.shape[1] * array.shape[2] > MAX_PIXELS:
        height, width = array.shape[1:3]
        raise InputError(f"{place}: {too_large(height, width)}; scale the images down")
    return array


def too_large(height: int, width: int) -> str:
    """Describe an image with too many pixels."""
    return f"{width}×{height} pixels exceed the limit of {MAX_PIXELS:,}"


def _remedy(shape: tuple[int, ...]) -> str:
    """Return how to change an array of this shape; empty if it is one of images."""
    match shape:
        case (n, pixels):
            side = math.isqrt(pixels)
            # A square array may be a single image.
            if n != pixels and side * side == pixels and side >= _SHORTEST:
                return ""
            return (
                "one image is images[numpy.newaxis]; rows of pixels are "
                "images.reshape(-1, height, width)"
            )
        case (height, width, n) if height == width != n:
            one = "one colour image is images[numpy.newaxis]; " if n in (3, 4) else ""
            return (
                f"{one}if the images are last, use numpy.transpose(images, (2, 0, 1)); if there "
                f"are {height} images of {n}×{width} pixels, use images[..., numpy.newaxis]"
            )
        case (_, _, _):
            return ""
        case (_, _, _, 1 | 3 | 4) | (_, 1, _, _):
            return ""
        case (_, 3 | 4, _, _):
            return "if the channels are second, use numpy.transpose(images, (0, 2, 3, 1))"
        case (_, _, 1 | 3 | 4, _):
            return "if the images are last, use numpy.transpose(images, (3, 0, 1, 2))"
    return "use images.reshape(-1, height, width)"
