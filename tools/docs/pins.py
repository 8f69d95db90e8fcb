"""What requirements*.txt pin."""

import re
from pathlib import Path
from typing import NamedTuple

_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==([\w.!+]+)")


class Pin(NamedTuple):
    """A package at a version."""

    name: str
    version: str


def requirements() -> list[Path]:
    """The files that pin packages, first that of the pipeline itself."""
    return sorted(Path().glob("requirements*.txt"), key=lambda path: path.stem)


def pins(path: Path) -> list[Pin]:
    """What a file pins; a package has several versions where these are of different Pythons."""
    lines = path.read_text("utf-8").splitlines()
    return [Pin(*found.groups()) for line in lines if (found := _PIN.match(line))]
