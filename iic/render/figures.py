"""The article's figures, from arrays; nothing here reads or writes a file.

Colours are the Okabe-Ito set and matplotlib's cividis, which colour-blind readers can tell apart.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

BLUE, ORANGE = "#0072B2", "#D55E00"
# Names below an axis that are longer than this together would run into each other.
_LETTERS_IN_A_ROW = 70


def variants_figure(
    panels: Sequence[tuple[str, str]], curves: Mapping[str, Sequence[np.ndarray]]
) -> Figure:
    """Panels by epoch with one line a variant: the mean over its runs in a band of their range.

    Args:
        panels: title and label of the y axis of each.
        curves: of each variant an array (runs, epochs) a panel.
    """
    figure = Figure(figsize=(5.2 * len(panels), 4.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for index, (name, arrays) in enumerate(curves.items()):
        style = {"color": f"C{index % 10}", "ls": ("-", "--", ":")[index // 10 % 3]}
        for axis, runs in zip(axes, arrays, strict=True):
            epochs = np.arange(1, runs.shape[1] + 1)
            axis.plot(epochs, runs.mean(axis=0), label=name, marker="o", ms=3, **style)
            axis.fill_between(
                epochs, runs.min(axis=0), runs.max(axis=0), color=style["color"], alpha=0.12, lw=0
            )
    for axis, (title, unit) in zip(axes, panels, strict=True):
        axis.set(title=title, xlabel="epoch", ylabel=unit)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def curves_figure(
    epochs: np.ndarray, panels: Sequence[tuple[str, str, dict[str, np.ndarray]]]
) -> Figure:
    """Panels of curves by epoch, side by side.

    Args:
        epochs: (e,) from 1.
        panels: title, label of the y axis with its unit, and the named curves (e,) of each panel.
    """
    figure = Figure(figsize=(5.2 * len(panels), 3.6), layout="constrained")
    for axis, (title, unit, curves) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        styles = zip((BLUE, ORANGE), ("o-", "s--"), strict=True)
        for (name, values), (color, style) in zip(curves.items(), styles, strict=False):
            # Markers would run into each other over many epochs.
            every = max(1, len(epochs) // 20)
            axis.plot(epochs, values, style, color=color, label=name, markevery=every, ms=5)
        axis.set(title=title, xlabel="epoch", ylabel=unit)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        if len(curves) > 1:
            axis.legend()
    return figure


def cost_figure(panels: Sequence[tuple[str, Mapping[float, float]]], unit: str) -> Figure:
    """How a cost grows with one thing a panel, from zero, side by side.

    Args:
        panels: label of the x axis, and the cost at each of its values.
        unit: label of the y axis.
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
    """Test accuracy (shares, drawn in per cent) of named heads by epoch."""
    figure = curves_figure(epochs, [("Test accuracy", "test images put right (%)", curves)])
    figure.set_size_inches(6.4, 3.8)
    figure.axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    return figure


def name_ticks(axis: Axes, x: Sequence[str] | None, y: Sequence[str] | None) -> None:
    """Each tick by name, as long as they fit; None leaves an axis as it is."""
    for names, set_ticks in ((x, axis.set_xticks), (y, axis.set_yticks)):
        if names is not None:
            step = 1 + (len(names) - 1) // 60
            set_ticks(range(0, len(names), step), names[::step])
    if x is not None and sum(map(len, x)) > _LETTERS_IN_A_ROW:
        axis.tick_params(axis="x", rotation=90)
