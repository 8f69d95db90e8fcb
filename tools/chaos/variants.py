"""What parameter files with a mistake are made from: the committed file, with other lines in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import yaml

from iic.pipeline.paths import PARAMS

# A section's name, "" for none, and a key's.
Leaf = tuple[str, str]


@dataclass(frozen=True)
class Variant:
    """An invalid parameter file.

    Attributes:
        says: what was done, for people.
        content: of the file.
        named: regular expressions, each of which has to be found in the refusal.
    """

    says: str
    content: bytes
    named: tuple[str, ...]


@cache
def text() -> str:
    """The committed file that all variants start from."""
    return PARAMS.read_text("utf-8")


@cache
def leaves() -> Mapping[Leaf, object]:
    """All keys and their committed values."""
    found: dict[Leaf, object] = {}
    for name, value in yaml.safe_load(text()).items():
        if isinstance(value, dict):
            found |= {(name, key): below for key, below in value.items()}
        else:
            found["", name] = value
    return found


def dotted(leaf: Leaf) -> str:
    """("loss", "alpha") -> "loss.alpha"."""
    return ".".join(filter(None, leaf))


def named(leaf: Leaf) -> str:
    """Where a refusal names a key or one of the items of its list."""
    return re.escape(f"{PARAMS}: {dotted(leaf)}") + r"(\[\d+\])*: "


def number_of(leaf: Leaf) -> int:
    """Index of the key's line in the file."""
    section, _ = leaf
    lines = text().split("\n")
    start = lines.index(f"{section}:") if section else 0
    begin = line_of(leaf, "").rstrip()
    return next(n for n in range(start, len(lines)) if lines[n].startswith(begin))


def line(leaf: Leaf) -> str:
    """The key's line as it is committed."""
    return text().split("\n")[number_of(leaf)]


def line_of(leaf: Leaf, value: object) -> str:
    """The key's line with another value."""
    return f"{'  ' if leaf[0] else ''}{leaf[1]}: {value}"


def with_lines(new: Mapping[Leaf, str]) -> bytes:
    """The file with other lines in place of those of some keys."""
    lines = text().split("\n")
    for leaf, instead in new.items():
        lines[number_of(leaf)] = instead
    return "\n".join(lines).encode(errors="surrogatepass")


def with_values(values: Mapping[Leaf, object]) -> bytes:
    """The file with the texts of other values for some keys."""
    return with_lines({leaf: line_of(leaf, value) for leaf, value in values.items()})
