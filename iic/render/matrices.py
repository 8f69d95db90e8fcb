"""Heat maps: the joint matrix P, confusion matrices, and the overclusters of each class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from iic.render.figures import BLUE, Room, fitted, name_ticks

COLOR_MAP = "cividis"
# Counts are written into the cells of matrices of up to this size; in larger ones they overlap.
_MAX_ANNOTATED = 20


def joint_figure(
    p_ij: np.ndarray,
    table: np.ndarray,
    order: np.ndarray,
    names: tuple[Sequence[str], Sequence[str]],
    title: str,
    room: Room | None = None,
) -> Figure:
    """Draw the joint matrix P and the confusion matrix, with the clusters in the same order.

    Args:
        p_ij: Joint distribution (k, k) of the clusters of both views.
        table: Counts (classes, k) of test images.
        order: Clusters (k,) in the order of the axes.
        names: Names of the classes, and names of the k clusters in that order.
        title: Title over both panels.
        room: What the figure has room for; None to measure it.
    """

    def draw(room: Room) -> Figure:
        figure, right = _joint_beside(p_ij, order, names[1], title, room)
        _draw_confusion(figure, right, table[:, order], names, "cluster (matched class)", room)
        right.set_title("confusion matrix")
        return figure

    return fitted(draw, room)


def joint_and_sizes_figure(
    p_ij: np.ndarray,
    sizes: np.ndarray,
    order: np.ndarray,
    names: Sequence[str],
    title: str,
    largest: int,
    room: Room | None = None,
) -> Figure:
    """Draw the joint matrix P and the sizes of the clusters, for data without labels.

    Args:
        p_ij: Joint distribution (k, k) of the clusters of both views.
        sizes: Numbers (k,) of test images in each cluster.
        order: Clusters (k,) in the order of the axes.
        names: Names of the k clusters in that order.
        title: Title over both panels.
        largest: Largest size that the y axis shows; equal for all frames of an animation.
        room: What the figure has room for; None to measure it.
    """

    def draw(room: Room) -> Figure:
        figure, right = _joint_beside(p_ij, order, names, title, room)
        right.bar(range(len(order)), sizes[order], color=BLUE)
        right.set(title="cluster sizes", xlabel="cluster", ylabel="test images")
        right.set_ylim(0, 1.05 * max(1, largest))
        name_ticks(right, names, None, room)
        return figure

    return fitted(draw, room)


def confusion_figure(
    table: np.ndarray, names: Sequence[str], title: str, unit: str = "images"
) -> Figure:
    """Draw a confusion matrix.

    Args:
        table: Counts (classes, classes) by label and predicted class.
        names: Names of the classes.
        title: Title of the figure.
        unit: What is counted.
    """

    def draw(room: Room) -> Figure:
        figure = Figure(figsize=(5.0, 4.4), layout="constrained")
        axis = figure.subplots()
        _draw_confusion(figure, axis, table, (names, names), "predicted class", room, unit=unit)
        axis.set_title(title, fontsize=10)
        return figure

    return fitted(draw)


def overclusters_figure(
    table: np.ndarray, order: np.ndarray, names: Sequence[str], rows: str, unit: str = "images"
) -> Figure:
    """Draw the test images of each label or cluster by overcluster.

    Args:
        table: Counts (rows, k) of test images.
        order: Overclusters (k,) in the order of the columns.
        names: Names of the rows.
        rows: Kind of the rows, "label" or "cluster".
        unit: What is counted.
    """
    columns, label = [str(cluster) for cluster in order], f"overcluster, grouped by majority {rows}"

    def draw(room: Room) -> Figure:
        figure = Figure(figsize=(12.5, 4.0), layout="constrained")
        axis = figure.subplots()
        both = names, columns
        _draw_confusion(figure, axis, table[:, order], both, label, room, rows, unit)
        axis.tick_params(axis="x", labelsize=min(10, 450 / len(axis.get_xticks())), rotation=90)
        return figure

    return fitted(draw)


def errors_figure(table: np.ndarray, names: tuple[Sequence[str], Sequence[str]]) -> Figure:
    """Draw the misclassified images by label and predicted class; cells without any are blank.

    Args:
        table: Counts (classes, columns), zero where label and predicted class are equal.
        names: Names of the rows and of the columns.
    """

    def draw(room: Room) -> Figure:
        return _errors(table, names, room)

    return fitted(draw)


def _errors(table: np.ndarray, names: tuple[Sequence[str], Sequence[str]], room: Room) -> Figure:
    # Square cells, and room for the names of the rows.
    size = max(4.6, 1.6 + 0.46 * min(len(table), _MAX_ANNOTATED))
    figure = Figure(figsize=(size + 1.4, size), layout="constrained")
    axis = figure.subplots()
    shown = np.ma.masked_equal(table, 0)
    image = axis.imshow(shown, cmap=COLOR_MAP, vmin=0, vmax=max(1, table.max()), aspect="auto")
    figure.colorbar(
        image, ax=axis, label="test images", shrink=0.8, ticks=MaxNLocator(6, integer=True)
    )
    axis.set(xlabel="predicted class", ylabel="label")
    name_ticks(axis, names[1], names[0], room)
    if room.notes and max(table.shape) <= _MAX_ANNOTATED + 1:
        _write_counts(axis, table, table / max(1, table.max()))
    return figure


def _joint_beside(
    p_ij: np.ndarray, order: np.ndarray, names: Sequence[str], title: str, room: Room
) -> tuple[Figure, Axes]:
    """Draw P in the left panel; return the figure and its empty right panel."""
    # A fixed size, equal for all frames of an animation.
    figure = Figure(figsize=(10.4, 4.9), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    image = left.imshow(100 * p_ij[np.ix_(order, order)], cmap=COLOR_MAP, vmin=0, vmax=_top(p_ij))
    figure.colorbar(image, ax=left, label="share of pairs (%)", shrink=0.8)
    left.set(
        title="joint matrix P", xlabel="cluster of one view", ylabel="cluster of the other view"
    )
    name_ticks(left, names, names, room)
    return figure, right


def _draw_confusion(
    figure: Figure,
    axis: Axes,
    table: np.ndarray,
    names: tuple[Sequence[str], Sequence[str]],
    columns: str,
    room: Room,
    rows: str = "label",
    unit: str = "images",
) -> None:
    """Draw counts as shares of their row, since classes differ in size.

    If there is no room for the counts in the cells, the colours use a square-root scale.
    """
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    annotated = room.notes and max(table.shape) <= _MAX_ANNOTATED
    # In many columns the shares are small; a linear scale would show nearly all of them as dark.
    norm = Normalize(0, 100) if annotated else PowerNorm(0.5, 0, 100)
    image = axis.imshow(100 * shares, cmap=COLOR_MAP, norm=norm, aspect="auto")
    figure.colorbar(image, ax=axis, label=f"share of the {rows}'s {unit} (%)", shrink=0.8)
    axis.set(xlabel=columns, ylabel=rows)
    name_ticks(axis, names[1], names[0], room)
    if annotated:
        _write_counts(axis, table, shares)


def _write_counts(axis: Axes, table: np.ndarray, brightness: np.ndarray) -> None:
    """Write each count into its cell: black on bright cells (0 to 1), white on dark ones."""
    for (row, column), count in np.ndenumerate(table):
        if count:
            color = "black" if brightness[row, column] > 0.5 else "white"
            axis.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)


def _top(p_ij: np.ndarray) -> float:
    """Upper end of the colour scale of P, in per cent: 1/k, or the largest entry if that is more.

    1/k is the diagonal entry if the clusters are certain and equally large.
    """
    return max(100 / len(p_ij), 100 * float(p_ij.max()))
