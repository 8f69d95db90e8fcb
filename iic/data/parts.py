"""Parts of a data set before reading: images of one split with their labels."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from iic.core.errors import InputError, reason_of
from iic.core.files import is_writable_name
from iic.core.plurals import counted
from iic.data.images import ImageSource, JoinedSource

log = logging.getLogger(__name__)

Labels = Callable[[], Sequence[str]]
# Largest number of names in a message.
_NAMED = 5


@dataclass(frozen=True)
class Part:
    """Images of one split, or of a data set without a split.

    Attributes:
        source: Source of the n images.
        labels: Function that reads the label of each image (n,), or None if there are none.
        root: Beginning of the names of the images that only locates the data set.
    """

    source: ImageSource
    labels: Labels | None
    root: str


def check_name(path: Path) -> None:
    """Raise an InputError for a path that is not printable in messages and tables."""
    if not is_writable_name(str(path)):
        raise InputError(
            f"{str(path)!a}: the name is not UTF-8 or contains control characters; rename it"
        )


def first_of(names: Sequence[object]) -> str:
    """Name the first few of some names, in one line."""
    shown = ", ".join(reason_of(name) for name in names[:_NAMED])
    return f"{shown}, …" if len(names) > _NAMED else shown


def used_splits(parts: Mapping[str, Part], where: Path, root: str) -> dict[str, Part]:
    """Return the training and the test split; validation images are used for training.

    Args:
        parts: Parts by split; a lone one may have any name.
        where: Path of the data set, for messages.
        root: Beginning of the names of all images.

    Returns:
        Parts named "train" and "test", or a single part named "" if only one split was given.

    Raises:
        InputError: A split is missing, or only one of the joined splits has labels.
    """
    if len(parts) == 1:
        return {"": next(iter(parts.values()))}
    if not {"train", "test"} <= parts.keys():
        missing = "test" if "train" in parts else "train"
        noun = "folder" if where.is_dir() else "array"
        raise InputError(
            f"{where}: found {', '.join(parts)} but no {noun} {missing}; name the second split "
            f"{missing}, or give only one of them"
        )
    train = parts["train"]
    if "val" in parts:
        train = _joined([train, parts["val"]], where, root)
        n = len(parts["val"].source.names)
        log.info(
            "%s: %s of the validation split (%s) added to the training images",
            *(where, counted(n, "image"), parts["val"].source.title),
        )
    return {"train": train, "test": parts["test"]}


def _joined(parts: Sequence[Part], where: Path, root: str) -> Part:
    readers = [part.labels for part in parts]
    known = [read for read in readers if read]
    if 0 < len(known) < len(parts):
        raise InputError(
            f"{where}: only one of the training and the validation split has labels; "
            "label both or neither"
        )
    source = JoinedSource([part.source for part in parts])
    return Part(source, (lambda: [x for read in known for x in read()]) if known else None, root)
