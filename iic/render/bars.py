"""Bar charts of counts and of shares."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from iic.render.figures import BLUE, ORANGE, Room, fitted, name_ticks

_PALE = "#9CC9E3"
# Notes over more bars than this would be too many to read.
_MAX_NOTES = 20


def sizes_figure(
    names: Sequence[str], parts: Mapping[str, np.ndarray], labels: tuple[str, str], equal: float
) -> Figure:
    """Draw stacked bars of counts, and a dashed line at the size of equally large groups.

    Args:
        names: Names of the k bars.
        parts: Counts of each part, arrays (k,), by name of the part.
        labels: Labels of the x axis and of the y axis.
        equal: Height of the dashed line, in the unit of the counts.
    """

    def draw(room: Room) -> Figure:
        return _sizes(names, parts, labels, equal, room)

    return fitted(draw)


def _sizes(
    names: Sequence[str],
    parts: Mapping[str, np.ndarray],
    labels: tuple[str, str],
    equal: float,
    room: Room,
) -> Figure:
    figure, axis = _wide(labels)
    bottom = np.zeros(len(names))
    for (part, counts), color in zip(parts.items(), (BLUE, ORANGE), strict=False):
        axis.bar(range(len(names)), counts, bottom=bottom, color=color, label=part)
        bottom = bottom + counts
    axis.axhline(equal, color="black", ls="--", lw=1, label=f"equal sizes: {equal:,.0f}")
    _note(axis, bottom, [f"{total:,.0f}" for total in bottom], room)
    axis.set_ylim(0, 1.3 * max(bottom.max(initial=0), equal, 1))
    axis.legend(loc="upper right", ncols=3, fontsize=9)
    name_ticks(axis, names, None, room)
    return figure


def shares_figure(
    names: Sequence[str],
    shares: np.ndarray,
    labels: tuple[str, str],
    *,
    notes: Sequence[str] | None = None,
    marks: tuple[str, np.ndarray] | None = None,
) -> Figure:
    """Draw bars of shares, in per cent.

    Args:
        names: Names of the k bars.
        shares: Shares (k,) from 0 to 1; NaN leaves a gap.
        labels: Labels of the x axis and of the y axis.
        notes: Texts over the k bars; by default, the shares in per cent.
        marks: Name and values (k,) of a second series, drawn as diamonds.
    """

    def draw(room: Room) -> Figure:
        return _shares(names, shares, labels, notes, marks, room)

    return fitted(draw)


def _shares(
    names: Sequence[str],
    shares: np.ndarray,
    labels: tuple[str, str],
    notes: Sequence[str] | None,
    marks: tuple[str, np.ndarray] | None,
    room: Room,
) -> Figure:
    figure, axis = _wide(labels)
    heights = np.nan_to_num(shares)
    axis.bar(range(len(names)), heights, color=_PALE if marks else BLUE, label=labels[1])
    top = heights
    if marks is not None:
        axis.plot(range(len(names)), marks[1], "D", color=ORANGE, ms=7, label=marks[0])
        axis.legend(loc="upper left", ncols=2, fontsize=9)
        top = np.maximum(heights, np.nan_to_num(marks[1]))
    _note(axis, top, notes or [_percent(share) for share in shares], room)
    axis.set_ylim(0, 1.3)
    axis.set_yticks(np.linspace(0, 1, 6))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    name_ticks(axis, names, None, room)
    return figure


def _percent(share: float) -> str:
    return "" if np.isnan(share) else f"{100 * share:.1f}"


def _wide(labels: tuple[str, str]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    axis = figure.subplots()
    axis.set(xlabel=labels[0], ylabel=labels[1])
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    return figure, axis


def _note(axis: Axes, heights: np.ndarray, notes: Sequence[str], room: Room) -> None:
    """Write a note over each bar, if there is room."""
    if len(notes) > _MAX_NOTES or not room.notes:
        return
    for x, (height, note) in enumerate(zip(heights, notes, strict=True)):
        axis.annotate(
            note,
            (x, height),
            (0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            # Hides the part of the dashed line that would cross the text.
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
