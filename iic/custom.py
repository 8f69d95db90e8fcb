"""A data set of people's own images: a folder, an NPZ file or IDX files, with or without labels."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from iic.datasets import IMAGE_SIZE, Dataset
from iic.errors import InputError
from iic.images import ArraySource, FileSource, Reading, Source, ground_of, read_images
from iic.sources import describe, idx_files, image_files, is_idx, read_idx, read_npz

log = logging.getLogger(__name__)

# Names of the arrays in an NPZ file: training images and labels, then those of the test split.
_SPLIT_ARRAYS = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)
_PLAIN_ARRAYS = (("images", "labels"), ("x", "y"))
_TRAIN, _TEST = "train", "test"
# So many files that could not be read are named.
_NAMED = 5


@dataclass(frozen=True)
class Part:
    """Images of one split, or of all; labels (n,) are None where there are none."""

    source: Source
    labels: Sequence[str] | None


@dataclass(frozen=True)
class Images:
    """What was read of a part: images (n, 28, 28), labels (n,) or None, and where they are."""

    pixels: np.ndarray
    labels: list[str] | None
    paths: list[str]

    def take(self, order: np.ndarray) -> "Images":
        """Some of them, in this order."""
        labels = None if self.labels is None else [self.labels[index] for index in order]
        return Images(self.pixels[order], labels, [self.paths[index] for index in order])


def custom_dataset(path: Path, reading: Reading, test_share: float, max_images: int) -> Dataset:
    """Read a data set.

    Images of a folder, and those that come without a split, are put in the order of a hash of
    their pixels: so neither their order nor which of them are tested on tells of a label.

    Args:
        path: a folder with images, with a subfolder for each label, or with `train` and `test`
            folders of either kind; a folder of IDX files; an NPZ file; one IDX file.
        reading: how images are made to fit.
        test_share: of images without a split, the share that is not trained on.
        max_images: more are refused.

    Raises:
        InputError: names the file or folder that is wrong.
    """
    parts = _parts(path, max_images)
    is_labelled = {part.labels is not None for part in parts.values()}
    if len(is_labelled) > 1:
        raise InputError(f"{path}: only one of the splits has labels; give both or none")
    images = {split: _read(part, reading) for split, part in parts.items()}
    if len(images) == 1:
        (everything,) = images.values()
        train, test = _split(everything.take(_order(everything)), test_share, path)
    else:
        train, test = images[_TRAIN], images[_TEST]
        if path.is_dir() and isinstance(parts[_TRAIN].source, FileSource):
            train, test = train.take(_order(train)), test.take(_order(test))
    return _dataset(train, test)


def _parts(path: Path, max_images: int) -> dict[str, Part]:
    """By split; a single one where the data have none."""
    if path.is_dir():
        idx = idx_files(path)
        return _idx_parts(path, idx, max_images) if idx else _folder_parts(path, max_images)
    if not path.exists():
        raise InputError(f"{path}: not found; set data.path to your images")
    if path.suffix.lower() == ".npz":
        return _npz_parts(path, read_npz(path, max_images))
    if is_idx(path):
        return {"": Part(ArraySource(path.name, read_idx(path, max_images)), None)}
    raise InputError(f"{path}: data.path is a folder of images, an NPZ file or an IDX file")


def _folder_parts(path: Path, max_images: int) -> dict[str, Part]:
    splits = [path / _TRAIN, path / _TEST]
    if all(split.is_dir() for split in splits):
        others = [p.name for p in _subfolders(path) if p not in splits]
        if others:
            raise InputError(
                f"{path}: {others[0]} lies beside train and test; move it into one of them"
            )
        return {split.name: _folder_part(split, max_images) for split in splits}
    return {"": _folder_part(path, max_images)}


def _folder_part(folder: Path, max_images: int) -> Part:
    """Subfolders are labels; images that lie in the folder itself have none."""
    files = image_files(folder, max_images)
    if not files:
        raise InputError(
            f"{folder}: holds no image; put PNG or JPEG files there, and where an experiment runs "
            "beside the workspace, give data.path as an absolute path"
        )
    source = FileSource(str(folder), files)
    inside = [file.relative_to(folder) for file in files]
    loose = [file for file in inside if len(file.parts) == 1]
    if len(loose) == len(files):
        return Part(source, None)
    if loose:
        raise InputError(
            f"{folder}: {loose[0]} lies beside the folders of labels; "
            "move it into one of them, or all images out of them"
        )
    labels = [file.parts[0] for file in inside]
    for subfolder in _subfolders(folder):
        if subfolder.name not in labels:
            raise InputError(f"{subfolder}: holds no image; fill it or remove it")
    return Part(source, _as_labels(labels, folder))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))
    )


def _as_labels(labels: Sequence[str], where: Path) -> Sequence[str] | None:
    """None where there is a single label, which tells nothing; rare ones are named in the log."""
    names, counts = np.unique(np.array(labels, np.str_), return_counts=True)
    if len(names) == 1:
        log.info("%s: all images have the label %s, so they count as unlabelled", where, names[0])
        return None
    lonely = names[counts == 1]
    if len(lonely):
        log.warning(
            "%s: one image alone has the label %s%s",
            *(where, ", ".join(lonely[:_NAMED]), ", …" if len(lonely) > _NAMED else ""),
        )
    return labels


def _idx_parts(folder: Path, files: Sequence[Path], max_images: int) -> dict[str, Part]:
    """Files named as MNIST's: images by three dimensions, labels by one, splits by the name."""
    arrays = {file.name: read_idx(file, max_images) for file in files}
    found: dict[tuple[str, int], tuple[str, np.ndarray]] = {}
    for name, array in arrays.items():
        split = _TEST if name.startswith(("t10k", _TEST)) else _TRAIN
        if (split, array.ndim) in found:
            other = found[split, array.ndim][0]
            raise InputError(f"{folder}: {other} and {name} are both of the {split} split")
        found[split, array.ndim] = (name, array)
    splits = [split for split in (_TRAIN, _TEST) if (split, 3) in found]
    if not splits:
        raise InputError(f"{folder}: {', '.join(arrays)}: no IDX file of images, (n, h, w) bytes")
    parts = {
        split: _array_part(*found[split, 3], found.get((split, 1), ("", None))[1])
        for split in splits
    }
    return parts if len(parts) == 2 else {"": parts[splits[0]]}


def _npz_parts(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Part]:
    for x_train, y_train, x_test, y_test in _SPLIT_ARRAYS:
        if {x_train, x_test} <= arrays.keys():
            return {
                _TRAIN: _array_part(x_train, arrays[x_train], arrays.get(y_train)),
                _TEST: _array_part(x_test, arrays[x_test], arrays.get(y_test)),
            }
    for images, labels in _PLAIN_ARRAYS:
        if images in arrays:
            return {"": _array_part(images, arrays[images], arrays.get(labels))}
    raise InputError(
        f"{path}: {describe(dict(arrays))}; expected images and, if known, labels, "
        "or train_images and test_images, train_labels and test_labels"
    )


def _array_part(title: str, images: np.ndarray, labels: np.ndarray | None) -> Part:
    if labels is None:
        return Part(ArraySource(title, images), None)
    if labels.shape != (len(images),):
        raise InputError(f"{title}: {len(images)} images, but labels of shape {labels.shape}")
    if labels.dtype.kind not in "iuU":
        raise InputError(f"{title}: labels are {labels.dtype}; whole numbers or strings are needed")
    return Part(ArraySource(title, images), _as_labels([str(v) for v in labels], Path(title)))


def _read(part: Part, reading: Reading) -> Images:
    """All images of a part, with a progress bar; what is skipped is counted in the log."""
    source = part.source
    ground = ground_of(source, reading)
    log.info("%s: %s images, %s", source.title, f"{len(source.names):,}", ground)
    skipped: list[InputError] = []
    kept: list[int] = []
    pixels = np.empty((len(source.names), IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    with tqdm(desc=source.title, total=len(source.names), unit="image", leave=False) as bar:
        for batch in read_images(source, ground, reading, skipped.append):
            pixels[len(kept) : len(kept) + len(batch.indices)] = batch.images
            kept += batch.indices
            bar.update(len(batch.indices))
    if skipped:
        log.warning("%s: %d of %d skipped:", source.title, len(skipped), len(source.names))
        for error in skipped[:_NAMED]:
            log.warning("  %s", error)
    paths = [_inside(source.names[index], source.title) for index in kept]
    labels = None if part.labels is None else [part.labels[index] for index in kept]
    return Images(pixels[: len(kept)], labels, paths)


def _inside(name: str, title: str) -> str:
    """A file's path below the folder that was asked for: the same wherever that folder lies."""
    path = Path(name)
    return path.relative_to(title).as_posix() if path.is_relative_to(title) else name


def _order(images: Images) -> np.ndarray:
    """(n,) by a hash of the pixels; the same picture twice stays together, by its path."""
    keys = [
        (hashlib.sha256(pixels.tobytes()).digest(), path)
        for pixels, path in zip(images.pixels, images.paths, strict=True)
    ]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.intp)


def _split(images: Images, test_share: float, path: Path) -> tuple[Images, Images]:
    n = len(images.pixels)
    if n < 2:
        raise InputError(f"{path}: {n} image; training and test need one each, and many to learn")
    tested = min(max(1, round(n * test_share)), n - 1)
    order = np.arange(n)
    return images.take(order[tested:]), images.take(order[:tested])


def _dataset(train: Images, test: Images) -> Dataset:
    labels = [*(train.labels or ()), *(test.labels or ())]
    names = sorted(set(labels), key=_natural)
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


def _natural(name: str) -> tuple[int, int, str]:
    """Numbers by their value, before other names."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)
