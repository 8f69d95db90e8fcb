"""Images from files or arrays: reading in batches, polarity, conversion to the network's input."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from iic.core.appearance import Appearance, Numbers
from iic.core.errors import InputError, reason_of
from iic.core.files import check_plain
from iic.core.params import Fitting, Ink
from iic.core.shapes import GREY_SHAPE, ImageShape, batch_size_of
from iic.data import arrays
from iic.data.arrays import image_array, too_large
from iic.data.fitting import resized
from iic.data.kinds import FORMATS, READABLE, Kind, kind_of, refusal
from iic.data.pictures import Picture, colors_of, decoded, is_colorful, light_ink, with_opacity
from iic.data.values import BYTES, NOT_FINITE, Range, extremes_of, numbers_of, range_of, scaled

# Images that one thread reads in a row.
_TASK = 125
# Size of a file, in bytes, above which a second thread speeds decoding up.
_LARGE = 32_768
# Largest number of bytes of a file that are hashed: more than any readable image has.
_HASHED = 1 << 26
# Kinds of files whose names say nothing about a remedy.
_PLAIN_KINDS = (Kind.TEXT, Kind.EMPTY, Kind.UNKNOWN, Kind.IMAGE)
# Largest number of skipped images whose errors are shown.
_NAMED = 5
# End of the remedies for files that can be skipped.
SKIP_REMEDY = ", or set data.broken to skip (iic predict --skip-broken)"


class UnreadableImageError(InputError):
    """A file is not an image or is damaged; `data.broken: skip` skips it."""


class _UnknownFormatError(UnreadableImageError):
    """A file is in none of the formats that are read."""


@dataclass(frozen=True)
class Reading:
    """How images are converted; the values are those of the section `data` in params.yaml.

    Attributes:
        size: How images of other sizes are made to fit.
        color: Whether colour images are converted to grey or refused, if the network sees grey.
        ink: Brightness of the ink; "auto" finds it by the borders of the images.
        broken: Whether unreadable images are refused or skipped.
        shape: Height, width (equal) and channels of the result.
    """

    size: Fitting = "fit"
    color: Literal["grey", "refuse"] = "grey"
    ink: Ink = "auto"
    broken: Literal["refuse", "skip"] = "refuse"
    shape: ImageShape = GREY_SHAPE

    @property
    def has_colors(self) -> bool:
        """Whether the result has three channels."""
        return self.shape[2] == 3


class ImageBatch(NamedTuple):
    """Part of a source.

    Attributes:
        indices: Indices of the images in the source.
        images: Grey images (n, h, w), light ink on dark paper, or colours (n, h, w, 3); uint8.
    """

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

    @property
    def keeps_order(self) -> bool:
        """Whether the order has a meaning, as in an array; the order of files has none."""

    def read(self, index: int) -> Picture:
        """Decode one image; raise an UnreadableImageError that names it."""

    def digest(self, index: int) -> bytes:
        """Hash of an image's content, independent of its name."""


class FileSource:
    """Image files."""

    keeps_order = False

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

    def read(self, index: int) -> Picture:
        """Decode a file and apply its EXIF orientation.

        Raises:
            UnreadableImageError: The file is not an image, damaged, has several pages, too many
                pixels or values that are not finite, or is a link to nothing.
        """
        name = self.names[index]
        path = Path(name)
        check_file(path)
        try:
            return _decode(name, name)
        except _UnknownFormatError as error:
            # A photo of a phone is often HEIC under a name that ends in .jpg.
            kind = kind_of(path)
            known = kind not in READABLE and kind not in _PLAIN_KINDS
            raise (UnreadableImageError(refusal(path, kind)) if known else error) from error

    def digest(self, index: int) -> bytes:
        """SHA-256 of the file; empty if it is not a regular file, which reading it reports."""
        path = Path(self.names[index])
        try:
            check_plain(path)
            with path.open("rb") as file:
                return hashlib.sha256(file.read(_HASHED)).digest()
        except (OSError, InputError):
            return b""


def check_file(path: Path) -> None:
    """Raise an UnreadableImageError for a link to nothing and for what is not a regular file."""
    try:
        if path.is_symlink() and not path.exists():
            target = reason_of(path.readlink())
            raise UnreadableImageError(
                f"{path}: a broken link to {target}; restore or remove it{SKIP_REMEDY}"
            )
        check_plain(path)
    except UnreadableImageError:
        raise
    except InputError as error:
        raise UnreadableImageError(str(error)) from error
    except OSError as error:
        raise UnreadableImageError(
            f"{path}: cannot be read as an image ({error.strerror})"
        ) from error


class EncodedSource:
    """Image files in memory, as in a Parquet file."""

    keeps_order = False
    threads = 1

    def __init__(self, title: str, contents: Sequence[bytes]) -> None:
        """Store the contents.

        Args:
            title: Name of the source; names of its images begin with it.
            contents: Contents of the image files.
        """
        self.title = title
        self.names = [f"{title}[{index}]" for index in range(len(contents))]
        self._contents = contents

    def read(self, index: int) -> Picture:
        """Decode one image; raise an UnreadableImageError that names it."""
        return _decode(io.BytesIO(self._contents[index]), self.names[index])

    def digest(self, index: int) -> bytes:
        """SHA-256 of the encoded image."""
        return hashlib.sha256(self._contents[index]).digest()


def _decode(file: str | io.BytesIO, name: str) -> Picture:
    """Decode an image file; raise an UnreadableImageError that names it."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > arrays.MAX_PIXELS:
                raise UnreadableImageError(
                    f"{name}: {too_large(image.height, image.width)}; scale the image down"
                )
            # `n_frames` would make Pillow walk through all pages, possibly a million. The further
            # images of an MPO are a camera's previews of the first.
            if getattr(image, "is_animated", False) and image.format != "MPO":
                raise UnreadableImageError(
                    f"{name}: several images in one file; save each in its own file"
                )
            image.load()
            picture = decoded(_upright(image))
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise _UnknownFormatError(
            f"{name}: not a PNG, JPEG, BMP, TIFF, WebP, GIF or PNM image"
        ) from error
    except Exception as error:
        # Damaged headers can raise almost any exception.
        reason = reason_of(getattr(error, "strerror", None) or error)
        raise UnreadableImageError(f"{name}: cannot be read as an image ({reason})") from error
    if picture.numbers == "floats" and not np.isfinite(picture.values).all():
        raise UnreadableImageError(f"{name}: {NOT_FINITE}")
    return picture


def _upright(image: Image.Image) -> Image.Image:
    if "exif" in image.info or image.format == "TIFF":
        # Damaged EXIF data does not affect the pixels.
        with suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
    return image


class ArraySource:
    """Images of one array."""

    keeps_order = True
    threads = 1

    def __init__(self, title: str, array: np.ndarray, place: str = "") -> None:
        """Check the shape and the type of an array.

        Args:
            title: Name of the array; names of its images begin with it.
            array: Images (n, h, w) or (n, h, w, channels) with 1, 3 or 4 channels, also (n, side²)
                and (n, 1, h, w); numbers of any range.
            place: File and name of the array, for errors; empty = `title`.

        Raises:
            InputError: The array has another shape, or values that are not finite numbers.
        """
        self.title = title
        self._images = image_array(array, place or title)
        try:
            self._extremes, self._opaque = _extremes(self._images)
        except ValueError as error:
            raise InputError(f"{place or title}: {error}") from error
        self.names = [f"{title}[{index}]" for index in range(len(self._images))]

    def extremes(self) -> tuple[Numbers, float, float]:
        """Return the type of the numbers, and the smallest and the largest of them."""
        return (numbers_of(self._images.dtype), *self._extremes)

    def read(self, index: int) -> Picture:
        """Return one image of the array."""
        image = self._images[index]
        if image.ndim == 3 and image.shape[2] == 4:
            return with_opacity(image[..., :3], scaled(image[..., 3], self._opaque))
        return Picture(image)

    def digest(self, index: int) -> bytes:
        """SHA-256 of the image's values."""
        return hashlib.sha256(self._images[index].tobytes()).digest()


def _extremes(images: np.ndarray) -> tuple[Range, Range]:
    """Return the extremes of the colours, and the values of no and full opacity."""
    if images.ndim == 3 or images.shape[3] != 4:
        return extremes_of(images), BYTES
    opacity = range_of(numbers_of(images.dtype), *extremes_of(images[..., 3]))
    colors = extremes_of(images[..., :3])
    is_clear = images.dtype == np.uint8 and opacity != (0, 1)
    return (BYTES, BYTES) if is_clear else (colors, opacity)


class JoinedSource:
    """Images of several sources, one after another."""

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        """Store the sources, at least one."""
        self.sources = sources
        self.title = " and ".join(source.title for source in sources)
        self.names = [name for source in sources for name in source.names]
        self.threads = max(source.threads for source in sources)
        self.keeps_order = any(source.keeps_order for source in sources)
        self._starts = np.cumsum([0, *(len(source.names) for source in sources)])

    def read(self, index: int) -> Picture:
        """Decode one image; raise an UnreadableImageError that names it."""
        source, inside = self._at(index)
        return source.read(inside)

    def digest(self, index: int) -> bytes:
        """Hash of an image's content."""
        source, inside = self._at(index)
        return source.digest(inside)

    def _at(self, index: int) -> tuple[ImageSource, int]:
        number = int(np.searchsorted(self._starts, index, "right")) - 1
        return self.sources[number], index - int(self._starts[number])


def read_images(
    source: ImageSource,
    appearance: Appearance,
    reading: Reading,
    skipped: Callable[[InputError], None],
) -> Iterator[ImageBatch]:
    """Read and convert all images of a source, in order and in batches.

    Args:
        source: Source of the images.
        appearance: Value ranges, ink and paper of the set.
        reading: How images are converted.
        skipped: Function called with the error of each skipped image.

    Yields:
        Converted images and their indices; no empty batch.

    Raises:
        InputError: An image has a size or colours that `reading` refuses, or cannot be read while
            `reading.broken` is "refuse".
    """

    def prepare(indices: range) -> list[np.ndarray | InputError]:
        return [_prepared_or_error(source, index, appearance, reading) for index in indices]

    with ThreadPoolExecutor(source.threads) as pool:
        size = batch_size_of(reading.shape)
        for start in range(0, len(source.names), size):
            indices = range(start, min(start + size, len(source.names)))
            tasks = [indices[k : k + _TASK] for k in range(0, len(indices), _TASK)]
            results = chain.from_iterable(pool.map(prepare, tasks))
            batch = _batch_of(zip(indices, results, strict=True), reading, skipped)
            if batch.indices:
                yield batch


def _prepared_or_error(
    source: ImageSource, index: int, appearance: Appearance, reading: Reading
) -> np.ndarray | InputError:
    try:
        return _prepared(source, index, appearance, reading)
    except InputError as error:
        return error


def _prepared(
    source: ImageSource, index: int, appearance: Appearance, reading: Reading
) -> np.ndarray:
    name = source.names[index]
    picture = source.read(index)
    try:
        is_refused = (
            reading.color == "refuse"
            and not reading.has_colors
            and is_colorful(picture, appearance.limits(picture.numbers) or BYTES)
        )
        convert = colors_of if reading.has_colors else light_ink
        image = convert(picture, appearance)
    except (ValueError, MemoryError) as error:
        raise UnreadableImageError(
            f"{name}: cannot be converted to {'colours' if reading.has_colors else 'grey'} "
            f"({reason_of(error)})"
        ) from error
    if is_refused:
        raise InputError(f"{name}: has colours; set data.color to grey")
    limits_of(picture, appearance, name)
    try:
        return resized(image, reading.size, appearance, reading.shape[0])
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error


def limits_of(picture: Picture, appearance: Appearance, name: str) -> Range:
    """Return the values of a picture that become black and white.

    Args:
        picture: Decoded image.
        appearance: Value ranges of the set.
        name: Name of the image, for the message.

    Raises:
        UnreadableImageError: The set has no values of this type.
    """
    limits = appearance.limits(picture.numbers)
    if limits is None:
        raise UnreadableImageError(
            f"{name}: values of another type ({picture.values.dtype}) than the images examined; "
            "save all images with 8 bits"
        )
    return limits


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
        *(f"  {error}".removesuffix(SKIP_REMEDY) for error in skipped[:_NAMED]),
    ]
