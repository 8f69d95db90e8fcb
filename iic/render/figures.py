"""Line charts, and helpers for all figures. Figures are drawn from arrays, without any file.

The colours are the Okabe-Ito set and Matplotlib's cividis, which suit colour-blind readers.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter

BLUE, ORANGE = "#0072B2", "#D55E00"
# Tick labels with more letters than this together would overlap unless they are rotated.
_LETTERS_IN_A_ROW = 70
# Pixels between two names on an axis.
_GAP = 1.0


def variants_figure(
    panels: Sequence[tuple[str, str]],
    curves: Mapping[str, Sequence[np.ndarray]],
    first: int = 1,
    xlabel: str = "epoch",
) -> Figure:
    """Draw one panel per measure, with the mean and the range over the runs of each variant.

    Args:
        panels: Title and label of the y axis of each panel.
        curves: For each variant, one array (runs, places) per panel.
        first: Number of the first place on the x axis.
        xlabel: Label of the x axis.
    """
    figure = Figure(figsize=(5.2 * len(panels), 4.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for index, (name, arrays) in enumerate(curves.items()):
        style = {"color": f"C{index % 10}", "ls": ("-", "--", ":")[index // 10 % 3]}
        for axis, runs in zip(axes, arrays, strict=True):
            epochs = np.arange(first, runs.shape[1] + first)
            axis.plot(epochs, runs.mean(axis=0), label=name, marker="o", ms=3, **style)
            axis.fill_between(
                epochs, runs.min(axis=0), runs.max(axis=0), color=style["color"], alpha=0.12, lw=0
            )
    for axis, (title, unit) in zip(axes, panels, strict=True):
        axis.set(title=title, xlabel=xlabel, ylabel=unit)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def curves_figure(
    epochs: np.ndarray, panels: Sequence[tuple[str, str, dict[str, np.ndarray]]]
) -> Figure:
    """Draw panels of curves over the epochs, side by side.

    Args:
        epochs: Numbers (e,) of the epochs, from 1.
        panels: Title, label of the y axis with its unit, and named curves (e,) of each panel.
    """
    figure = Figure(figsize=(5.2 * len(panels), 3.6), layout="constrained")
    for axis, (title, unit, curves) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        styles = zip((BLUE, ORANGE), ("o-", "s--"), strict=True)
        for (name, values), (color, style) in zip(curves.items(), styles, strict=False):
            # One marker per epoch would overlap over many epochs.
            every = max(1, len(epochs) // 20)
            axis.plot(epochs, values, style, color=color, label=name, markevery=every, ms=5)
        axis.set(title=title, xlabel="epoch", ylabel=unit)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        if len(curves) > 1:
            axis.legend()
    return figure


def cost_figure(panels: Sequence[tuple[str, Mapping[float, float]]], unit: str) -> Figure:
    """Draw a cost against one setting per panel, side by side, with axes from zero.

    Args:
        panels: Label of the x axis, and the cost by value of the setting, for each panel.
        unit: Label of the y axis.
    """
    figure = Figure(figsize=(3.2 * len(panels), 3.2), layout="constrained")
    for axis, (label, costs) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        axis.plot(list(costs), list(costs.values()), "o-", color=BLUE)
        x, y = (1.05 * max(values) for values in (costs, costs.values()))
        axis.set(xlabel=label, xlim=(0, x), ylim=(0, y))
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel(unit)
    return figure


def accuracy_figure(epochs: np.ndarray, curves: dict[str, np.ndarray]) -> Figure:
    """Draw the test accuracy by epoch.

    Args:
        epochs: Numbers (e,) of the epochs, from 1.
        curves: Accuracies (e,) from 0 to 1 by name; the axis shows them in per cent.
    """
    figure = curves_figure(epochs, [("Test accuracy", "accuracy (%)", curves)])
    figure.set_size_inches(6.4, 3.8)
    figure.axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    return figure


class Room(NamedTuple):
    """What a figure has room for.

    Attributes:
        x: Largest number of names on an x axis.
        y: Largest number of names on a y axis.
        rotated: Whether the names of the x axis need rotation.
        notes: Whether numbers are written into cells or over bars.
    """

    x: int = 60
    y: int = 60
    rotated: bool = False
    notes: bool = True


def name_ticks(axis: Axes, x: Sequence[str] | None, y: Sequence[str] | None, room: Room) -> None:
    """Label the ticks by name, evenly spaced; None leaves an axis unchanged.

    Args:
        axis: Axis of the figure.
        x: Names of the places 0, 1, 2 … on the x axis.
        y: Names of the places on the y axis.
        room: What the figure has room for.
    """
    for names, most, set_ticks in ((x, room.x, axis.set_xticks), (y, room.y, axis.set_yticks)):
        if names is not None:
            step = max(1, -(-len(names) // most))
            set_ticks(range(0, len(names), step), names[::step])
    if x is not None and (room.rotated or sum(map(len, x)) > _LETTERS_IN_A_ROW):
        axis.tick_params(axis="x", rotation=90)


def measure_room(draw: Callable[[Room], Figure]) -> Room:
    """Find the most names and notes with which a figure has no overlapping text.

    Args:
        draw: Function that draws the figure for some room.
    """
    room = Room()
    while True:
        figure = draw(room)
        figure.draw_without_rendering()
        x, y = (max(_crowding(axis, place) for axis in figure.axes) for place in (0, 1))
        # Any change gives the axes another size, so the next figure is measured again.
        if x > 1 and not room.rotated:
            room = room._replace(rotated=True)
        elif (x > 1 and room.x > 1) or (y > 1 and room.y > 1):
            room = room._replace(x=_fewer(room.x, x), y=_fewer(room.y, y))
        elif room.notes and any(map(_notes_overlap, figure.axes)):
            room = room._replace(notes=False)
        else:
            return room


def _fewer(most: int, crowding: float) -> int:
    return most if crowding <= 1 else max(1, min(most - 1, int(most / crowding)))


def fitted(draw: Callable[[Room], Figure], room: Room | None = None) -> Figure:
    """Draw a figure for the given room, or for as much as it has."""
    return draw(room or measure_room(draw))


def _crowding(axis: Axes, place: int) -> float:
    """Largest size of two neighbours on the x (0) or y (1) axis, as a share of their distance."""
    ticks = (axis.xaxis, axis.yaxis)[place]
    if not isinstance(ticks.get_major_locator(), FixedLocator):
        return 0.0
    boxes = [label.get_window_extent() for label in ticks.get_ticklabels()]
    shares = [0.0]
    for one, other in pairwise([(box.min[place], box.max[place]) for box in boxes]):
        size = (one[1] - one[0] + other[1] - other[0]) / 2 + _GAP
        distance = abs(one[0] + one[1] - other[0] - other[1]) / 2
        shares.append(size / max(distance, 1e-9))
    return max(shares)


def _notes_overlap(axis: Axes) -> bool:
    """Whether two of the texts in an axis overlap."""
    texts = [text for text in axis.texts if text.get_text()]
    if len(texts) < 2:
        return False
    extents = np.array([text.get_window_extent().extents for text in texts])
    low, high = extents[:, None, :2], extents[:, None, 2:]
    overlaps = ((low < extents[:, 2:]) & (extents[:, :2] < high)).all(axis=2)
    return bool(overlaps.sum() > len(texts))
