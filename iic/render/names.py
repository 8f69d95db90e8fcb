"""Class names in a form that fits into a figure."""

from collections.abc import Sequence
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

_LONGEST = 14


def short_names(names: Sequence[str]) -> list[str]:
    """Shorten class names for figures: one line each, at most 14 letters, distinct, as plain text.

    A name with letters that the font of the figures lacks becomes "no." and its index. Equal
    results get their index in front.
    """
    shown = [_shortened(name) or f"no. {number}" for number, name in enumerate(names)]
    return [
        plain_text(f"{number}: {name}" if shown.count(name) > 1 else name)
        for number, name in enumerate(shown)
    ]


def plain_text(text: str) -> str:
    """Escape dollar signs, between which Matplotlib would read mathematics."""
    return text.replace("$", r"\$")


def _shortened(name: str) -> str:
    line = " ".join(name.split())
    if not all(ord(letter) in _drawable() for letter in line):
        return ""
    if len(line) <= _LONGEST:
        return line
    # Names such as "folder number 1" often differ only in their last letters.
    return f"{line[: _LONGEST - 6]}…{line[-5:]}"


@cache
def _drawable() -> frozenset[int]:
    """Code points of Matplotlib's default font, which all figures use."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())
