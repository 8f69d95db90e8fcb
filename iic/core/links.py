"""Folders of files and links."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Yield all entries below a folder but folders; links to folders are followed.

    Args:
        folder: Folder to search.
        above: Device and inode of the folders that contain it. A link to one of them is not
            followed, since the search would not end.

    Yields:
        Path of each file, and of each broken link.
    """
    found = folder.stat()
    above |= {(found.st_dev, found.st_ino)}
    with os.scandir(folder) as entries:
        paths = sorted(Path(entry) for entry in entries)
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises an error for some links
            yield path
        elif (path.stat().st_dev, path.stat().st_ino) not in above:
            yield from files_below(path, above)


def count_suffixes(path: Path) -> dict[str, int]:
    """Count the files below a folder, or a single file, by suffix in lower case."""
    files = files_below(path) if path.is_dir() else [path]
    return dict(Counter(file.suffix.lower() for file in files))


def broken_links(folder: Path) -> list[Path]:
    """Return the links below a folder whose target does not exist; linked folders are left out."""
    return sorted(
        path
        for parent, _, names in os.walk(folder)
        for path in (Path(parent, name) for name in names)
        if path.is_symlink() and not os.path.exists(path)  # noqa: PTH110 - as above
    )
