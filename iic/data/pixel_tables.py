"""Tables (CSV) with the pixels of an image, and possibly its label, in each line."""

import logging
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np

from iic.core.errors import InputError, shorten
from iic.core.files import is_writable_name
from iic.data.arrays import AS_FILES
from iic.data.labels import LONGEST
from iic.data.table_lines import (
    delimiter_of,
    fields_of,
    label_columns,
    listed,
    number_of,
    open_lines,
    whole_texts,
)

log = logging.getLogger(__name__)

# Column names of row numbers.
_NUMBER_WORDS = frozenset({"", "id", "index", "unnamed: 0", "imageid", "image_id", "rowid"})
# Columns of the narrowest table of pixels: 8×8.
_FEW_COLUMNS = 60
# Characters of the lines in memory at once.
_CHUNK = 8_000_000
# Largest value of a label in a table without header, and share of its commonest value above which
# a column is taken for the paper beside the digits.
_LARGEST_LABEL, _PAPER = 999, 0.8
# A longer column of different values numbers the images.
_FEW_ROWS = 12


@dataclass(frozen=True)
class _Layout:
    """Columns of a table of pixels.

    Attributes:
        delimiter: Character between columns.
        width: Number of columns.
        has_header: Whether the first line has the names of the columns.
        pixels: Columns of the pixels, in the order of the pixels.
        texts: Columns of the labels: none, one, or the first and the last if only the content of
            all lines tells which of them has the labels. The pixels then have neither.
    """

    delimiter: str
    width: int
    has_header: bool
    pixels: list[int]
    texts: list[int]


@dataclass
class _Columns:
    """What has been read of a table of pixels.

    Attributes:
        pixels: Arrays of the lines so far, each (n, pixels).
        texts: Text of each column of labels, by line.
    """

    pixels: list[np.ndarray] = field(default_factory=list)
    texts: list[list[str]] = field(default_factory=list)


def is_pixel_table(path: Path) -> bool:
    """Return whether a file is a table (CSV) with the pixels of an image in each line.

    Args:
        path: Text file, plain or gzipped.

    Returns:
        Whether it has more than 60 columns and most fields of the first line of data are numbers;
        False if it is not readable text.
    """
    try:
        with open_lines(path) as lines:
            first = [line for _, line in islice(lines, 2)]
            row = fields_of(first[-1], delimiter_of(first)) if first else []
    except InputError:
        return False
    return len(row) > _FEW_COLUMNS and 2 * sum(map(_is_number, row)) > len(row)


def _is_number(text: str) -> bool:
    return number_of(text) is not None


def pixel_table(
    path: Path, max_images: int, max_bytes: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a table (CSV) with the pixels of an image, and possibly its label, in each line.

    Args:
        path: Text file, plain or gzipped; columns are separated by commas, semicolons or tabs.
        max_images: Largest number of images allowed.
        max_bytes: Largest size of all images in bytes.

    Returns:
        Images (n, side, side), uint8 if all values are whole numbers from 0 to 255, else float32;
        and labels (n,) as text, or None if there are none.

    Raises:
        InputError: The table has a field that is no number, lines of different lengths, no square
            number of pixels, or more images than allowed; or it is unclear where the labels are.
    """
    with open_lines(path) as lines:
        first = list(islice(lines, 6))
        if not first:
            raise InputError(f"{path}: contains no images; it is an empty table")
        layout = _layout(path, [line for _, line in first])
        data = chain(first[layout.has_header :], lines)
        columns = _read_columns(path, data, layout, max_images, max_bytes)
    if not columns.pixels:
        raise InputError(f"{path}: contains no images; it has only a header")
    pixels = np.concatenate(columns.pixels)
    columns.pixels.clear()
    labels = columns.texts[0] if layout.texts else None
    if len(layout.texts) == 2:
        pixels, labels = _with_label_column(path, pixels, columns.texts)
    side = math.isqrt(pixels.shape[1])
    images = pixels.reshape(len(pixels), side, side)
    return images, None if labels is None else np.array(whole_texts(labels), np.str_)


def _layout(path: Path, lines: Sequence[str]) -> _Layout:
    """Find the columns of a table of pixels by its first lines."""
    delimiter = delimiter_of(lines)
    first = [name.strip() for name in fields_of(lines[0], delimiter)]
    if _is_header(first):
        pixels, texts = _named_columns(path, first)
    else:
        pixels, texts = list(range(len(first))), []
    if _is_square(len(pixels) - 1) and not texts:
        # The content of all lines tells whether the first or the last column has the labels.
        pixels, texts = pixels[1:-1], [pixels[0], pixels[-1]]
    elif not _is_square(len(pixels)):
        raise InputError(
            f"{path}: {len(pixels):,} pixels in a line, which is not a square number; images must "
            "be square, such as 28×28 = 784: leave out columns that are no pixels, or reshape and "
            "save other images with numpy.savez('images.npz', images=pixels.reshape(-1, height, "
            "width))"
        )
    return _Layout(delimiter, len(first), _is_header(first), pixels, texts)


def _is_square(number: int) -> bool:
    return number > 1 and math.isqrt(number) ** 2 == number


def _is_header(names: Sequence[str]) -> bool:
    """Return whether a line has names of columns: no numbers, or the numbers of the columns."""
    numbers = [name for name in names if _is_number(name)]
    if 2 * len(numbers) < len(names):
        return True
    return len(numbers) > 2 and numbers in (
        [str(k) for k in range(len(numbers))],
        [str(k) for k in range(1, len(numbers) + 1)],
    )


def _named_columns(path: Path, names: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the columns of the pixels, in order, and the column of the labels, if any."""
    words = [name.lower() for name in names]
    labels = label_columns(names)
    others = [k for k in range(len(names)) if k not in labels]
    numbers = [k for k in others if words[k] in _NUMBER_WORDS]
    if numbers and not _is_square(len(others)):
        log.warning(
            "%s: not read: the column %s, which numbers the images",
            *(path, ", ".join(shorten(names[k]) for k in numbers)),
        )
        others = [k for k in others if k not in numbers]
    stems = Counter(re.sub(r"\d+", "", words[k]) for k in others)
    odd = [k for k in others if stems[re.sub(r"\d+", "", words[k])] == 1]
    if not labels and len(odd) == 1 and _is_square(len(others) - 1):
        log.info("%s: labels are in the column %s", path, shorten(names[odd[0]]))
        labels, others = odd, [k for k in others if k != odd[0]]
    if len(labels) > 1:
        raise InputError(
            f"{path}: the columns {listed([names[k] for k in labels])} could all be the labels; "
            "leave one of them"
        )
    return _in_order(path, names, others), labels


def _in_order(path: Path, names: Sequence[str], pixels: list[int]) -> list[int]:
    """Sort columns by the numbers in their names: text-sorted ones have pixel10 before pixel2."""
    keys = [tuple(map(int, re.findall(r"\d{1,9}", names[k]))) for k in pixels]
    in_order = sorted(range(len(pixels)), key=keys.__getitem__)
    if in_order == [*range(len(pixels))] or len({(len(key), key) for key in keys}) < len(keys):
        return pixels
    if len({len(key) for key in keys}) > 1 or not keys[0]:
        return pixels
    log.warning("%s: columns are not in the order of the numbers in their names; sorted", path)
    return [pixels[k] for k in in_order]


def _read_columns(
    path: Path,
    lines: Iterable[tuple[int, str]],
    layout: _Layout,
    max_images: int,
    max_bytes: int,
) -> _Columns:
    columns = _Columns(texts=[[] for _ in layout.texts])
    count = size = 0
    for chunk in _chunks(lines):
        count += len(chunk)
        if count > max_images:
            raise InputError(
                f"{path}: more than {max_images:,} images; allow more (data.max_images), or give "
                "fewer lines"
            )
        pixels = _read_chunk(path, chunk, layout, columns.texts)
        size += pixels.nbytes
        if size > max_bytes:
            raise InputError(
                f"{path}: the images need more than {max_bytes:,} bytes; give fewer lines, or "
                f"{AS_FILES}"
            )
        columns.pixels.append(pixels)
    return columns


def _chunks(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Group lines so that each group has a limited number of characters."""
    chunk: list[tuple[int, str]] = []
    size = 0
    for number, line in lines:
        chunk.append((number, line))
        size += len(line)
        if size > _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _read_chunk(
    path: Path, chunk: list[tuple[int, str]], layout: _Layout, texts: list[list[str]]
) -> np.ndarray:
    """Return the pixels of some lines (n, pixels) and append the text of their labels."""
    for number, line in chunk:
        row = fields_of(line, layout.delimiter)
        if len(row) != layout.width:
            raise InputError(
                f"{path}: line {number} has {len(row):,} columns, the first line has "
                f"{layout.width:,}; mend or remove it"
            )
        for column, found in zip(layout.texts, texts, strict=True):
            found.append(_label(path, number, row[column]))
    decimal = (line if layout.delimiter == "," else line.replace(",", ".") for _, line in chunk)
    try:
        values = np.loadtxt(
            decimal,
            delimiter=layout.delimiter,
            usecols=layout.pixels,
            comments=None,
            quotechar='"',
            ndmin=2,
        )
    except ValueError as error:
        raise _no_number(path, chunk, layout) from error
    if len(values) < len(chunk):
        raise _no_number(path, chunk, layout)  # A quotation mark joined lines.
    return _small(path, chunk, values)


def _label(path: Path, number: int, text: str) -> str:
    text = text.strip()
    if not text or len(text) > LONGEST or not is_writable_name(text):
        raise InputError(
            f"{path}: line {number}: label {shorten(text)} is blank, not printable or longer than "
            f"{LONGEST} characters; mend or remove the line"
        )
    return text


def _no_number(path: Path, chunk: list[tuple[int, str]], layout: _Layout) -> InputError:
    """Return the error that names the first field that is not a number."""
    for number, line in chunk:
        row = fields_of(line, layout.delimiter)
        for column in sorted(layout.pixels):
            if not _is_number(row[column]):
                return InputError(
                    f"{path}: line {number}, column {column + 1}: {shorten(row[column])} is not a "
                    "number; leave out columns that are neither pixels nor `label`, and mend or "
                    "remove such lines"
                )
    return InputError(f"{path}: lines {chunk[0][0]} to {chunk[-1][0]} are not all numbers")


def _small(path: Path, chunk: list[tuple[int, str]], values: np.ndarray) -> np.ndarray:
    """Return pixels as uint8 if all are whole numbers from 0 to 255, else as float32."""
    if ((values >= 0) & (values <= 255) & (np.trunc(values) == values)).all():
        return values.astype(np.uint8)
    with np.errstate(over="ignore"):
        small = values.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(small))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"{path}: line {chunk[row][0]}: the value {values[row, column]} is no brightness; mend "
            "or remove the line"
        )
    return small


def _with_label_column(
    path: Path, pixels: np.ndarray, texts: list[list[str]]
) -> tuple[np.ndarray, list[str]]:
    """Decide whether the first or the last column has the labels; add the other to the pixels."""
    paper = {float(pixels.min()), float(pixels.max()), 0.0, 255.0}
    first, last = (_could_be_labels(text, paper) for text in texts)
    if first == last:
        raise InputError(
            f"{path}: {pixels.shape[1] + 2:,} columns without a header are a square number of "
            "pixels and a label, but the label may be the first or the last; add a first line with "
            "the names of the columns: label,pixel0,pixel1,…"
        )
    labels, others = texts if first else texts[::-1]
    numbers = np.array([[number_of(text)] for text in others], np.float64)
    column = _small(path, [(k + 1, "") for k in range(len(numbers))], numbers)
    log.info("%s: labels are in the %s column", path, "first" if first else "last")
    return np.hstack([pixels, column] if first else [column, pixels]), labels


def _could_be_labels(texts: list[str], paper: set[float]) -> bool:
    """Return whether a column has text or small whole numbers, and is not mostly paper."""
    counts = Counter(texts)
    if len(counts) == len(texts) > _FEW_ROWS:
        return False
    values = [value for value in map(number_of, counts) if value is not None]
    if len(values) < len(counts):
        return True
    if not all(value.is_integer() and -1 <= value <= _LARGEST_LABEL for value in values):
        return False
    commonest, count = counts.most_common(1)[0]
    return number_of(commonest) not in paper or count < _PAPER * len(texts)
