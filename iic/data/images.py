"""Images from files or arrays: reading in batches, polarity, conversion to the network's input."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from iic.core.errors import InputError, reason_of
from iic.core.files import check_plain
from iic.core.params import Fitting, Ink
from iic.data.fitting import as_bytes, border_of, grey_of, is_colorful, resized

_T = TypeVar("_T")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
# A page at 600 dpi has 35 million pixels; a larger image is a mistake or an attack.
MAX_PIXELS = 64_000_000
# Images whose borders are examined to find the polarity.
_EXAMINED = 200
# Share of them that may disagree before the log advises to set the polarity.
_MOST_OPPOSITE = 0.2
# Images in memory at once. Equal to the batch size of iic.model.network.predict, so that the same
# images in the same order give the same numbers.
BATCH_SIZE = 500
# Images that one thread reads in a row.
_TASK = 125
# Size of a file, in bytes, above which a second thread speeds decoding up.
_LARGE = 32_768
# Largest number of bytes of a file that are hashed: more than any readable image has.
_HASHED = 1 << 26
# Largest number of skipped images whose errors are shown.
_NAMED = 5


class UnreadableImageError(InputError):
    """A file is not an image or is damaged; `data.broken: skip` skips it."""


@dataclass(frozen=True)
class Reading:
    """How images are converted; the values are those of the section `data` in params.yaml.

    Attributes:
        size: How images of other sizes become 28×28 pixels.
        color: Whether colour images are converted to grey or refused.
        ink: Brightness of the ink; "auto" finds it by the borders of the images.
        broken: Whether unreadable images are refused or skipped.
    """

    size: Fitting = "fit"
    color: Literal["grey", "refuse"] = "grey"
    ink: Ink = "auto"
    broken: Literal["refuse", "skip"] = "refuse"


class ImageBatch(NamedTuple):
    """Part of a source: indices of its images, and the images (n, 28, 28), uint8, light on dark."""

    indices: list[int]
    images: np.ndarray


class ImageSource(Protocol):
    """Images in a fixed order."""

    @property
    def title(self) -> str:
        """Name of the source in messages."""

    @property
    def names(self) -> Sequence[str]:
        """Path of each image, or its position in an array."""

    @property
    def threads(self) -> int:
        """Number of threads that speed reading up."""

    def read(self, index: int) -> Image.Image:
        """Decode one image; raise an UnreadableImageError that names it."""

    def digest(self, index: int) -> bytes:
        """Hash of an image's content, independent of its name."""


class FileSource:
    """Image files."""

    def __init__(self, title: str, paths: Sequence[Path]) -> None:
        """Store the paths.

        Args:
            title: Folder or file that the user named, for messages.
            paths: Image files.
        """
        self.title = title
        self.names = [str(path) for path in paths]

    @property
    def threads(self) -> int:
        """Two for large files, since only the decoder runs in parallel; one for small files."""
        try:
            return 2 if Path(self.names[0]).stat().st_size > _LARGE else 1
        except OSError:
            return 1

    def read(self, index: int) -> Image.Image:
        """Decode a file and apply its EXIF orientation.

        Raises:
            UnreadableImageError: The file is not an image, damaged, has several pages or too many
                pixels.
        """
        name = self.names[index]
        try:
            check_plain(Path(name))
            with Image.open(name, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UnreadableImageError(
                        f"{name}: {_too_large(image.height, image.width)}; scale the image down"
                    )
                # `n_frames` would make Pillow walk through all pages, possibly a million.
                if getattr(image, "is_animated", False):
                    raise UnreadableImageError(
                        f"{name}: several images in one file; save each in its own file"
                    )
                image.load()
                return _upright(image)
        except UnreadableImageError:
            raise
        except InputError as error:
            raise UnreadableImageError(str(error)) from error
        except UnidentifiedImageError as error:
            raise UnreadableImageError(
                f"{name}: not a PNG, JPEG, BMP, TIFF or WebP image"
            ) from error
        except Exception as error:
            # Damaged headers can raise almost any exception.
            reason = reason_of(getattr(error, "strerror", None) or error)
            raise UnreadableImageError(f"{name}: cannot be read as an image ({reason})") from error

    def digest(self, index: int) -> bytes:
        """SHA-256 of the file; empty if it is not a regular file, which reading it reports."""
        path = Path(self.names[index])
        try:
            check_plain(path)
            with path.open("rb") as file:
                return hashlib.sha256(file.read(_HASHED)).digest()
        except (OSError, InputError):
            return b""


def _too_large(height: int, width: int) -> str:
    return f"{width}×{height} pixels exceed the limit of {MAX_PIXELS:,}"


def _upright(image: Image.Image) -> Image.Image:
    if "exif" in image.info or image.format == "TIFF":
        # Damaged EXIF data does not affect the pixels.
        with suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
    return image


class ArraySource:
    """Images of one array."""

    def __init__(self, title: str, array: np.ndarray, where: str = "") -> None:
        """Check an array and convert it to bytes.

        Args:
            title: Name of the array; names of its images begin with it.
            array: Images (n, h, w) or (n, h, w, channels) with 1, 3 or 4 channels, values from 0 to
                255 or from 0 to 1.
            where: Path of the array's file, for errors; empty if the title contains it.

        Raises:
            InputError: The array has another shape or other values.
        """
        self.title = title
        place = f"{where}: {title}" if where else title
        self._images = _checked(array, place)
        self.names = [f"{title}[{index}]" for index in range(len(array))]

    @property
    def threads(self) -> int:
        """One, since nothing is decoded."""
        return 1

    def read(self, index: int) -> Image.Image:
        """Return one image of the array."""
        return Image.fromarray(self._images[index])

    def digest(self, index: int) -> bytes:
        """SHA-256 of the image's pixels."""
        return hashlib.sha256(self._images[index].tobytes()).digest()


def _checked(array: np.ndarray, place: str) -> np.ndarray:
    """Return images (n, h, w) or (n, h, w, 3 or 4), uint8."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (3, 4)):
        raise InputError(
            f"{place}: an array of shape {array.shape}; expected (n, height, width) or "
            "(n, height, width, channels) with 1, 3 or 4 channels"
        )
    if 0 in array.shape:
        raise InputError(f"{place}: an array of shape {array.shape} contains no images")
    if array.shape[1] * array.shape[2] > MAX_PIXELS:
        raise InputError(f"{place}: {_too_large(*array.shape[1:3])}; scale the images down")
    try:
        return as_bytes(array)
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error


@dataclass(frozen=True)
class Ground:
    """Polarity of images.

    Attributes:
        is_dark_ink: Whether the ink is dark on light paper; such images are inverted.
        examined: Number of images whose borders were examined; 0 if the polarity was given.
        opposite: Number of these images with the opposite polarity.
    """

    is_dark_ink: bool
    examined: int = 0
    opposite: int = 0

    def __str__(self) -> str:
        """Describe the polarity and how it was found."""
        found = "dark ink on light paper" if self.is_dark_ink else "light ink on dark paper"
        if not self.examined:
            return f"{found}, as given"
        doubt = f", {self.opposite:,} of {self.examined:,} disagree" if self.opposite else ""
        advice = "; uncertain, set the ink to light or dark" if self._is_unclear else ""
        return f"{found}, by the borders{doubt}{advice}"

    @property
    def _is_unclear(self) -> bool:
        return self.opposite > _MOST_OPPOSITE * self.examined


def ground_of(
    sources: Sequence[ImageSource], reading: Reading, *, by_content: bool = False
) -> Ground:
    """Find the polarity of images: light on dark or dark on light, the same for all of them.

    The border of a single image may have more ink than paper (a coat that fills the frame), so the
    majority of up to 200 images decides.

    Args:
        sources: Sources that share one polarity.
        reading: How images are converted; a polarity given there is returned.
        by_content: Whether to choose the examined images by a hash of their content, which takes
            longer, instead of evenly by position, which may depend on labels.

    Returns:
        The polarity, with the numbers of examined and of disagreeing images.

    Raises:
        InputError: No image can be read.
    """
    if reading.ink != "auto":
        return Ground(reading.ink == "dark")
    places = [(source, index) for source in sources for index in range(len(source.names))]
    if by_content and len(places) > _EXAMINED:
        places.sort(key=lambda place: place[0].digest(place[1]))
        chosen = places[:_EXAMINED]
    else:
        spread = np.unique(np.linspace(0, len(places) - 1, _EXAMINED).round().astype(int))
        chosen = [places[number] for number in spread] if places else []
    votes, failure = [], None
    for source, index in chosen:
        try:
            votes.append(border_of(_grey(source, index)) > 127)
        except InputError as error:
            failure = error
    if not votes:
        raise failure or InputError("there are no images")
    dark = sum(votes)
    is_dark_ink = 2 * dark > len(votes)
    return Ground(is_dark_ink, len(votes), len(votes) - dark if is_dark_ink else dark)


def read_images(
    source: ImageSource, ground: Ground, reading: Reading, skipped: Callable[[InputError], None]
) -> Iterator[ImageBatch]:
    """Read and convert all images of a source, in order and in batches of BATCH_SIZE.

    Args:
        source: Source of the images.
        ground: Polarity of the images.
        reading: How images are converted.
        skipped: Function called with the error of each skipped image.

    Yields:
        Converted images and their indices; no empty batch.

    Raises:
        InputError: An image has a size or colours that `reading` refuses, or cannot be read while
            `reading.broken` is "refuse".
    """

    def prepare(indices: range) -> list[np.ndarray | InputError]:
        return [_prepared_or_error(source, index, ground, reading) for index in indices]

    with ThreadPoolExecutor(source.threads) as pool:
        for start in range(0, len(source.names), BATCH_SIZE):
            indices = range(start, min(start + BATCH_SIZE, len(source.names)))
            tasks = [indices[k : k + _TASK] for k in range(0, len(indices), _TASK)]
            results = chain.from_iterable(pool.map(prepare, tasks))
            batch = _batch_of(zip(indices, results, strict=True), reading, skipped)
            if batch.indices:
                yield batch


def _prepared_or_error(
    source: ImageSource, index: int, ground: Ground, reading: Reading
) -> np.ndarray | InputError:
    try:
        return _prepared(source, index, ground, reading)
    except InputError as error:
        return error


def _prepared(source: ImageSource, index: int, ground: Ground, reading: Reading) -> np.ndarray:
    name = source.names[index]
    if reading.color == "refuse" and _converted(is_colorful, source, index):
        raise InputError(f"{name}: has colours; set data.color to grey")
    grey = _grey(source, index)
    try:
        return resized(255 - grey if ground.is_dark_ink else grey, reading.size)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error


def _grey(source: ImageSource, index: int) -> np.ndarray:
    return _converted(grey_of, source, index)


def _converted(convert: Callable[[Image.Image], _T], source: ImageSource, index: int) -> _T:
    try:
        return convert(source.read(index))
    except (ValueError, MemoryError) as error:
        raise UnreadableImageError(
            f"{source.names[index]}: cannot be converted to grey ({reason_of(error)})"
        ) from error


def _batch_of(
    results: Iterable[tuple[int, np.ndarray | InputError]],
    reading: Reading,
    skipped: Callable[[InputError], None],
) -> ImageBatch:
    """Collect the images; raise the first error unless unreadable images are to be skipped."""
    indices, images = [], []
    for index, result in results:
        if isinstance(result, np.ndarray):
            indices.append(index)
            images.append(result)
        elif reading.broken == "skip" and isinstance(result, UnreadableImageError):
            skipped(result)
        else:
            raise result
    return ImageBatch(indices, np.array(images, np.uint8))


def describe_skipped(skipped: Sequence[InputError], total: int) -> list[str]:
    """Describe skipped images: their number and the first few errors.

    Args:
        skipped: Errors of the skipped images.
        total: Number of all images.

    Returns:
        Lines of text; empty if no image was skipped.
    """
    if not skipped:
        return []
    return [
        f"{len(skipped):,} of {total:,} images skipped, for example:",
        *(f"  {error}" for error in skipped[:_NAMED]),
    ]
