"""A user's own data set: a folder of images, an NPZ file or IDX files, with or without labels."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from iic.core.constants import IMAGE_SIZE
from iic.core.errors import InputError, reason_of
from iic.core.files import is_writable_name
from iic.core.ordering import natural_order
from iic.data.datasets import Dataset
from iic.data.images import (
    ArraySource,
    FileSource,
    Ground,
    ImageSource,
    Reading,
    describe_skipped,
    ground_of,
    read_images,
)
from iic.data.readers import (
    PLAIN_ARRAYS,
    SPLIT_ARRAYS,
    check_name,
    describe_contents,
    idx_files,
    image_files,
    is_idx,
    read_idx,
    read_npz,
)

log = logging.getLogger(__name__)

# Default of data.path, which DVC needs to exist.
_PLACEHOLDER = Path("stages/no-images")
_TRAIN, _TEST = "train", "test"
# Other common names of a second split.
_OTHER_SPLITS = frozenset({"val", "valid", "validation", "dev", "eval"})
# Largest number of labels with a single image that a warning names.
_NAMED = 5
# Characters of a label (the limit of a folder's name), and different labels (16-bit indices).
_LONGEST, _MOST_LABELS = 255, 2**16


@dataclass(frozen=True)
class Part:
    """Images of one split, or of a data set without a split, before reading.

    Attributes:
        source: Source of the n images.
        labels: Label of each image (n,), or None if they have no labels.
    """

    source: ImageSource
    labels: Sequence[str] | None


@dataclass(frozen=True)
class Images:
    """Images that have been read.

    Attributes:
        pixels: Images (n, 28, 28), uint8, light ink on dark paper.
        labels: Label of each image (n,), or None if they have no labels.
        paths: Path of each image (n,), or its position in an array.
    """

    pixels: np.ndarray
    labels: list[str] | None
    paths: list[str]

    def take(self, order: np.ndarray) -> "Images":
        """Return the images at the indices `order`, in that order."""
        labels = None if self.labels is None else [self.labels[index] for index in order]
        return Images(self.pixels[order], labels, [self.paths[index] for index in order])


def custom_dataset(path: Path, reading: Reading, test_share: float, max_images: int) -> Dataset:
    """Read a user's own data set.

    Images of folders and images without a given split are sorted by a hash of their pixels, so
    that neither their order nor the split depends on the labels.

    Args:
        path: Folder of images, folder with a subfolder of images for each label, folder with
            subfolders `train` and `test` of either kind, folder of IDX files, NPZ file or IDX file.
        reading: How images are converted.
        test_share: Share of the images that form the test split if none is given, from 0 to 1.
        max_images: Largest number of images allowed.

    Returns:
        The training and the test split; without labels and names if all labels are equal.

    Raises:
        InputError: A file or folder cannot be used; the message names it.
    """
    check_name(path)
    parts = _with_useful_labels(_parts(path, max_images), path)
    ground = ground_of([part.source for part in parts.values()], reading, by_content=True)
    log.info("%s: %s", path, ground)
    images = {split: _read(part, ground, reading) for split, part in parts.items()}
    if len(images) == 1:
        (everything,) = images.values()
        train, test = _split(everything.take(_order(everything)), test_share, path)
    else:
        train, test = images[_TRAIN], images[_TEST]
        if path.is_dir() and isinstance(parts[_TRAIN].source, FileSource):
            train, test = train.take(_order(train)), test.take(_order(test))
    return _dataset(train, test)


def _parts(path: Path, max_images: int) -> dict[str, Part]:
    """Return the parts by split, or a single part with the key "" if there is no split."""
    if path.is_dir():
        idx = idx_files(path)
        return _idx_parts(path, idx, max_images) if idx else _folder_parts(path, max_images)
    if not path.exists():
        raise InputError(f"{path}: not found; set data.path to your images")
    if path.suffix.lower() == ".npz":
        return _npz_parts(path, max_images)
    if is_idx(path):
        array = read_idx(path, max_images)
        return {"": Part(ArraySource(path.name, array, str(path.parent)), None)}
    raise InputError(f"{path}: data.path must be a folder of images, an NPZ file or an IDX file")


def _folder_parts(path: Path, max_images: int) -> dict[str, Part]:
    splits = [path / _TRAIN, path / _TEST]
    others = [folder.name for folder in _subfolders(path) if folder not in splits]
    if all(split.is_dir() for split in splits):
        if others:
            raise InputError(
                f"{path}: folder {reason_of(others[0])} is next to train and test; "
                "move it into one of them"
            )
        return {split.name: _folder_part(split, max_images) for split in splits}
    # With other names, such as "bus" and "car", "train" is a label.
    if splits[0].is_dir() and _OTHER_SPLITS.issuperset(others):
        raise InputError(
            f"{path}: found {', '.join([_TRAIN, *others])} but no folder test; name the second "
            f"split test, or set data.path to {splits[0]}"
        )
    return {"": _folder_part(path, max_images)}


def _folder_part(folder: Path, max_images: int) -> Part:
    """Find the images of a folder; names of subfolders are their labels."""
    files = image_files(folder, max_images)
    if not files and folder == _PLACEHOLDER:
        raise InputError(
            f"data.path: {folder} is the default, which contains no images; set data.path to your "
            "images"
        )
    if not files:
        raise InputError(
            f"{folder}: contains no images; put PNG or JPEG files there. An experiment outside the "
            "workspace (--temp, --queue) needs an absolute data.path"
        )
    source = FileSource(str(folder), files)
    inside = [file.relative_to(folder) for file in files]
    loose = [file for file in inside if len(file.parts) == 1]
    if len(loose) == len(files):
        return Part(source, None)
    if loose:
        raise InputError(
            f"{folder}: {loose[0]} is next to the folders of labels; "
            "move it into one of them, or move all images out of them"
        )
    labels = [file.parts[0] for file in inside]
    for subfolder in _subfolders(folder):
        if subfolder.name not in labels:
            raise InputError(f"{reason_of(subfolder)}: contains no images; add some or remove it")
    return Part(source, labels)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))
    )


def _with_useful_labels(parts: dict[str, Part], where: Path) -> dict[str, Part]:
    """Remove the labels if all images have the same one.

    Raises:
        InputError: Only one of the splits has labels, or a label is not printable.
    """
    given = [part.labels for part in parts.values()]
    labels = [label for some in given if some is not None for label in some]
    if not labels:
        return parts
    if None in given:
        raise InputError(f"{where}: only one of the splits has labels; label both or neither")
    names, counts = _counted(labels, where)
    if len(names) == 1:
        log.info("%s: all images have the label %s; treated as unlabelled", where, names[0])
        return {split: Part(part.source, None) for split, part in parts.items()}
    single = names[counts == 1]
    if len(single):
        log.warning(
            "%s: labels with a single image: %s%s",
            *(where, ", ".join(single[:_NAMED]), ", …" if len(single) > _NAMED else ""),
        )
    return parts


def _counted(labels: Sequence[str], where: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the different labels, sorted, and their counts; raise InputError for a bad label."""
    # Checked first, since each element of a string array takes the space of the longest.
    longest = max(labels, key=len)
    if len(longest) > _LONGEST:
        raise InputError(
            f"{where}: label {reason_of(longest[:20])}… has {len(longest):,} characters; "
            f"at most {_LONGEST} are allowed"
        )
    names, counts = np.unique(np.array(labels, np.str_), return_counts=True)
    for name in names.tolist():
        if not name.strip() or not is_writable_name(name):
            raise InputError(f"{where}: label {name!a} is blank or not printable; rename it")
    if len(names) > _MOST_LABELS:
        raise InputError(
            f"{where}: {len(names):,} different labels; at most {_MOST_LABELS:,} are allowed; "
            "leave the labels out"
        )
    return names, counts


def _idx_parts(folder: Path, files: Sequence[Path], max_images: int) -> dict[str, Part]:
    """Sort IDX files: three dimensions are images, one is labels, and the name gives the split."""
    arrays = {file.name: read_idx(file, max_images) for file in files}
    found: dict[tuple[str, int], tuple[str, np.ndarray]] = {}
    for name, array in arrays.items():
        split = _TEST if name.startswith(("t10k", _TEST)) else _TRAIN
        if (split, array.ndim) in found:
            other = found[split, array.ndim][0]
            raise InputError(
                f"{folder}: {other} and {name} both belong to the {split} split; remove one"
            )
        found[split, array.ndim] = (name, array)
    splits = [split for split in (_TRAIN, _TEST) if (split, 3) in found]
    if not splits:
        raise InputError(
            f"{folder}: none of {', '.join(arrays)} contains images, shape (n, height, width)"
        )
    parts = {
        split: _array_part(folder, *found[split, 3], found.get((split, 1), ("", None))[1])
        for split in splits
    }
    return parts if len(parts) == 2 else {"": parts[splits[0]]}


def _npz_parts(path: Path, max_images: int) -> dict[str, Part]:
    names = [name for pair in (*chain(*SPLIT_ARRAYS), *PLAIN_ARRAYS) for name in pair]
    arrays = read_npz(path, max_images, names)
    for train, test in SPLIT_ARRAYS:
        if train[0] in arrays and test[0] in arrays:
            return {
                split: _array_part(path, images, arrays[images], arrays.get(labels))
                for split, (images, labels) in ((_TRAIN, train), (_TEST, test))
            }
    for images, labels in PLAIN_ARRAYS:
        if images in arrays:
            return {"": _array_part(path, images, arrays[images], arrays.get(labels))}
    raise InputError(
        f"{path}: {describe_contents(path)}; expected images, or train_images and test_images, "
        "and optionally labels, or train_labels and test_labels"
    )


def _array_part(where: Path, title: str, images: np.ndarray, labels: np.ndarray | None) -> Part:
    source = ArraySource(title, images, str(where))
    if labels is None:
        return Part(source, None)
    # Keras's CIFAR has labels of shape (n, 1).
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.shape != (len(images),):
        raise InputError(
            f"{where}: {title}: {len(images)} images, but labels of shape {labels.shape}"
        )
    if labels.dtype.kind not in "iuU":
        raise InputError(
            f"{where}: {title}: labels are {labels.dtype}; expected integers or strings"
        )
    try:
        return Part(source, [str(label) for label in labels.tolist()])
    except (ValueError, SystemError) as error:
        raise InputError(
            f"{where}: {title}: a label is not valid text ({reason_of(error)})"
        ) from error


def _read(part: Part, ground: Ground, reading: Reading) -> Images:
    """Read all images of a part; log skipped images and show a progress bar on a terminal."""
    source = part.source
    skipped: list[InputError] = []
    kept: list[int] = []
    pixels = np.empty((len(source.names), IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    with tqdm(desc=source.title, total=len(pixels), unit="image", leave=False, disable=None) as bar:
        for batch in read_images(source, ground, reading, skipped.append):
            pixels[len(kept) : len(kept) + len(batch.indices)] = batch.images
            kept += batch.indices
            bar.update(len(batch.indices))
    for line in describe_skipped(skipped, len(pixels)):
        log.warning("%s: %s", source.title, line)
    if not kept:
        raise InputError(f"{source.title}: none of the images can be read; see the messages above")
    log.info("%s: %s images", source.title, f"{len(kept):,}")
    paths = [_inside(source.names[index], source.title) for index in kept]
    labels = None if part.labels is None else [part.labels[index] for index in kept]
    return Images(pixels[: len(kept)], labels, paths)


def _inside(name: str, title: str) -> str:
    """Return a file's path relative to the data set, so that it is the same on every machine."""
    path = Path(name)
    return path.relative_to(title).as_posix() if path.is_relative_to(title) else name


def _order(images: Images) -> np.ndarray:
    """Return the order (n,) by a hash of the pixels; equal images are sorted by their paths."""
    keys = [
        (hashlib.sha256(pixels.tobytes()).digest(), path)
        for pixels, path in zip(images.pixels, images.paths, strict=True)
    ]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.intp)


def _split(images: Images, test_share: float, path: Path) -> tuple[Images, Images]:
    n = len(images.pixels)
    if n < 2:
        raise InputError(f"{path}: {n} image; training and test need at least one each")
    tested = min(max(1, round(n * test_share)), n - 1)
    order = np.arange(n)
    return images.take(order[tested:]), images.take(order[:tested])


def _dataset(train: Images, test: Images) -> Dataset:
    labels = [*(train.labels or ()), *(test.labels or ())]
    names = sorted(set(labels), key=natural_order)
    index = {name: number for number, name in enumerate(names)}
    return Dataset(
        train.pixels,
        np.array([index[label] for label in train.labels or ()], np.uint16),
        test.pixels,
        np.array([index[label] for label in test.labels or ()], np.uint16),
        tuple(names),
        tuple(train.paths),
        tuple(test.paths),
    )
