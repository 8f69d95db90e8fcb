"""A user's own data set, from files or arrays, with or without labels."""

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.core.machine import usable_memory
from iic.core.ordering import natural_order
from iic.core.plurals import counted
from iic.core.shapes import ImageShape, array_shape
from iic.data.check import ImageCheck
from iic.data.datasets import Dataset
from iic.data.examine import examine
from iic.data.found import find_parts
from iic.data.images import ImageSource, Reading, describe_skipped, read_images
from iic.data.labels import check_labels, unknown_labels
from iic.data.parts import Part, check_name, first_of

log = logging.getLogger(__name__)

_TRAIN, _TEST = "train", "test"
# Usual names of images without a label.
_NO_LABEL = frozenset({"-1", "unknown", "unlabeled", "unlabelled", "none", "nan", "n/a", "?"})
# Images that may each have a label of its own; with more, labels are rather numbers of images.
_MOST_SINGLE = 100
# Most memory of a stage in bytes (docs/speed.md): for each pixel and channel of an image, for the
# draws, neighbours and probabilities of an image of any size, and beside that.
_PER_PIXEL, _PER_IMAGE, _FIXED = 4.1, 1_300, 1_700_000_000

# Label of each image by split; None if they have no labels.
_Labels = Mapping[str, Sequence[str] | None]


@dataclass(frozen=True)
class Images:
    """Images that have been read.

    Attributes:
        pixels: Images, uint8: (n, h, w), light ink on dark paper, or (n, h, w, 3) in colour.
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

    Images of files and images without a given split are sorted by a hash of their pixels, so that
    neither their order nor the split depends on the labels.

    Args:
        path: Images in any form that `iic.data.found.find_parts` reads.
        reading: How images are converted.
        test_share: Share of the images that form the test split if none is given, from 0 to 1.
        max_images: Largest number of images allowed.

    Returns:
        The training and the test split; without labels and names if all labels are equal or none
        of the test split is known.

    Raises:
        InputError: A file or folder cannot be used; the message names it.
    """
    check_name(path)
    if not path.exists():
        raise InputError(f"{path}: not found; set data.path to your images")
    parts = find_parts(path, max_images, skip_broken=reading.broken == "skip", stage="download")
    sources = [part.source for part in parts.values()]
    check_memory(sum(len(source.names) for source in sources), reading.shape, path)
    labels = _useful_labels(parts, path)
    examination = examine(sources, reading.ink, by_content=True, has_colors=reading.has_colors)
    log.info("%s: %s", path, examination)
    for warning in examination.warnings:
        log.warning("%s: %s", path, warning)
    check = ImageCheck(reading.size)
    appearance = examination.appearance
    images = {
        split: _read(part, labels[split], appearance, reading, check)
        for split, part in parts.items()
    }
    _check_images(images, check, path)
    if len(images) == 1:
        (everything,) = images.values()
        train, test = _split(everything.take(_order(everything)), test_share, path)
    else:
        train, test = images[_TRAIN], images[_TEST]
        if not parts[_TRAIN].source.keeps_order:
            train, test = train.take(_order(train)), test.take(_order(test))
    return _dataset(train, test, appearance)


def check_memory(n: int, shape: ImageShape, source: Path | str) -> None:
    """Check that the stages have enough memory for images, before any is read.

    Args:
        n: Number of images.
        shape: Shape of the network's input.
        source: Path of the images or name of the array, for the message.

    Raises:
        InputError: The memory of the machine is too small.
    """
    growing = n * (_PER_PIXEL * math.prod(shape) + _PER_IMAGE)
    needed, there = _FIXED + growing, usable_memory()
    # A machine that is too small for any image is reported by the stage that fails.
    if needed > there and growing > _FIXED:
        raise InputError(
            f"{source}: {n:,} images of {shape[0]}×{shape[1]} pixels and "
            f"{counted(shape[2], 'channel')} need {needed / 1e9:.1f} GB of memory, but there are "
            f"{there / 1e9:.1f} GB; lower data.image_size or data.channels, or give fewer images"
        )


def _useful_labels(parts: Mapping[str, Part], where: Path) -> _Labels:
    """Read the labels; leave them out, with a word, if no score can be made of them.

    Raises:
        InputError: The training split has no labels but the test split has, or a label is not
            printable.
    """
    labels: dict[str, Sequence[str] | None] = {
        split: part.labels() if part.labels else None for split, part in parts.items()
    }
    none: _Labels = dict.fromkeys(labels)
    known = [label for some in labels.values() if some is not None for label in some]
    if not known:
        return none
    names, counts = check_labels(known, where)
    if _TEST in labels and not _test_labels_are_known(labels[_TRAIN], labels[_TEST], where):
        return none
    if len(names) == 1:
        log.info("%s: all images have the label %s; treated as unlabelled", where, names[0])
        return none
    if len(names) == len(known) > _MOST_SINGLE:
        log.warning("%s: each image has a label of its own; treated as unlabelled", where)
        return none
    _warn_of_names(names, counts, where)
    return labels


def _test_labels_are_known(
    train: Sequence[str] | None, test: Sequence[str] | None, where: Path
) -> bool:
    """Return whether some test image has a label of the training split; warn about others."""
    if train is None:
        raise InputError(
            f"{where}: the test split has labels, but the training split has none; label both "
            "or neither"
        )
    unknown = unknown_labels(train, test)
    if test is None or unknown.total() == len(test):
        found = f" ({first_of(sorted(unknown))}, not among those of train)" if unknown else ""
        log.warning(
            "%s: the test images have no labels%s, so all labels are left out and nothing is "
            "scored. To train on the labelled images alone, set data.path to their folder, and "
            "assign the others with `iic predict`",
            *(where, found),
        )
        return False
    if unknown:
        log.warning(
            "%s: %s with labels that are not among those of train: %s; they count as errors in "
            "every score",
            *(where, counted(unknown.total(), "test image")),
            first_of([f"{name} ({n:,})" for name, n in unknown.most_common()]),
        )
    return True


def _warn_of_names(names: np.ndarray, counts: np.ndarray, where: Path) -> None:
    """Warn about labels that mean no label, and about labels with a single image."""
    nameless = [name for name in names.tolist() if name.lower() in _NO_LABEL]
    if nameless:
        log.warning(
            "%s: %s may mean images without a label, but %s a label like the others in every score",
            *(where, first_of(nameless), "is" if len(nameless) == 1 else "are"),
        )
    single = names[counts == 1].tolist()
    if single:
        log.warning("%s: labels with a single image: %s", where, first_of(single))


def _read(
    part: Part,
    labels: Sequence[str] | None,
    appearance: Appearance,
    reading: Reading,
    check: ImageCheck,
) -> Images:
    """Read all images of a part; log skipped images and show a progress bar on a terminal."""
    source = part.source
    skipped: list[InputError] = []
    kept: list[int] = []
    pixels = np.empty((len(source.names), *array_shape(reading.shape)), np.uint8)
    with tqdm(desc=source.title, total=len(pixels), unit="image", leave=False, disable=None) as bar:
        for batch in read_images(source, appearance, reading, skipped.append):
            pixels[len(kept) : len(kept) + len(batch.indices)] = batch.images
            kept += batch.indices
            check.add(batch.images)
            bar.update(len(batch.indices))
    for line in describe_skipped(skipped, len(pixels)):
        log.warning("%s: %s", source.title, line)
    if not kept:
        raise InputError(f"{source.title}: none of the images can be read; see the messages above")
    log.info("%s: %s", source.title, counted(len(kept), "image"))
    paths = [_inside(source, index, part.root) for index in kept]
    return Images(
        pixels[: len(kept)], None if labels is None else [labels[index] for index in kept], paths
    )


def _inside(source: ImageSource, index: int, root: str) -> str:
    """Return an image's path in the data set, which is the same on every machine."""
    name = source.names[index].removeprefix(root)
    return Path(name).as_posix()


def _check_images(images: Mapping[str, Images], check: ImageCheck, path: Path) -> None:
    """Refuse equal images; warn about copies and about images from which little can be learned."""
    if check.total > 1 and check.different == 1:
        raise InputError(f"{path}: all {check.total:,} images are the same; give different images")
    if check.different < check.total:
        log.warning(
            "%s: %s, %s different", path, counted(check.total, "image"), f"{check.different:,}"
        )
    if len(images) == 2:
        train, test = ({i.tobytes() for i in images[split].pixels} for split in (_TRAIN, _TEST))
        if n := len(train & test):
            log.warning(
                "%s: %s of the test split %s also in the training split",
                *(path, counted(n, "image"), "is" if n == 1 else "are"),
            )
    for line in check.warnings():
        log.warning("%s: %s", path, line)


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


def _dataset(train: Images, test: Images, appearance: Appearance) -> Dataset:
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
        appearance,
    )
