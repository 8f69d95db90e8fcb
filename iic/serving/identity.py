"""Which file a path leads to, so that a command never writes over a file that it reads."""

from pathlib import Path


def identity_of(path: Path) -> tuple[int, int] | None:
    """Identify an existing file, whatever the links and letters by which its path leads to it.

    Args:
        path: Path of a file.

    Returns:
        Its device and inode; None if there is no such file.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
