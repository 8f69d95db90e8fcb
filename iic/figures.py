"""The article's figures, from arrays; nothing here reads or writes a file.

Colours are the Okabe-Ito set and matplotlib's cividis, which colour-blind readers can tell apart.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

BLUE, ORANGE = "#0072B2", "#D55E00"
COLOR_MAP = "cividis"
# Counts are written into the cells of a matrix up to this many columns; beyond, they overlap.
_MAX_ANNOTATED = 20


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
        _show_digit(axis, image)
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


def joint_figure(
    p_ij: np.ndarray, table: np.ndarray, order: np.ndarray, names: Sequence[str], title: str
) -> Figure:
    """The joint matrix P beside the confusion matrix, clusters in the same order in both.

    Args:
        p_ij: (k, k) joint of the clusters of both views.
        table: (classes, k) counts of test images.
        order: (k,) clusters in the order to draw them.
        names: (k,) of the clusters in that order.
        title: over both.
    """
    # Fixed, so that all frames of an animation have the same size.
    figure = Figure(figsize=(10.4, 4.9), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)

    image = left.imshow(100 * p_ij[np.ix_(order, order)], cmap=COLOR_MAP, vmin=0, vmax=_top(p_ij))
    figure.colorbar(image, ax=left, label="share of pairs (%)", shrink=0.8)
    left.set(title="joint matrix P", xlabel="cluster of one view", ylabel="cluster of the other")
    _name_ticks(left, names, names)

    _draw_confusion(figure, right, table[:, order], names, "cluster (digit matched at the end)")
    right.set_title("confusion matrix")
    return figure


def confusion_figure(table: np.ndarray, title: str) -> Figure:
    """Counts (digits, digits) by digit and by the digit that the cluster is matched to."""
    figure = Figure(figsize=(5.0, 4.4), layout="constrained")
    axis = figure.subplots()
    names = [str(digit) for digit in range(table.shape[1])]
    _draw_confusion(figure, axis, table, names, "digit of the cluster")
    axis.set_title(title, fontsize=10)
    return figure


def overclusters_figure(table: np.ndarray, order: np.ndarray) -> Figure:
    """Test images by digit and overcluster, columns in the given order."""
    figure = Figure(figsize=(12.5, 4.0), layout="constrained")
    axis = figure.subplots()
    names = [str(cluster) for cluster in order]
    _draw_confusion(figure, axis, table[:, order], names, "overcluster, by majority digit")
    axis.tick_params(axis="x", labelsize=min(10, 450 / max(1, len(names))), rotation=90)
    return figure


def samples_figure(columns: Sequence[tuple[str, np.ndarray, np.ndarray]], rows: int) -> Figure:
    """Images of clusters, one column each; images of another digit are framed.

    Args:
        columns: title, images (n, 28, 28) and whether each is of the wanted digit (n,).
        rows: at most this many images a column.
    """
    width = max(len(columns), 1)
    figure = Figure(figsize=(max(4.0, 1.05 * width), 1.0 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, width, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for column, (title, images, wanted) in enumerate(columns):
        axes[0, column].set_title(title, fontsize=9)
        for axis, image, fits in zip(axes[:, column], images, wanted, strict=False):
            axis.axis("on")
            _show_digit(axis, image, frame=None if fits else ORANGE)
    return figure


def _draw_confusion(
    figure: Figure, axis: Axes, table: np.ndarray, names: Sequence[str], label: str
) -> None:
    """Counts as shares of their row: classes differ in size."""
    shares = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    annotated = table.shape[1] <= _MAX_ANNOTATED
    # Spread over many columns shares are small, and a linear scale would show them all as dark.
    norm = Normalize(0, 100) if annotated else PowerNorm(0.5, 0, 100)
    image = axis.imshow(shares, cmap=COLOR_MAP, norm=norm, aspect="auto")
    figure.colorbar(image, ax=axis, label="share of the digit's images (%)", shrink=0.8)
    axis.set(xlabel=label, ylabel="digit (label)")
    _name_ticks(axis, names, [str(digit) for digit in range(len(table))])
    if annotated:
        for (row, column), count in np.ndenumerate(table):
            if count:
                color = "black" if shares[row, column] > 50 else "white"
                axis.text(
                    column, row, str(count), ha="center", va="center", color=color, fontsize=8
                )


def _name_ticks(axis: Axes, x: Sequence[str], y: Sequence[str]) -> None:
    """Each tick by name, as long as they fit."""
    for names, set_ticks in ((x, axis.set_xticks), (y, axis.set_yticks)):
        step = 1 + (len(names) - 1) // 60
        set_ticks(range(0, len(names), step), names[::step])


def _show_digit(axis: Axes, image: np.ndarray, frame: str | None = None) -> None:
    """Dark ink on white, optionally framed in a colour."""
    axis.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(visible=frame is not None, color=frame, linewidth=2)


def _top(p_ij: np.ndarray) -> float:
    """Upper end of P's colours in per cent: that of certain clusters of equal size, or more."""
    return max(100 / len(p_ij), 100 * float(p_ij.max()))
