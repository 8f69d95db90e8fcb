"""Images of people's own, from files or arrays: read in batches, told black on white or not."""

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
# A page at 600 dpi has 35 million; more is a mistake or an attack.
MAX_PIXELS = 64_000_000
# Images on whose borders the paper is judged.
_JUDGED = 200
# Share of these that may look otherwise before people are told to say themselves.
_CLEAR = 0.2
# Images read at once, which bounds the memory. That of iic.model.network.predict, so that the same
# images in the same order give the same numbers.
BATCH_SIZE = 500
_TASK = 125
# Bytes of a file whose unpacking is worth a second thread.
_LARGE = 32_768
# Bytes of a file that its hash is of: more than any picture that is read has.
_HASHED = 1 << 26


class UnreadableImageError(InputError):
    """A file that is no image, or a damaged one: what may be skipped."""


@dataclass(frozen=True)
class Reading:
    """How images are made to fit, see params.yaml: data.size, data.color, data.ink, data.broken."""

    size: Fitting = "fit"
    color: Literal["grey", "refuse"] = "grey"
    ink: Ink = "auto"
    broken: Literal["refuse", "skip"] = "refuse"


class ImageBatch(NamedTuple):
    """Some images of a source: their indices in it, and (n, 28, 28) uint8, light on dark."""

    indices: list[int]
    images: np.ndarray


class ImageSource(Protocol):
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
        """One image, decoded; raises UnreadableImageError that names it."""

    def digest(self, index: int) -> bytes:
        """A hash of an image's content, whatever its name."""


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
            UnreadableImageError: it is no image, damaged, of several pages or unreasonably large.
        """
        name = self.names[index]
        try:
            check_plain(Path(name))
            with Image.open(name, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UnreadableImageError(
                        f"{name}: {image.width}×{image.height} pixels are too many; scale it down"
                    )
                # Not their number, for which Pillow would walk through all of a million pages.
                if getattr(image, "is_animated", False):
                    raise UnreadableImageError(
                        f"{name}: several pictures in one file; save each as a file of its own"
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
            # Damaged headers may raise nearly anything.
            reason = reason_of(getattr(error, "strerror", None) or error)
            raise UnreadableImageError(f"{name}: cannot be read as an image ({reason})") from error

    def digest(self, index: int) -> bytes:
        """SHA-256 of the file's begin; nothing of what is no file, since reading will name it."""
        path = Path(self.names[index])
        try:
            check_plain(path)
            with path.open("rb") as file:
                return hashlib.sha256(file.read(_HASHED)).digest()
        except (OSError, InputError):
            return b""


def _upright(image: Image.Image) -> Image.Image:
    if "exif" in image.info or image.format == "TIFF":
        # Damaged notes tell nothing; the picture is whole.
        with suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
    return image


class ArraySource:
    """Images of one array."""

    def __init__(self, title: str, array: np.ndarray, where: str = "") -> None:
        """Check and take an array.

        Args:
            title: of the array, which its images' names begin with.
            array: (n, h, w) or (n, h, w, channels), 0 to 255, or 0 to 1.
            where: path of its file, for errors, unless the title names it.

        Raises:
            InputError: other dimensions, or other numbers.
        """
        self.title = title
        place = f"{where}: {title}" if where else title
        self._images = _checked(array, place)
        self.names = [f"{title}[{index}]" for index in range(len(array))]

    @property
    def threads(self) -> int:
        """One: nothing is unpacked."""
        return 1

    def read(self, index: int) -> Image.Image:
        """One image of the array."""
        return Image.fromarray(self._images[index])

    def digest(self, index: int) -> bytes:
        """SHA-256 of the pixels."""
        return hashlib.sha256(self._images[index].tobytes()).digest()


def _checked(array: np.ndarray, place: str) -> np.ndarray:
    """(n, h, w[, 3 or 4]) uint8."""
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (3, 4)):
        raise InputError(
            f"{place}: an array of shape {array.shape}; images are (n, height, width) or "
            "(n, height, width, 1, 3 or 4 channels)"
        )
    if 0 in array.shape:
        raise InputError(f"{place}: an array of shape {array.shape} holds no images")
    if array.shape[1] * array.shape[2] > MAX_PIXELS:
        raise InputError(
            f"{place}: {array.shape[2]}×{array.shape[1]} pixels are too many; scale the images down"
        )
    try:
        return as_bytes(array)
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error


@dataclass(frozen=True)
class Ground:
    """What images are drawn on.

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
        advice = "; that is not clear, so better say it" if self._is_unclear else ""
        return f"{found}, by the borders{doubt}{advice}"

    @property
    def _is_unclear(self) -> bool:
        return self.otherwise > _CLEAR * self.judged


def ground_of(
    sources: Sequence[ImageSource], reading: Reading, *, by_content: bool = False
) -> Ground:
    """Tell white on black from black on white: one answer for all images.

    A single picture may well have more ink than paper on its border (a coat that fills the frame),
    so most of some two hundred pictures decide.

    Args:
        sources: whose images are judged together.
        reading: how images are made to fit.
        by_content: choose the pictures that decide by a hash of their content, which takes longer,
            and not by their names, which may tell labels.

    Raises:
        InputError: no image can be read.
    """
    if reading.ink != "auto":
        return Ground(reading.ink == "dark")
    places = [(source, index) for source in sources for index in range(len(source.names))]
    if by_content and len(places) > _JUDGED:
        places.sort(key=lambda place: place[0].digest(place[1]))
        chosen = places[:_JUDGED]
    else:
        spread = np.unique(np.linspace(0, len(places) - 1, _JUDGED).round().astype(int))
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
    """All images of a source in order, BATCH_SIZE of them at a time.

    Args:
        source: of the images.
        ground: what they are drawn on.
        reading: how they are made to fit.
        skipped: told of each image that is left out.

    Raises:
        InputError: an image does not fit, or cannot be read and is not to be skipped.
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
    source: ImageSource, index: int, ground: Ground, reading: Reading
) -> np.ndarray | InputError:
    try:
        return _prepare(source, index, ground, reading)
    except InputError as error:
        return error


def _prepare(source: ImageSource, index: int, ground: Ground, reading: Reading) -> np.ndarray:
    name = source.names[index]
    if reading.color == "refuse" and _unless_unreadable(is_colorful, source, index):
        raise InputError(f"{name}: in colour; allow grey (data.color)")
    grey = _grey(source, index)
    try:
        return resized(255 - grey if ground.is_dark_ink else grey, reading.size)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error


def _grey(source: ImageSource, index: int) -> np.ndarray:
    return _unless_unreadable(grey_of, source, index)


def _unless_unreadable(look: Callable[[Image.Image], _T], source: ImageSource, index: int) -> _T:
    try:
        return look(source.read(index))
    except (ValueError, MemoryError) as error:
        raise UnreadableImageError(
            f"{source.names[index]}: cannot be made grey ({reason_of(error)})"
        ) from error


def _sorted_out(
    results: Iterable[tuple[int, np.ndarray | InputError]],
    reading: Reading,
    skipped: Callable[[InputError], None],
) -> ImageBatch:
    """Images apart from errors, the first of which is raised unless it is to be skipped."""
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


# So many images that were left out are named.
_NAMED = 5


def tell_skipped(skipped: Sequence[InputError], total: int) -> list[str]:
    """Lines about images that were left out: some of them, and how many there are."""
    if not skipped:
        return []
    return [
        f"{len(skipped):,} of {total:,} images left out, for example:",
        *(f"  {error}" for error in skipped[:_NAMED]),
    ]
