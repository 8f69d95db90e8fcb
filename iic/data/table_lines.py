"""Reading CSV files line by line, with limits, without trusting their content."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from iic.core.errors import InputError, reason_of, shorten
from iic.core.files import check_plain

# Column names of labels, in the order in which they are preferred. The last two count only if
# there is no other, since they are also the names of other things.
LABEL_WORDS = ("label", "labels", "class", "category", "target", "digit", "species", "y", "name")
_WEAK_WORDS = LABEL_WORDS[-2:]
_DELIMITERS = "\t;,"
# Characters of a line; blank lines.
_LONGEST_LINE, _MOST_BLANK = 4_000_000, 10_000
_NUMBER = re.compile(
    r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?|[+-]?(nan|inf)", re.ASCII | re.IGNORECASE
)
# Largest number of names that a message shows.
_NAMED = 3


@contextmanager
def open_lines(path: Path) -> Iterator[Iterator[tuple[int, str]]]:
    """Open a text file, plain or gzipped.

    Args:
        path: Text file.

    Yields:
        Its lines that are not blank, with their numbers from 1.

    Raises:
        InputError: The file is missing, damaged or not UTF-8, or a line is too long; it is
            also raised for errors of reading in the block.
    """
    try:
        check_plain(path)
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            content = gzip.GzipFile(fileobj=file) if packed else file
            with io.TextIOWrapper(content, "utf-8-sig", newline=None) as text:
                yield _counted_lines(path, text)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text; save the table as CSV in UTF-8 (a spreadsheet's `CSV UTF-8`)"
        ) from error
    except (EOFError, zlib.error, OSError, csv.Error) as error:
        reason = reason_of(getattr(error, "strerror", None) or error)
        raise InputError(f"{path}: not a readable table ({reason})") from error


def _counted_lines(path: Path, text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    blank = number = 0
    while line := text.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise InputError(
                f"{path}: line {number} has more than {_LONGEST_LINE:,} characters; "
                "save larger images as files"
            )
        if "\0" in line:
            raise InputError(f"{path}: line {number} has a zero byte; it is not a table of text")
        if line.strip():
            yield number, line
        elif (blank := blank + 1) > _MOST_BLANK:
            raise InputError(f"{path}: more than {_MOST_BLANK:,} blank lines; remove them")


def delimiter_of(lines: Sequence[str]) -> str:
    """Return the character that separates the columns of the first lines of a table.

    Commas come last, since they may be decimal points between semicolons.
    """
    for delimiter in _DELIMITERS:
        widths = {len(fields_of(line, delimiter)) for line in lines}
        if len(widths) == 1 and min(widths) > 1:
            return delimiter
    return max(_DELIMITERS, key=lambda delimiter: sum(line.count(delimiter) for line in lines))


def fields_of(line: str, delimiter: str) -> list[str]:
    """Split a line at its delimiters outside of quotation marks."""
    return next(csv.reader([line], delimiter=delimiter), [])


def number_of(text: str) -> float | None:
    """Return the number that a field is, with a decimal point or comma, or None."""
    text = text.strip()
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def whole_texts(labels: Sequence[str]) -> list[str]:
    """Write labels without decimals if all are whole numbers: 7.0 becomes 7."""
    names = {label: number_of(label) for label in set(labels)}
    if all(name.removeprefix("-").isdecimal() for name in names):
        return [*labels]
    whole = {
        label: str(int(value))
        for label, value in names.items()
        if value is not None and value.is_integer()
    }
    return [whole[label] for label in labels] if len(whole) == len(names) else [*labels]


def listed(names: Sequence[str]) -> str:
    """Name the first few of some names."""
    shown = ", ".join(shorten(name) for name in names[:_NAMED])
    return f"{shown}, …" if len(names) > _NAMED else shown


def label_columns(names: Sequence[str]) -> list[int]:
    """Return the columns whose names are words for labels, the most usual word first."""
    words = [name.strip().lower() for name in names]
    found = [word for word in LABEL_WORDS if word in words]
    strong = [word for word in found if word not in _WEAK_WORDS]
    return [k for word in strong or found for k, name in enumerate(words) if name == word]
