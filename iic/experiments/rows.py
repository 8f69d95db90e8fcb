"""Rows of tables that outlive a run and that Git may merge: read with a check of each row."""

import csv
import io
from pathlib import Path

from iic.core.errors import InputError
from iic.core.files import read_text


def stored_rows(path: Path, command: str) -> list[dict[str, str]]:
    """Read the rows of a CSV file.

    Args:
        path: Path of the table.
        command: Command that writes the table, for messages.

    Returns:
        Text by column, row by row.

    Raises:
        InputError: The file is missing, not UTF-8, or a row has other columns than the header, such
            as a marker of a merge conflict.
    """
    text = read_text(path, f"run `{command}`", _restore(path))
    try:
        header, *rows = filter(None, csv.reader(io.StringIO(text, newline="")))
        if len(set(header)) < len(header):
            raise damaged(path)
        return [dict(zip(header, row, strict=True)) for row in rows]
    except (ValueError, csv.Error) as error:
        raise damaged(path) from error


def number_in(text: str, path: Path) -> float:
    """Read a number of a table.

    Raises:
        InputError: The text is not a number.
    """
    try:
        return float(text)
    except ValueError as error:
        raise damaged(path) from error


def seed_in(row: dict[str, str], path: Path) -> int:
    """Read the seed of a row.

    Raises:
        InputError: It is not a whole number, or the table has no such column.
    """
    try:
        return int(row["seed"])
    except (KeyError, ValueError) as error:
        raise damaged(path) from error


def damaged(path: Path) -> InputError:
    """Return the error for a damaged table, with its remedy."""
    return InputError(f"{path}: damaged; {_restore(path)}")


def _restore(path: Path) -> str:
    return f"run `git restore {path}`"
