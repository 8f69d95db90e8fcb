"""Say why .venv must be made anew, if so; the Makefile runs this file with the Python in .venv.

A virtual environment contains absolute paths, so a moved or copied one runs other code or nothing.
"""

import re
import subprocess
import sys
from importlib import util
from pathlib import Path

_OLDEST, _NEWEST = (3, 11), (3, 13)


def fault(asked: str) -> str:
    """Find what is wrong with the running environment, also if its Python is too old for iic.

    Args:
        asked: Command of the Python that the user asks for; empty = any supported one.

    Returns:
        Reason to make the environment anew; empty if there is none.
    """
    version = sys.version_info[:2]
    if not _OLDEST <= version <= _NEWEST:
        return "its Python is {}.{}".format(*version)
    if asked and _version_of(asked) not in ("", "{}.{}".format(*version)):
        return "its Python is {}.{}, not {}".format(*version, _version_of(asked))
    if sys.prefix == sys.base_prefix or not _has_pip():
        return "it is incomplete"
    if not _is_same(_home(), Path(sys.prefix)):
        return f"it was made in another folder, {_home()}"
    code = util.find_spec("iic")
    if code is not None and code.origin and not _is_same(Path(code.origin).parents[1], Path()):
        return f"it runs the code in {Path(code.origin).parents[1]}"
    return ""


def _version_of(command: str) -> str:
    """Return major and minor version of a Python; empty if it does not start."""
    program = "import sys; print('{}.{}'.format(*sys.version_info))"
    try:
        return subprocess.check_output([command, "-c", program], text=True).strip()  # noqa: S603 - no shell
    except (OSError, subprocess.CalledProcessError):
        return ""


def _has_pip() -> bool:
    """Return whether pip is installed; its list of files is written last."""
    from importlib import metadata  # Python 3.8

    try:
        return bool(metadata.files("pip"))
    except metadata.PackageNotFoundError:
        return False


def _home() -> Path:
    """Return the folder in which the environment was made; the script of pip contains it."""
    script = Path(sys.prefix, "bin", "pip")
    text = script.read_text("utf-8", "replace") if script.exists() else ""
    found = re.search(r"(/[^\n\"']*)/bin/python", text)
    return Path(found.group(1) if found else "unknown")


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and one.samefile(other)


if __name__ == "__main__":
    sys.stdout.write(fault(*sys.argv[1:]))
