"""Labels as people have them: arrays of any plain type, as text; which are unknown or unusable."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from iic.core.errors import InputError, reason_of, shorten
from iic.core.files import is_writable_name

# Characters of a label (the limit of a folder's name), and different labels (16-bit indices).
LONGEST, _MOST_LABELS = 255, 2**16


def object_labels_error(place: str) -> InputError:
    """Return the error for labels that are Python objects, which only a pickle can hold.

    Args:
        place: File and array, for the message.
    """
    return InputError(
        f"{place}: Python objects, which are never unpickled; save them with labels.astype(str)"
    )


def label_texts(array: np.ndarray, n: int, place: str) -> list[str]:
    """Return the labels of images as text.

    Args:
        array: Labels (n,), (n, 1) or (1, n) of integers, whole floats, truth values, strings or
            bytes; or one-hot rows (n, k) of numbers or truth values with k of at least 2.
        n: Number of images.
        place: File and array, for messages.

    Returns:
        Label of each image (n,); the column of a one-hot row.

    Raises:
        InputError: The array has another type or shape, or a value is no label.
    """
    if array.dtype.kind == "O":
        raise object_labels_error(place)
    if array.dtype.kind not in "biufUS":
        raise InputError(
            f"{place}: labels are {reason_of(array.dtype)}; save them as integers or strings"
        )
    flat = _flattened(array, n)
    if flat is not None:
        return _texts(flat, place)
    if array.ndim == 2 and len(array) == n and array.shape[1] >= 2 and array.dtype.kind in "biuf":
        return [str(column) for column in _columns(array, place).tolist()]
    raise InputError(f"{place}: {n} images, but labels of shape {array.shape}; expected ({n},)")


def _flattened(array: np.ndarray, n: int) -> np.ndarray | None:
    """Return labels (n,), or None if the array has another shape."""
    if array.shape in ((n,), (n, 1), (1, n)):
        return array.reshape(n)
    return None


def _columns(array: np.ndarray, place: str) -> np.ndarray:
    """Return the column of the 1 in each row (n,)."""
    ones = array == 1
    wrong = np.flatnonzero((ones.sum(axis=1) != 1) | ~(ones | (array == 0)).all(axis=1))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"{place}: labels of shape {array.shape}, but row {row} is not one-hot (a single 1, "
            f"else 0): {reason_of(array[row])}; save one label for each image, for example "
            "labels.argmax(axis=1)"
        )
    return ones.argmax(axis=1)


def _texts(labels: np.ndarray, place: str) -> list[str]:
    kind = labels.dtype.kind
    if kind == "f":
        return _whole_numbers(labels, place)
    if kind == "S":
        return [_decoded(label, index, place) for index, label in enumerate(labels.tolist())]
    try:
        return [str(label) for label in labels.tolist()]
    except (ValueError, SystemError) as error:
        raise InputError(f"{place}: a label is not valid text ({reason_of(error)})") from error


def _whole_numbers(labels: np.ndarray, place: str) -> list[str]:
    wrong = np.flatnonzero(~np.isfinite(labels) | (np.trunc(labels) != labels))
    if len(wrong):
        index = int(wrong[0])
        raise InputError(
            f"{place}: label {labels[index]} of image {index} is not a whole number; save labels "
            "as integers or strings, and images without a label in a file of their own"
        )
    return [str(int(label)) for label in labels.tolist()]


def _decoded(label: bytes, index: int, place: str) -> str:
    try:
        return label.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{place}: label {shorten(label)} of image {index} is not UTF-8; "
            "save labels as strings, decoded with their own encoding"
        ) from error


def unknown_labels(train: Sequence[str] | None, test: Sequence[str] | None) -> Counter[str]:
    """Count the labels of the test split that the training split does not have.

    Args:
        train: Labels of the training split, or None if it has none.
        test: Labels of the test split, or None if it has none.

    Returns:
        Number of test images by unknown label; empty if one of the splits has no labels.
    """
    if train is None or test is None:
        return Counter()
    known = set(train)
    return Counter(label for label in test if label not in known)


def check_labels(labels: Sequence[str], where: Path) -> tuple[np.ndarray, np.ndarray]:
    """Check that labels fit tables and pages.

    Args:
        labels: Label of each image (n,), at least one.
        where: Path of the data set, for messages.

    Returns:
        The different labels, sorted, and their counts.

    Raises:
        InputError: A label is blank, not printable or too long, or there are too many.
    """
    # Checked first, since each element of a string array takes the space of the longest.
    longest = max(labels, key=len)
    if len(longest) > LONGEST:
        raise InputError(
            f"{where}: label {reason_of(longest[:20])}… has {len(longest):,} characters; "
            f"at most {LONGEST} are allowed"
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
