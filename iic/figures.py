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


def grid_figure(examples: np.ndarray, titles: Sequence[str]) -> Figure:
    """A row an image: the image itself and what goes with it.

    Args:
        examples: (n, columns, 28, 28) uint8.
        titles: of the columns.
    """
    rows, columns = examples.shape[:2]
    figure = Figure(figsize=(1.3 * columns, 1.2 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, image in zip(axes.flat, examples.reshape(-1, *examples.shape[2:]), strict=True):
        show_image(axis, image)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    return figure


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


def samples_figure(rows: Sequence[tuple[str, np.ndarray, np.ndarray]], columns: int) -> Figure:
    """Images of clusters, one row each; those that are not as wanted are framed.

    Args:
        rows: title, images (n, 28, 28) and whether each is as wanted (n,).
        columns: at most this many images a row.
    """
    height = max(len(rows), 1)
    figure = Figure(figsize=(columns + 1.1, 1.02 * height + 0.1), layout="constrained")
    axes = figure.subplots(height, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for line, (title, images, wanted) in zip(axes, rows, strict=False):
        for axis, image, fits in zip(line, images, wanted, strict=False):
            axis.axis("on")
            show_image(axis, image, frame=None if fits else ORANGE)
        line[0].set_ylabel(title, fontsize=9, rotation=0, ha="right", va="center", labelpad=8)
    return figure


def gallery_figure(images: np.ndarray, titles: Sequence[str], columns: int) -> Figure:
    """Images (n, 28, 28) row by row, each under a title of its own."""
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(1.3 * columns, 1.7 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        axis.axis("on")
        show_image(axis, image)
        axis.set_title(title, fontsize=8)
    return figure


def show_image(axis: Axes, image: np.ndarray, frame: str | None = None) -> None:
    """Dark ink on white, optionally framed in a colour."""
    axis.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(visible=frame is not None, color=frame, linewidth=2)


def name_ticks(axis: Axes, x: Sequence[str] | None, y: Sequence[str] | None) -> None:
    """Each tick by name, as long as they fit; None leaves an axis as it is."""
    for names, set_ticks in ((x, axis.set_xticks), (y, axis.set_yticks)):
        if names is not None:
            step = 1 + (len(names) - 1) // 60
            set_ticks(range(0, len(names), step), names[::step])
    if x is not None and sum(map(len, x)) > _LETTERS_IN_A_ROW:
        axis.tick_params(axis="x", rotation=90)
