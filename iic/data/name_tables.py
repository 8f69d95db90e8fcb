"""Tables (CSV) with the names and the labels of image files."""

import csv
import logging
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iic.core.errors import InputError, shorten
from iic.core.files import is_writable_name
from iic.data.labels import LONGEST
from iic.data.pixel_tables import is_pixel_table
from iic.data.table_lines import (
    LABEL_WORDS,
    delimiter_of,
    label_columns,
    listed,
    open_lines,
    whole_texts,
)

log = logging.getLogger(__name__)

# Column names of file names.
_NAME_WORDS = frozenset(
    {"file", "files", "filename", "file_name", "image", "images", "image_name", "img", "path"}
    | {"filepath", "file_path", "picture", "name", "id", "image_id", "index"}
)
_SUFFIX = re.compile(
    r"\.(png|jpe?g|jpe|jfif|bmp|dib|tiff?|webp|gif|p[bgpn]m|avif|jp2|hei[cf])\Z", re.IGNORECASE
)
# Characters, lines and columns of a table of names.
_MOST_TEXT, _MOST_LINES, _MOST_COLUMNS = 200_000_000, 2_000_000, 1000
# Deepest folders that names of a table are compared with.
_DEEPEST = 6


class NoLabelColumnError(InputError):
    """No column of a table, or more than one, could be the labels."""


def _rows(path: Path) -> list[list[str]]:
    """Read a table of names and labels, with limits of its size.

    Raises:
        InputError: It is empty, too large or damaged, or its lines have different lengths.
    """
    with open_lines(path) as lines:
        numbers, texts, size = [], [], 0
        for number, line in lines:
            numbers.append(number)
            texts.append(line)
            if (size := size + len(line)) > _MOST_TEXT:
                raise InputError(f"{path}: more than {_MOST_TEXT:,} characters; split the table")
            if len(texts) > _MOST_LINES:
                raise InputError(f"{path}: more than {_MOST_LINES:,} lines; split the table")
        if not texts:
            raise InputError(f"{path}: an empty table")
        reader = csv.reader(texts, delimiter=delimiter_of(texts[:10]))
        rows: list[list[str]] = []
        for row in reader:
            rows.append([cell.strip() for cell in row])
            if len(row) != len(rows[0]) or len(row) > _MOST_COLUMNS:
                number = numbers[reader.line_num - 1]
                raise InputError(
                    f"{path}: line {number} has {len(row):,} columns, the first line has "
                    f"{len(rows[0]):,}; mend it"
                )
    return rows


def names_table(path: Path) -> list[str] | None:
    """Return the names of image files that a table (CSV) lists.

    Args:
        path: Text file, plain or gzipped.

    Returns:
        Names in the order of the lines, as the table has them; None if no column has names with
        suffixes of images.

    Raises:
        InputError: The table is damaged or too large, or a name is not printable.
    """
    if is_pixel_table(path):
        return None
    rows = _rows(path)
    for column in range(len(rows[0])):
        names = [row[column] for row in rows]
        if not _has_suffix(names[0]):
            names = names[1:]
        if names and all(map(_has_suffix, names)):
            for name in names:
                if not is_writable_name(name) or len(name) > LONGEST:
                    raise InputError(
                        f"{path}: the name {shorten(name)} is not printable, or longer "
                        f"than {LONGEST} characters"
                    )
            return names
    return None


def _has_suffix(name: str) -> bool:
    return _SUFFIX.search(name) is not None


def labels_by_name(path: Path, images: Sequence[Path]) -> list[str]:
    """Return the labels that a table (CSV) gives to image files.

    Args:
        path: Text file, plain or gzipped, with a column of file names and a column of labels. The
            names may lack folders or the suffix.
        images: Paths of the n image files, at least one.

    Returns:
        Label of each image (n,).

    Raises:
        NoLabelColumnError: It is unclear which column has the labels.
        InputError: No column has the names of the files, a name is ambiguous, or a file or a line
            has no counterpart.
    """
    rows = _rows(path)
    shown = _names_inside(path.parent, images)
    match = _matching(path, rows, images, shown)
    known = set(match.of_images)
    if len(known) < len(images):
        raise _ambiguous(path, images, match.of_images)
    cells, keys = [row[match.column] for row in rows], match.of_rows
    header = _header(rows, match.column, is_image=keys[0] in known)
    if header:
        rows, cells, keys = rows[1:], cells[1:], keys[1:]
    if match.depth == 1 and (folder := posixpath.dirname(_posix(cells[0]))):
        log.warning(
            "%s: compared by file name alone, since the images are not in the table's folder %s",
            *(path, shorten(folder)),
        )
    column = _label_column(path, header, rows, match.column)
    labels = dict(zip(keys, (row[column] for row in rows), strict=True))
    for cell, key, row in zip(cells, keys, rows, strict=True):
        if row[column] != labels[key]:
            raise InputError(
                f"{path}: {shorten(cell)} has the labels {shorten(row[column])} and "
                f"{shorten(labels[key])}; leave one of them"
            )
    pairs = [*zip(shown, match.of_images, strict=True)]
    _refuse(
        *(path, "images", "are not in the table", len(images)),
        [name for name, key in pairs if key not in labels],
        "add lines for them, or move these images away",
    )
    _refuse(
        *(path, "lines", "have no image", len(rows)),
        [cell for cell, key in zip(cells, keys, strict=True) if key not in known],
        "add the images, or remove these lines",
    )
    _refuse(
        *(path, "images", "have a blank label", len(images)),
        [name for name, key in pairs if not labels[key]],
        "add their labels, or move these images away",
    )
    return whole_texts([labels[key] for key in match.of_images])


def _names_inside(folder: Path, images: Sequence[Path]) -> list[str]:
    """Return the names of images as a table in a folder may have them."""
    return [_posix(str(image)).removeprefix(f"{folder.as_posix()}/") for image in images]


def _posix(name: str) -> str:
    name = name.replace("\\", "/")
    return posixpath.normpath(name) if "./" in name or "//" in name else name


def _refuse(path: Path, things: str, fault: str, total: int, names: list[str], remedy: str) -> None:
    """Raise an InputError if there are names of things that have a fault."""
    if names:
        raise InputError(
            f"{path}: {len(names):,} of {total:,} {things} ({len(names) / total:.0%}) {fault}: "
            f"{listed(names)}; {remedy}"
        )


def _ambiguous(path: Path, images: Sequence[Path], keys: Sequence[str]) -> InputError:
    key, _ = Counter(keys).most_common(1)[0]
    twice = [image for image, found in zip(images, keys, strict=True) if found == key]
    return InputError(
        f"{path}: the name {shorten(key)} fits {twice[0]} and {twice[1]}; write the names in the "
        f"table with their folders, such as {'/'.join(twice[0].parts[-2:])}"
    )


@dataclass(frozen=True)
class _Match:
    """How names in a table are compared with images.

    Attributes:
        column: Column of the names.
        depth: Number of last parts that are compared; 0 for all parts below the table's folder.
        of_rows: What is compared for each row.
        of_images: What is compared for each image.
    """

    column: int
    depth: int
    of_rows: list[str]
    of_images: list[str]


def _matching(
    path: Path, rows: list[list[str]], images: Sequence[Path], inside: list[str]
) -> _Match:
    """Find the column of names and the strictest comparison that fits the most images."""
    full = [_posix(str(image)) for image in images]
    columns = [[_posix(row[k]) for row in rows] for k in range(len(rows[0]))]
    deepest = min(_DEEPEST, max(cell.count("/") + 1 for cells in columns for cell in cells))
    best, found = 0, None
    for has_suffix in (True, False):
        for depth in (0, *range(deepest, 0, -1)):
            of_images = [_key(name, depth, has_suffix) for name in (full if depth else inside)]
            known = set(of_images)
            for column, cells in enumerate(columns):
                of_rows = [_key(cell, depth, has_suffix) for cell in cells]
                if (count := len(known.intersection(of_rows))) > best:
                    best, found = count, _Match(column, depth, of_rows, of_images)
            if found and best == len(known):
                return found
    if found is None:
        raise InputError(
            f"{path}: no column has the names of the images, such as {shorten(images[0].name)}; "
            f"its first line is {listed(rows[0])}"
        )
    return found


def _key(name: str, depth: int, has_suffix: bool) -> str:
    """Return what is compared of a name: its last parts, or all for a depth of 0."""
    # macOS writes an umlaut as two characters.
    name = unicodedata.normalize("NFC", name)
    tail = "/".join(name.split("/")[-depth:]) if depth else name
    return tail if has_suffix else _SUFFIX.sub("", tail)


def _header(rows: list[list[str]], column: int, *, is_image: bool) -> list[str] | None:
    """Return the first row if it has the names of the columns, else None."""
    first, others = rows[0], rows[1:]
    if is_image or not others or _has_suffix(first[column]):
        return None
    words = {cell.lower() for cell in first}
    is_named = not words.isdisjoint(_NAME_WORDS.union(LABEL_WORDS))
    # A row of data has values that other rows have too.
    is_alone = not any(row[k] == cell for k, cell in enumerate(first) for row in others)
    return first if is_named or is_alone else None


def _label_column(path: Path, header: list[str] | None, rows: list[list[str]], names: int) -> int:
    """Return the column of the labels: by its name, or the only one with few different values."""
    columns = [k for k in range(len(rows[0])) if k != names]
    named = [k for k in label_columns(header) if k != names] if header else []
    if named and _agree(rows, named):
        return named[0]
    if len(columns) == 1:
        return columns[0]
    few = [k for k in columns if 1 < len({row[k] for row in rows}) <= len(rows) / 2]
    if len(few) == 1 and not named:
        return few[0]
    raise NoLabelColumnError(
        f"{path}: it is unclear which of the {len(rows[0])} columns has the labels; leave only "
        "names and labels, or call a single one `label`. The first line is "
        f"{listed(header or rows[0])}"
    )


def _agree(rows: list[list[str]], columns: list[int]) -> bool:
    """Return whether columns divide the rows into the same classes, such as numbers and names."""
    first = {row[columns[0]] for row in rows}
    pairs = [{(row[columns[0]], row[k]) for row in rows} for k in columns]
    return all(len(pair) == len(first) == len({b for _, b in pair}) for pair in pairs)
