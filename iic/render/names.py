"""Names of classes as a figure can show them; a page has room for all of a name."""

from collections.abc import Sequence
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

_LONGEST = 14


def short_names(names: Sequence[str]) -> list[str]:
    """Names (classes,) on one line each, not too long, all different, and none of it mathematics.

    A name with letters that the figures' font lacks becomes its number in the order given.
    """
    shown = [_shortened(name) or f"no. {number}" for number, name in enumerate(names)]
    return [
        # Matplotlib takes what stands between two dollar signs for mathematics.
        (f"{number}: {name}" if shown.count(name) > 1 else name).replace("$", r"\$")
        for number, name in enumerate(shown)
    ]


def plain_text(text: str) -> str:
    """Any text so that matplotlib shows it as it is."""
    return text.replace("$", r"\$")


def _shortened(name: str) -> str:
    line = " ".join(name.split())
    if not all(ord(letter) in _drawable() for letter in line):
        return ""
    if len(line) <= _LONGEST:
        return line
    # Names that go by a pattern often differ at their ends alone.
    return f"{line[: _LONGEST - 6]}…{line[-5:]}"


@cache
def _drawable() -> frozenset[int]:
    """Code points of the font of all figures, which comes with matplotlib."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())
