"""Atomic writes of files, and reads that do not trust the file."""

import csv
import glob
import hashlib
import io
import json
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from iic.core.errors import InputError, printable, reason_of

# Suffix of the temporary folder in which a file is written.
_PARTIAL = ".partial"
# Remedy for a damaged output of a stage.
REMOVE_REMEDY = "delete it and run `dvc repro`"
# A sign alone is no formula. Leading apostrophes are part of the pattern, so that removing the one
# that `table_cell` adds restores the text.
_FORMULA = re.compile(r"'*[=+\-@\t\r].", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9.]+")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block succeeds.

    If `path` is a link into the DVC cache, the file in the cache keeps its content.

    Raises:
        OSError: The file cannot be written; the error names `path`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        prefix = f".{path.name}.{os.getpid()}."
        with tempfile.TemporaryDirectory(_PARTIAL, prefix, path.parent) as folder:
            temporary = Path(folder) / path.name
            yield temporary
            # Otherwise a power cut could leave a file with the new name and no content.
            _flush(temporary)
            temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        # A write to a full disk raises an error without a file name.
        reason = os.strerror(error.errno) if error.errno else reason_of(error)
        raise OSError(error.errno, reason, str(path)) from error


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary folders of killed processes that were writing the same path."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}.*{_PARTIAL}"):
        process = folder.name.removeprefix(f".{path.name}.").partition(".")[0]
        if process.isdecimal() and not _is_alive(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # The process belongs to another user.
    return True


def _flush(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes to a file, atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends, atomically."""
    write_bytes(path, text.encode())


def is_writable_name(name: str) -> bool:
    """Return whether a name fits tables and pages: valid UTF-8 without control characters."""
    return not any(ord(c) < 32 or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in name)


def check_plain(path: Path, most: int | None = None) -> None:
    """Check that a path is a regular file.

    Args:
        path: Path to check.
        most: Upper limit of the size in bytes, if any.

    Raises:
        InputError: It is a folder or a pipe, or too large.
        OSError: It does not exist.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{printable(path)}: not a plain file")
    if most is not None and found.st_size > most:
        raise InputError(f"{path}: {found.st_size:,} bytes; no more than {most:,} are read")


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a regular file, as 64 hexadecimal digits.

    Raises:
        InputError: It is a folder or a pipe.
        OSError: It does not exist.
    """
    check_plain(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path, missing: str, damaged: str, most: int | None = None) -> str:
    """Read a file of UTF-8 text.

    Args:
        path: Path of the file.
        missing: Remedy to name if the file does not exist.
        damaged: Remedy to name if the file is not UTF-8.
        most: Upper limit of the size in bytes, if any; it also requires a regular file.

    Returns:
        Content of the file.

    Raises:
        InputError: The file is missing, not UTF-8 or too large.
    """
    try:
        if most is not None:
            check_plain(path, most)
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; {missing}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text; {damaged}") from error


def write_table(path: Path, columns: Mapping[str, Sequence[object] | np.ndarray]) -> None:
    """Write named columns of equal length as CSV, atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([table_cell(v) for v in row] for row in zip(*columns.values(), strict=True))
    write_text(path, text.getvalue())


def table_cell(value: object) -> object:
    """Format a value for a CSV file: floats get six significant digits.

    Text that a spreadsheet would run as a formula gets a leading apostrophe, which `parse_table`
    removes.
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def read_table(path: Path, text: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Read the columns of a CSV file that write_table wrote.

    Args:
        path: Path of the file.
        text: Names of the columns of strings; all other columns are numbers.

    Returns:
        Column names, and arrays of float64 or of strings.

    Raises:
        InputError: The file is missing, empty or ragged, or a number cannot be read.
    """
    return parse_table(read_text(path, "run `dvc repro`", "run `dvc repro -f`"), str(path), text)


def parse_table(content: str, source: str, text: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Parse the content of a CSV file that write_table wrote.

    Args:
        content: Text of the file.
        source: Name of the file, for messages.
        text: Names of the columns of strings; all other columns are numbers.

    Returns:
        Column names, and arrays of float64 or of strings.

    Raises:
        InputError: The content is empty or ragged, or a number cannot be read.
    """
    try:
        header, *rows = csv.reader(io.StringIO(content, newline=""))
        return {
            name: np.array([*map(_plain, column)]) if name in text else np.array(column, np.float64)
            for name, column in zip(header, zip(*rows, strict=True), strict=True)
        }
    except ValueError as error:
        raise InputError(f"{source}: not a table of numbers; run `dvc repro -f`") from error


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: Path of the file.
        remedy: Command that restores the file, for messages.

    Returns:
        Values by key.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        check_plain(path)
        return dict(json.loads(path.read_text("utf-8")))
    except (FileNotFoundError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: missing or damaged; run `{remedy}`") from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, compress: bool = False) -> None:
    """Write named arrays to an NPZ file, atomically; the same arrays give the same bytes."""
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", method) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            # Reading pickled objects could run code.
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            # np.savez streams its members, whose headers depend on the version of Python.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getbuffer(), method)


def read_arrays(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Read named arrays from an NPZ file.

    Args:
        path: Path of the file.
        names: Names of the arrays.

    Returns:
        Arrays by name.

    Raises:
        InputError: The file is missing or damaged, contains pickled objects or lacks an array.
    """
    with open_arrays(path, REMOVE_REMEDY) as archive:
        known = archive.namelist()
        for name in names:
            if f"{name}.npy" not in known:
                raise InputError(f"{path}: contains no array {name!r}; {REMOVE_REMEDY}")
        return {name: read_array(archive, name) for name in names}


@contextmanager
def open_arrays(path: Path, remedy: str) -> Iterator[zipfile.ZipFile]:
    """Open an NPZ file for reading.

    Args:
        path: Path of the file.
        remedy: Remedy to name if the file is damaged.

    Yields:
        The archive; its members are read with `read_array`.

    Raises:
        InputError: The file is missing, or an error occurs in the block.
    """
    try:
        check_plain(path)
        with zipfile.ZipFile(path) as archive:
            yield archive
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run `dvc repro`") from error
    except Exception as error:
        # Damage can raise almost any exception in the ZIP and NPY readers.
        raise InputError(
            f"{path}: not a readable NPZ file ({reason_of(error)}); {remedy}"
        ) from error


def read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read an array and verify its checksum, which np.load does not always do."""
    content = io.BytesIO(archive.read(f"{name}.npy"))
    return np.lib.format.read_array(content, allow_pickle=False)
