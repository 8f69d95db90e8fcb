"""Check data.path before DVC starts, whose own messages name no remedy."""

import os
import shlex
from pathlib import Path

from iic.core.errors import InputError
from iic.core.links import broken_links
from iic.core.plurals import counted

# Largest number of broken links to name.
_NAMED = 3


def check_data_path(path: Path) -> None:
    """Check that DVC can read data.path.

    Args:
        path: Value of data.path.

    Raises:
        InputError: It does not exist, or it is a folder with broken links, at which DVC stops.
    """
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises an error for some links
        what = "is a broken link" if path.is_symlink() else "does not exist"
        raise InputError(
            f"data.path: {path} {what}; correct it in params.yaml. In a clone without these files, "
            "`dvc repro --allow-missing` uses the images of the last run"
        )
    if fault := broken_links_in(path):
        raise InputError(f"data.path: {path} {fault}")


def broken_links_in(path: Path) -> str:
    """Describe the broken links below a folder, with the remedy; empty if there are none."""
    broken = broken_links(path)
    if not broken:
        return ""
    names = ", ".join(str(link.relative_to(path)) for link in broken[:_NAMED])
    more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return (
        f"contains {counted(len(broken), 'broken link')} ({names}{more}), where DVC stops, also "
        f"with data.broken=skip; to remove: find {shlex.quote(str(path))} -type l "
        "! -exec test -e {} \\; -delete"
    )
