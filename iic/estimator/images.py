"""Images of the estimator: their shape, and the conversion to the network's input."""

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from iic.core.appearance import Appearance
from iic.core.errors import InputError, reason_of, shorten
from iic.core.params import MAX_SIDE, DataParams
from iic.core.shapes import array_shape
from iic.data.arrays import image_array
from iic.data.check import ImageCheck, Ink
from iic.data.custom import check_memory
from iic.data.examine import Examination, examine
from iic.data.images import (
    ArraySource,
    ImageSource,
    JoinedSource,
    Reading,
    describe_skipped,
    read_images,
)
from iic.data.values import BYTES

Shape = tuple[int, ...]
# How images look that `load_images` has converted.
_LOADED = Appearance(ranges={"bytes": BYTES}, ink="light")
_SHAPES = "a tuple (height, width) or (height, width, 3); one of them may be -1"


def as_rows(X: Any, known: Shape | None) -> tuple[Any, Shape | None]:  # noqa: ANN401, N803 - sklearn
    """Turn images of more than two dimensions into rows of pixels.

    Args:
        X: Images, or rows of pixels in any form that scikit-learn takes.
        known: Shape of the training images; None if these are the training images.

    Returns:
        Rows of pixels that scikit-learn has yet to check, and the shape of an image; None if X
        consists of rows.

    Raises:
        InputError: X has another shape, or images of another shape than the training images.
    """
    if isinstance(X, list | tuple):
        X = _stacked(X)  # noqa: N806 - scikit-learn's name
    ndim = getattr(X, "ndim", 2)
    if ndim == 2:
        return X, None
    if ndim < 2:
        raise InputError(
            f"Expected images (n, h, w) or rows of pixels (n, h*w), got an array of shape "
            f"{X.shape}. Reshape your data: one image is images[numpy.newaxis], images of one "
            "size are numpy.stack(images)"
        )
    images = np.asarray(X)
    if known is None:
        images = image_array(images, "X")
    elif images.ndim == 4 and images.shape[1:] in ((1, *known), (*known, 1)):
        images = images.reshape(-1, *known)
    if known is not None and images.shape[1:] != known:
        raise InputError(f"X has images of shape {images.shape[1:]}, but IIC is expecting {known}")
    return images.reshape(len(images), math.prod(images.shape[1:])), images.shape[1:]


def _stacked(images: Sequence[Any]) -> np.ndarray:
    try:
        return np.asarray(images)
    except ValueError as error:
        raise InputError(
            f"X: images of different sizes ({reason_of(error)}); give all the same size"
        ) from error


def shape_of_rows(rows: np.ndarray, image_shape: Sequence[int] | None) -> Shape:
    """Return the shape of images that are rows of pixels.

    Args:
        rows: (n, pixels) values.
        image_shape: Shape (h, w) or (h, w, 3), with -1 for a side that follows from the others;
            None for squares of at least 8×8 pixels.

    Returns:
        Shape without -1.

    Raises:
        InputError: The shape is not one of images, or has another number of values.
    """
    if image_shape is None:
        try:
            return image_array(rows, "X").shape[1:]
        except InputError as error:
            raise InputError(f"{error}, or set image_shape=(height, width)") from error
    shape = _checked_shape(image_shape)
    pixels, known = rows.shape[1], math.prod(side for side in shape if side != -1)
    if pixels % known or (-1 not in shape and known != pixels):
        raise InputError(f"image_shape: {shape} does not fit rows of {pixels} pixels")
    shape = tuple(pixels // known if side == -1 else side for side in shape)
    return shape[:2] if shape[2:] == (1,) else shape


def _checked_shape(image_shape: object) -> Shape:
    """Check that a value is the shape of an image, perhaps with one side of -1."""
    is_shape = isinstance(image_shape, list | tuple) and (
        len(image_shape) in (2, 3)
        and all(
            isinstance(side, int | np.integer) and (side > 0 or side == -1) for side in image_shape
        )
        and list(image_shape).count(-1) <= 1
        and image_shape[2:] in ((), [], (1,), [1], (3,), [3], (4,), [4])
    )
    if not is_shape:
        raise InputError(f"image_shape: {shorten(image_shape)} should be {_SHAPES}")
    return tuple(int(side) for side in image_shape)  # type: ignore[attr-defined] # is a sequence


class Converted(NamedTuple):
    """Images after their conversion.

    Attributes:
        images: Images, uint8: (n, side, side), light ink on dark paper, or (n, side, side, 3).
        names: Name of each image (n,) in its source.
        appearance: How the images looked before.
        notes: What the user should know.
    """

    images: np.ndarray
    names: list[str]
    appearance: Appearance
    notes: list[str]


def network_input(
    images: np.ndarray,
    data: DataParams,
    known: Appearance | None,
    known_ink: tuple[float, float] | None = None,
) -> Converted:
    """Convert images to the network's input, as custom images of the pipeline.

    Args:
        images: Images (n, h, w) or (n, h, w, channels), numbers of any range.
        data: Parameters of the conversion.
        known: Appearance of the training images, for new ones; None finds it.
        known_ink: Mean and standard deviation of their ink, for new ones.

    Raises:
        InputError: The images have a size or colours that `data` refuses, or need too much memory.
    """
    # With an axis for the channel, no axis can be taken for another.
    source = ArraySource("X", images[..., None] if images.ndim == 3 else images)
    reading = Reading(data.size, data.color, data.ink, shape=data.input_shape)
    return convert([source], reading, "X", known, known_ink)


def convert(
    sources: Sequence[ImageSource],
    reading: Reading,
    title: Path | str,
    known: Appearance | None = None,
    known_ink: tuple[float, float] | None = None,
) -> Converted:
    """Read and convert all images of some sources, which are one set.

    Args:
        sources: Sources of the set.
        reading: How images are converted.
        title: Name of the set in messages.
        known: Appearance of the training images, for new ones; None finds it.
        known_ink: Mean and standard deviation of their ink, for new ones.

    Raises:
        InputError: An image cannot be used, none can be read, or they need too much memory.
    """
    source = JoinedSource(sources)
    n = len(source.names)
    check_memory(n, reading.shape, title)
    # The pipeline chooses the images of its training set by their content, too.
    examination = examine(
        sources, reading.ink, known, by_content=known is None, has_colors=reading.has_colors
    )
    images = np.empty((n, *array_shape(reading.shape)), np.uint8)
    check, kept = ImageCheck(reading.size), list[int]()
    skipped: list[InputError] = []
    for batch in read_images(source, examination.appearance, reading, skipped.append):
        images[len(kept) : len(kept) + len(batch.indices)] = batch.images
        kept += batch.indices
        check.add(batch.images)
    if not kept:
        raise InputError(f"{title}: none of the {n:,} images can be read, such as {skipped[0]}")
    doubts = check.warnings(Ink(*known_ink) if known_ink else None)
    notes = [*_doubts_on_ink(examination), *examination.warnings]
    notes += [*describe_skipped(skipped, n), *doubts]
    names = [source.names[index] for index in kept]
    return Converted(images[: len(kept)], names, examination.appearance, notes)


def _doubts_on_ink(examination: Examination) -> list[str]:
    if not examination.is_unclear:
        return []
    return [str(examination).replace("set the ink", "set data.ink")]


def as_loaded(
    images: np.ndarray, data: DataParams, known_ink: tuple[float, float] | None = None
) -> Converted:
    """Take images that `load_images` has converted as they are.

    Their ink is light and their range is that of bytes, whatever their borders look like.

    Args:
        images: Images (n, h, w) or (n, h, w, 3), uint8.
        data: Parameters of the network's input.
        known_ink: Mean and standard deviation of the ink of the training images, for new ones.

    Raises:
        InputError: They do not have the shape of the network's input.
    """
    expected = array_shape(data.input_shape)
    if images.shape[1:] != expected or images.dtype != np.uint8:
        raise InputError(
            f"X: loaded images of shape {images.shape[1:]} and type {images.dtype}, expected "
            f"{expected} and uint8; read them with image_size={data.image_size} and "
            f"channels={data.channels}, or set data.image_size and data.channels"
        )
    check = ImageCheck(data.size)
    check.add(images)
    # Of the training images, `load_images` has already said what is doubtful.
    notes = check.warnings(Ink(*known_ink)) if known_ink else []
    return Converted(images, [], _LOADED, notes)


def lost_detail(images: np.ndarray, data: DataParams, chosen: Collection[str]) -> str | None:
    """Describe what the conversion removes from images unless the user has chosen it.

    Args:
        images: Images (n, h, w) or (n, h, w, channels).
        data: Parameters of the conversion.
        chosen: Keys of `data` that the user has set.

    Returns:
        A sentence with the settings that keep the detail, or None if nothing is lost unasked.
    """
    height, width = images.shape[1:3]
    size = min(max(height, width), MAX_SIDE)
    lost, settings = [], []
    if min(height, width) > data.image_size and "image_size" not in chosen:
        lost.append(f"from {width}×{height} to {data.image_size}×{data.image_size} pixels")
        settings.append(("data.image_size", size, data.image_size))
    if images.ndim == 4 and data.channels == 1 and not {"channels", "color"} & set(chosen):
        lost.append("from colour to grey")
        settings.append(("data.channels", 3, 1))
    if not lost:
        return None
    keep = " and ".join(f"{key}={value}" for key, value, _ in settings)
    accept = " and ".join(f"{key}={value}" for key, _, value in settings)
    return f"images are converted {' and '.join(lost)}; set {keep} to keep them, or {accept}"
