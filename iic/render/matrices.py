"""Matrices as figures: the joint matrix P, and images by class and cluster."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iic.render.figures import BLUE, name_ticks

COLOR_MAP = "cividis"
# Counts are written into the cells of a matrix up to this many a row; beyond, they overlap.
_MAX_ANNOTATED = 20


def joint_figure(
    p_ij: np.ndarray,
    table: np.ndarray,
    order: np.ndarray,
    names: tuple[Sequence[str], Sequence[str]],
    title: str,
) -> Figure:
    """The joint matrix P beside the confusion matrix, clusters in the same order in both.

    Args:
        p_ij: (k, k) joint of the clusters of both views.
        table: (classes, k) counts of test images.
        order: (k,) clusters in the order to draw them.
        names: (classes,) of the classes, and (k,) of the clusters in that order.
        title: over both.
    """
    figure, right = _joint_beside(p_ij, order, names[1], title)
    _draw_confusion(figure, right, table[:, order], names, "cluster (label matched at the end)")
    right.set_title("confusion matrix")
    return figure


def joint_and_sizes_figure(
    p_ij: np.ndarray,
    sizes: np.ndarray,
    order: np.ndarray,
    names: Sequence[str],
    title: str,
    largest: int,
) -> Figure:
    """The joint matrix P beside the clusters' sizes, for data without labels.

    Args:
        p_ij: (k, k) joint of the clusters of both views.
        sizes: (k,) counts of test images.
        order: (k,) clusters in the order to draw them.
        names: (k,) of the clusters in that order.
        title: over both.
        largest: size that the bars have room for, the same in all frames of an animation.
    """
    figure, right = _joint_beside(p_ij, order, names, title)
    right.bar(range(len(order)), sizes[order], color=BLUE)
    right.set(title="sizes of the clusters", xlabel="cluster", ylabel="test images")
    right.set_ylim(0, 1.05 * max(1, largest))
    name_ticks(right, names, None)
    return figure


def confusion_figure(table: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Counts (classes, classes) by class and by the class that the cluster is matched to."""
    figure = Figure(figsize=(5.0, 4.4), layout="constrained")
    axis = figure.subplots()
    _draw_confusion(figure, axis, table, (names, names), "class of the cluster")
    axis.set_title(title, fontsize=10)
    return figure


def overclusters_figure(
    table: np.ndarray, order: np.ndarray, names: Sequence[str], rows: str
) -> Figure:
    """Test images by row and overcluster, columns in the given order.

    Args:
        table: (rows, k) counts.
        order: (k,) overclusters.
        names: of the rows.
        rows: what they are, "label" or "cluster".
    """
    figure = Figure(figsize=(12.5, 4.0), layout="constrained")
    axis = figure.subplots()
    columns = [str(cluster) for cluster in order]
    _draw_confusion(
        figure, axis, table[:, order], (names, columns), f"overcluster, by main {rows}", rows
    )
    axis.tick_params(axis="x", labelsize=min(10, 450 / max(1, len(columns))), rotation=90)
    return figure


def errors_figure(table: np.ndarray, names: tuple[Sequence[str], Sequence[str]]) -> Figure:
    """Counts of mistakes by label and by the class of the cluster; what is right is left blank.

    Args:
        table: (classes, columns) counts, zero where the class is the image's own.
        names: of the rows and of the columns.
    """
    # Square cells, and room for the names beside them.
    size = max(4.6, 1.6 + 0.46 * min(len(table), _MAX_ANNOTATED))
    figure = Figure(figsize=(size + 1.4, size), layout="constrained")
    axis = figure.subplots()
    shown = np.ma.masked_equal(table, 0)
    image = axis.imshow(shown, cmap=COLOR_MAP, vmin=0, vmax=max(1, table.max()), aspect="auto")
    figure.colorbar(
        image, ax=axis, label="test images", shrink=0.8, ticks=MaxNLocator(6, integer=True)
    )
    axis.set(xlabel="class of the cluster", ylabel="label")
    name_ticks(axis, names[1], names[0])
    if max(table.shape) <= _MAX_ANNOTATED + 1:
        _write_counts(axis, table, table / max(1, table.max()))
    return figure


def _joint_beside(
    p_ij: np.ndarray, order: np.ndarray, names: Sequence[str], title: str
) -> tuple[Figure, Axes]:
    """A figure with P on the left, and the axis on its right."""
    # Fixed, so that all frames of an animation have the same size.
    figure = Figure(figsize=(10.4, 4.9), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    image = left.imshow(100 * p_ij[np.ix_(order, order)], cmap=COLOR_MAP, vmin=0, vmax=_top(p_ij))
    figure.colorbar(image, ax=left, label="share of pairs (%)", shrink=0.8)
    left.set(title="joint matrix P", xlabel="cluster of one view", ylabel="cluster of the other")
    name_ticks(left, names, names)
    return figure, right


def _draw_confusion(
    figure: Figure,
    axis: Axes,
    table: np.ndarray,
    names: tuple[Sequence[str], Sequence[str]],
    columns: str,
    rows: str = "label",
) -> None:
    """Counts as shares of their row: classes differ in size."""
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    annotated = max(table.shape) <= _MAX_ANNOTATED
    # Spread over many columns shares are small, and a linear scale would show them all as dark.
    norm = Normalize(0, 100) if annotated else PowerNorm(0.5, 0, 100)
    image = axis.imshow(100 * shares, cmap=COLOR_MAP, norm=norm, aspect="auto")
    figure.colorbar(image, ax=axis, label=f"share of the {rows}'s images (%)", shrink=0.8)
    axis.set(xlabel=columns, ylabel=rows)
    name_ticks(axis, names[1], names[0])
    if annotated:
        _write_counts(axis, table, shares)


def _write_counts(axis: Axes, table: np.ndarray, brightness: np.ndarray) -> None:
    """Each count in its cell, dark on bright cells (0 to 1) and bright on dark ones."""
    for (row, column), count in np.ndenumerate(table):
        if count:
            color = "black" if brightness[row, column] > 0.5 else "white"
            axis.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)


def _top(p_ij: np.ndarray) -> float:
    """Upper end of P's colours in per cent: that of certain clusters of equal size, or more."""
    return max(100 / len(p_ij), 100 * float(p_ij.max()))
