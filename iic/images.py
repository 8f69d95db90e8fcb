"""Images of people's own, from files or arrays: made grey, light ink on dark paper, 28×28."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from iic.datasets import IMAGE_SIZE
from iic.errors import InputError
from iic.params import Fitting, Ink

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
# A page at 600 dpi has 35 million; more is a mistake or an attack.
MAX_PIXELS = 64_000_000
# Differences between the channels that JPEG leaves in a grey picture are smaller.
_COLORFUL = 32
# Images on whose borders a source's paper is judged, evenly spaced.
_JUDGED = 200
# MNIST's own measure: the ink fits into 20×20 pixels (http://yann.lecun.com/exdb/mnist/).
_INK_SIZE = 20
# Images read at once, which bounds the memory. That of iic.model.predict, so that the same images
# in the same order give the same numbers.
BATCH_SIZE = 500
_TASK = 125
# Bytes of a file whose unpacking is worth a second thread.
_LARGE = 32_768


@dataclass(frozen=True)
class Reading:
    """How images are made to fit, see params.yaml: data.size, data.color, data.ink, data.broken."""

    size: Fitting = "fit"
    color: Literal["grey", "refuse"] = "grey"
    ink: Ink = "auto"
    broken: Literal["refuse", "skip"] = "refuse"


class Batch(NamedTuple):
    """Some images of a source: their indices in it, and (n, 28, 28) uint8, light on dark."""

    indices: list[int]
    images: np.ndarray


class Source(Protocol):
    """Images in a fixed order."""

    @property
    def title(self) -> str:
        """Of the whole, for messages."""

    @property
    def names(self) -> Sequence[str]:
        """Of each image, as people find it again."""

    @property
    def threads(self) -> int:
        """How many can read at once and gain from it."""

    def read(self, index: int) -> Image.Image:
        """One image, decoded; raises InputError that names it."""


class FileSource:
    """Image files."""

    def __init__(self, title: str, paths: Sequence[Path]) -> None:
        """`title` is the folder or file that was asked for, `paths` are its images."""
        self.title = title
        self.names = [str(path) for path in paths]

    @property
    def threads(self) -> int:
        """Two for large files: what unpacks them runs beside Python, the rest does not."""
        try:
            return 2 if Path(self.names[0]).stat().st_size > _LARGE else 1
        except OSError:
            return 1

    def read(self, index: int) -> Image.Image:
        """Decode a file, turned upright as its camera noted.

        Raises:
            InputError: it is no image, damaged, or unreasonably large.
        """
        name = self.names[index]
        try:
            with Image.open(name, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(
                        f"{name}: {image.width}×{image.height} pixels are too many; scale it down"
                    )
                image.load()
                if "exif" in image.info or image.format == "TIFF":
                    ImageOps.exif_transpose(image, in_place=True)
                return image
        except UnidentifiedImageError as error:
            raise InputError(f"{name}: not a PNG, JPEG, BMP, TIFF or WebP image") from error
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{name}: cannot be read as an image ({reason})") from error


class ArraySource:
    """Images of one array."""

    def __init__(self, title: str, array: np.ndarray) -> None:
        """Check and take an array.

        Args:
            title: of the array, for messages and names.
            array: (n, h, w) or (n, h, w, channels), 0 to 255, or floats from 0 to 1.

        Raises:
            InputError: other dimensions, or other numbers.
        """
        self.title = title
        self._images = _as_bytes(array, title)
        self.names = [f"{title}[{index}]" for index in range(len(array))]

    @property
    def threads(self) -> int:
        """One: nothing is unpacked."""
        return 1

    def read(self, index: int) -> Image.Image:
        """One image of the array."""
        return Image.fromarray(self._images[index])


def _as_bytes(array: np.ndarray, title: str) -> np.ndarray:
    """(n, h, w[, 3 or 4]) uint8."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (3, 4)):
        raise InputError(
            f"{title}: an array of shape {array.shape}; images are (n, height, width) or "
            "(n, height, width, 1, 3 or 4 channels)"
        )
    if 0 in array.shape:
        raise InputError(f"{title}: an array of shape {array.shape} holds no images")
    if array.dtype == np.uint8:
        return array
    is_number = np.issubdtype(array.dtype, np.number)
    low, high = (array.min(), array.max()) if is_number else (np.nan, np.nan)
    if not (0 <= low <= high <= 255):
        raise InputError(f"{title}: holds other values than 0 to 255, or 0 to 1 as floats")
    is_share = np.issubdtype(array.dtype, np.floating) and high <= 1
    return np.rint(array * (255 if is_share else 1)).astype(np.uint8)


@dataclass(frozen=True)
class Ground:
    """What a source's images are drawn on.

    Attributes:
        is_dark_ink: dark ink on light paper, so that the images have to be inverted.
        judged: number of images whose borders were looked at; 0 where it was given.
        otherwise: how many of these look the other way.
    """

    is_dark_ink: bool
    judged: int = 0
    otherwise: int = 0

    def __str__(self) -> str:
        """For people."""
        found = "dark ink on light paper" if self.is_dark_ink else "light ink on dark paper"
        if not self.judged:
            return f"{found}, as given"
        doubt = f", {self.otherwise:,} of {self.judged:,} look otherwise" if self.otherwise else ""
        return f"{found}, by the borders{doubt}"


def ground_of(source: Source, reading: Reading) -> Ground:
    """Tell white on black from black on white: one answer for all images of a source.

    A single picture may well have more ink than paper on its border (a coat that fills the frame),
    so most of a source's pictures decide.

    Raises:
        InputError: no image can be read.
    """
    if reading.ink != "auto":
        return Ground(reading.ink == "dark")
    chosen = np.unique(np.linspace(0, len(source.names) - 1, _JUDGED).round().astype(int))
    votes, failure = [], None
    for index in chosen:
        try:
            votes.append(_border(_grey(source.read(int(index)))) > 127)
        except InputError as error:
            failure = error
    if not votes:
        raise failure or InputError(f"{source.title}: holds no images")
    dark = sum(votes)
    is_dark_ink = 2 * dark > len(votes)
    return Ground(is_dark_ink, len(votes), len(votes) - dark if is_dark_ink else dark)


def read_images(
    source: Source, ground: Ground, reading: Reading, skipped: Callable[[InputError], None]
) -> Iterator[Batch]:
    """All images of a source in order, BATCH_SIZE of them at a time.

    Args:
        source: of the images.
        ground: what they are drawn on.
        reading: how they are made to fit.
        skipped: told of each image that is left out.

    Raises:
        InputError: an image cannot be read or does not fit, and is not to be skipped.
    """

    def prepare(indices: range) -> list[np.ndarray | InputError]:
        return [_prepare_or_tell(source, index, ground, reading) for index in indices]

    with ThreadPoolExecutor(source.threads) as pool:
        for start in range(0, len(source.names), BATCH_SIZE):
            indices = range(start, min(start + BATCH_SIZE, len(source.names)))
            tasks = [indices[k : k + _TASK] for k in range(0, len(indices), _TASK)]
            results = chain.from_iterable(pool.map(prepare, tasks))
            batch = _sorted_out(zip(indices, results, strict=True), reading, skipped)
            if batch.indices:
                yield batch


def _prepare_or_tell(
    source: Source, index: int, ground: Ground, reading: Reading
) -> np.ndarray | InputError:
    try:
        return _prepare(source.read(index), source.names[index], ground, reading)
    except InputError as error:
        return error


def _sorted_out(
    results: Iterable[tuple[int, np.ndarray | InputError]],
    reading: Reading,
    skipped: Callable[[InputError], None],
) -> Batch:
    """Images apart from errors, the first of which is raised unless they are to be skipped."""
    indices, images = [], []
    for index, result in results:
        if isinstance(result, np.ndarray):
            indices.append(index)
            images.append(result)
        elif reading.broken == "skip":
            skipped(result)
        else:
            raise result
    return Batch(indices, np.array(images, np.uint8))


def _prepare(image: Image.Image, name: str, ground: Ground, reading: Reading) -> np.ndarray:
    if reading.color == "refuse" and _is_colorful(image):
        raise InputError(f"{name}: in colour; allow grey (data.color)")
    grey = _grey(image)
    if ground.is_dark_ink:
        grey = 255 - grey
    if reading.size == "crop":
        return _crop(grey)
    if grey.shape == (IMAGE_SIZE, IMAGE_SIZE):
        return grey
    if reading.size == "refuse":
        raise InputError(
            f"{name}: {grey.shape[1]}×{grey.shape[0]} pixels instead of {IMAGE_SIZE}×{IMAGE_SIZE}; "
            "allow fit, stretch or crop (data.size)"
        )
    if reading.size == "stretch":
        return _scale(grey, (IMAGE_SIZE, IMAGE_SIZE))
    return _fit(grey)


def _grey(image: Image.Image) -> np.ndarray:
    """(h, w) uint8; where it is transparent, paper that its ink stands out from."""
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow would cut all grey values above 255 off.
        return (np.asarray(image).clip(0, 65_535) >> 8).astype(np.uint8)
    if "A" in image.getbands() or "transparency" in image.info:
        shown = np.asarray(image.convert("LA"))
        grey, opacity = shown[..., 0].astype(np.float32), shown[..., 1] / np.float32(255)
        is_light_ink = (grey * opacity).sum() > 127 * opacity.sum()
        paper = 0 if is_light_ink else 255
        return np.rint(grey * opacity + paper * (1 - opacity)).astype(np.uint8)
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def _is_colorful(image: Image.Image) -> bool:
    if image.mode in ("1", "L", "LA") or image.mode.startswith(("I", "F")):
        return False
    channels = np.asarray(image.convert("RGB")).astype(np.int16)
    return bool((channels.max(axis=2) - channels.min(axis=2)).max() > _COLORFUL)


def _border(grey: np.ndarray) -> float:
    """Median grey value of the outermost pixels: mostly paper."""
    return float(np.median(np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])))


def _scale(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """To (height, width); shrinking averages, so that thin strokes stay."""
    shrinks = size[0] <= grey.shape[0] and size[1] <= grey.shape[1]
    resampling = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(grey).resize((size[1], size[0]), resampling))


def _fit(grey: np.ndarray) -> np.ndarray:
    """The whole picture, its longer side 28 pixels, in the middle of its own paper."""
    height, width = (max(1, round(side * IMAGE_SIZE / max(grey.shape))) for side in grey.shape)
    frame = np.full((IMAGE_SIZE, IMAGE_SIZE), round(_border(grey)), np.uint8)
    top, left = (IMAGE_SIZE - height) // 2, (IMAGE_SIZE - width) // 2
    frame[top : top + height, left : left + width] = _scale(grey, (height, width))
    return frame


def _crop(grey: np.ndarray) -> np.ndarray:
    """The ink alone, as MNIST's: its longer side 20 pixels, its centre of mass in the middle."""
    paper = _border(grey)
    ink = np.clip(grey - paper, 0, None)
    frame = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    if not ink.any():
        return frame
    ink = np.rint(ink * (255 / ink.max())).astype(np.uint8)
    rows, columns = np.nonzero(ink > 127)
    ink = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = (max(1, round(side * _INK_SIZE / max(ink.shape))) for side in ink.shape)
    small = _scale(ink, (height, width))
    top, left = (
        min(max(0, round(IMAGE_SIZE / 2 - middle)), IMAGE_SIZE - size)
        for middle, size in zip(_centre_of_mass(small), (height, width), strict=True)
    )
    frame[top : top + height, left : left + width] = small
    return frame


def _centre_of_mass(ink: np.ndarray) -> list[float]:
    """Down and right, in pixels from the upper left corner."""
    # Strokes much thinner than a pixel may vanish; then every pixel counts alike.
    mass = ink.astype(np.float64) + (0 if ink.any() else 1)
    return [
        float((mass.sum(axis=1 - axis) * (np.arange(size) + 0.5)).sum() / mass.sum())
        for axis, size in enumerate(ink.shape)
    ]
