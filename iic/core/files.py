"""Files written whole or not at all, and arrays read without trusting the file."""

import csv
import glob
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

from iic.core.errors import InputError, reason_of

# Ends the name of a folder in which a file is written.
_PARTIAL = ".partial"
_REMEDY = "delete it and run `dvc repro`"
# A lone sign is no formula; apostrophes count, so that taking one off gives the text back.
_FORMULA = re.compile(r"'*[=+\-@\t\r].", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9.]+")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place once the block has succeeded.

    A fresh file also leaves a DVC cache alone that `path` may be a link into.

    Raises:
        OSError: names `path`, whatever could not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        prefix = f".{path.name}.{os.getpid()}."
        with tempfile.TemporaryDirectory(_PARTIAL, prefix, path.parent) as folder:
            temporary = Path(folder) / path.name
            yield temporary
            # Else a power cut could leave the new name on content that was never written.
            _to_disk(temporary)
            temporary.replace(path)
        _to_disk(path.parent)
    except OSError as error:
        # A full disk is met by a write, which knows no names.
        reason = os.strerror(error.errno) if error.errno else reason_of(error)
        raise OSError(error.errno, reason, str(path)) from error


def _remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed had begun to write at a path."""
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
        pass  # Another user's.
    return True


def _to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file, atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends, atomically."""
    write_bytes(path, text.encode())


def is_writable_name(name: str) -> bool:
    """Whether a name can stand in a table and on a page: UTF-8, and no control characters."""
    return not any(ord(c) < 32 or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in name)


def check_plain(path: Path, most: int | None = None) -> None:
    """Raise InputError for a pipe, which has no end, a folder, or more than `most` bytes.

    Raises:
        OSError: there is no such file.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: not a plain file")
    if most is not None and found.st_size > most:
        raise InputError(f"{path}: {found.st_size:,} bytes; no more than {most:,} are read")


def read_text(path: Path, missing: str, damaged: str, most: int | None = None) -> str:
    """Read UTF-8 text, of a plain file and at most `most` bytes if that is given.

    Raises:
        InputError: says what mends a missing or a damaged file, or that it is too large.
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
    """A value as it stands in a CSV file: floats to six significant digits, text inert.

    A spreadsheet would run text that begins as a formula does, so it gets an apostrophe, as people
    write it there; `parse_table` takes it off again.
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def read_table(path: Path, text: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Read the columns of a CSV file that write_table wrote.

    Args:
        path: of the file.
        text: columns of strings; all others are numbers.

    Raises:
        InputError: the file is missing, empty, ragged or holds something else than numbers.
    """
    return parse_table(read_text(path, "run `dvc repro`", "run `dvc repro -f`"), str(path), text)


def parse_table(content: str, source: str, text: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Columns from the content of a CSV file; `source` names it in errors."""
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
    """Read a JSON object; raise InputError with the command that mends the file."""
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
            # Pickled objects could run code when read, so none is ever written.
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            # np.savez streams its members, whose headers then differ from one Python to the next.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getbuffer(), method)


def read_arrays(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Read named arrays from an NPZ file.

    Raises:
        InputError: the file is missing, damaged, holds pickled objects or lacks an array.
    """
    with open_arrays(path, _REMEDY) as archive:
        known = archive.namelist()
        for name in names:
            if f"{name}.npy" not in known:
                raise InputError(f"{path}: holds no array {name!r}; {_REMEDY}")
        return {name: read_array(archive, name) for name in names}


@contextmanager
def open_arrays(path: Path, remedy: str) -> Iterator[zipfile.ZipFile]:
    """An open NPZ file; whatever is wrong with it while it is read becomes an InputError."""
    try:
        check_plain(path)
        with zipfile.ZipFile(path) as archive:
            yield archive
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; run `dvc repro`") from error
    except Exception as error:
        # A flipped bit may raise nearly anything, from the archive's or from the array's format.
        raise InputError(
            f"{path}: not a readable NPZ file ({reason_of(error)}); {remedy}"
        ) from error


def read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array whose checksum is right: np.load looks at it only if it reads all of the member."""
    content = io.BytesIO(archive.read(f"{name}.npy"))
    return np.lib.format.read_array(content, allow_pickle=False)
