"""Parquet files of images and labels, if pyarrow is installed."""

import importlib
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from iic.core.errors import InputError, reason_of, shorten
from iic.core.files import check_plain
from iic.data.arrays import AS_FILES
from iic.data.labels import LONGEST, label_texts
from iic.data.table_lines import label_columns, listed

log = logging.getLogger(__name__)

# Columns of bytes, also as a field `bytes` of a structure or by number.
_IMAGE_TYPE = re.compile(
    r"(struct<(.*, )?bytes: |dictionary<values=)?((large_)?binary|fixed_size_binary)"
)
_IMAGE_WORDS = ("image", "img", "images", "picture", "pixels", "bytes")


def parquet_images(
    path: Path, max_images: int, max_bytes: int
) -> tuple[list[bytes], np.ndarray | None]:
    """Read image files, and possibly their labels, from a Parquet file.

    Args:
        path: Parquet file with a column of bytes, or of structures with a field `bytes`, as
            Hugging Face writes them.
        max_images: Largest number of images allowed.
        max_bytes: Largest size of all image files in bytes.

    Returns:
        Content of each image file (n,), and labels (n,) as text or None if there are none.

    Raises:
        InputError: pyarrow is not installed, or the file has no images, too many or is damaged.
    """
    try:
        check_plain(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(
            f"{path}: a Parquet file, which only pyarrow reads: `pip install pyarrow`; or, where "
            "pandas reads it, make an NPZ file of it: `import io, numpy, pandas, PIL.Image; "
            f"d = pandas.read_parquet({path.name!r}); numpy.savez({path.stem + '.npz'!r}, "
            "images=[PIL.Image.open(io.BytesIO(i['bytes'])) for i in d['image']], "
            "labels=d['label'].to_numpy())`"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            return _read_parquet(path, file, max_images, max_bytes)
    except InputError:
        raise
    except Exception as error:
        # Damage can raise almost any exception.
        raise InputError(f"{path}: not a readable Parquet file ({reason_of(error)})") from error


def _read_parquet(
    path: Path,
    file: Any,  # noqa: ANN401 - pyarrow may be absent
    max_images: int,
    max_bytes: int,
) -> tuple[list[bytes], np.ndarray | None]:
    if (n := file.metadata.num_rows) > max_images:
        raise InputError(f"{path}: {n:,} images, {max_images:,} are allowed (data.max_images)")
    schema = file.schema_arrow
    kinds = {str(column.name): str(column.type) for column in schema}
    images_at, labels_at = _parquet_columns(path, kinds)
    contents: list[bytes] = []
    labels: list[Any] = []
    size = 0
    wanted = [images_at, labels_at] if labels_at else [images_at]
    for batch in file.iter_batches(batch_size=256, columns=wanted):
        columns = batch.to_pydict()
        for value in columns[images_at]:
            contents.append(_content(path, value, len(contents)))
            if (size := size + len(contents[-1])) > max_bytes:
                raise InputError(
                    f"{path}: the images need more than {max_bytes:,} bytes; give fewer, or "
                    f"{AS_FILES}"
                )
        labels += columns[labels_at] if labels_at else ()
    if not contents:
        raise InputError(f"{path}: contains no images")
    if not labels_at or all(label is None for label in labels):
        return contents, None
    names = _class_names(schema.metadata or {}, labels_at)
    return contents, _parquet_labels(labels, names, f"{path}: {reason_of(labels_at)}")


def _parquet_columns(path: Path, kinds: dict[str, str]) -> tuple[str, str | None]:
    """Return the names of the columns of images and of labels."""
    images = [name for name, kind in kinds.items() if _IMAGE_TYPE.match(kind)]
    preferred = [name for word in _IMAGE_WORDS for name in images if name.lower() == word]
    if not images or (len(images) > 1 and not preferred):
        raise InputError(
            f"{path}: {len(images)} columns have the bytes of images ({listed([*kinds])}); "
            "expected one, such as `image`"
        )
    image = (preferred or images)[0]
    names = [name for name in kinds if name != image]
    labels = [names[k] for k in label_columns(names)][:1]
    left_out = [name for name in names if name not in labels]
    if left_out:
        log.warning("%s: columns that are not read: %s", path, listed(left_out))
    return image, labels[0] if labels else None


def _content(path: Path, value: object, row: int) -> bytes:
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        raise InputError(
            f"{path}: row {row} has no bytes of an image, possibly only a path; write the images "
            "into the file, or give their folder"
        )
    return content


def _class_names(metadata: dict[bytes, bytes], column: str) -> list[str]:
    """Return the names of classes that Hugging Face's metadata has for a column, if any."""
    try:
        feature = json.loads(metadata[b"huggingface"])["info"]["features"][column]
        names = feature["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return []
    if not isinstance(names, list):
        return []
    return names if all(isinstance(name, str) and len(name) <= LONGEST for name in names) else []


def _parquet_labels(labels: list[Any], names: list[str], place: str) -> np.ndarray:
    kinds = {type(label) for label in labels}
    if len(kinds) > 1 or not kinds <= {bool, int, float, str, bytes}:
        shown = next((label for label in labels if label is None), labels[0])
        raise InputError(
            f"{place}: {shorten(shown)} is no label; save labels as integers or strings, for all "
            "rows"
        )
    longest = max((len(label) for label in labels if isinstance(label, str | bytes)), default=0)
    if longest > LONGEST:
        raise InputError(f"{place}: a label has {longest:,} characters; at most {LONGEST} are read")
    if kinds == {int}:
        # In an array, large integers could become floats.
        texts = [names[k] if 0 <= k < len(names) else str(k) for k in labels]
        return np.array(texts, np.str_)
    return np.array(label_texts(np.array(labels), len(labels), place), np.str_)
