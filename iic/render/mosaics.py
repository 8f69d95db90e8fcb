"""Figures of many images: one array of all, since an axis for each image is slow."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from iic.render.figures import ORANGE

# Inches of a cell's width; gaps between images as shares of an image.
_CELL, _GAP = 1.15, 0.14


def grid_figure(examples: np.ndarray, titles: Sequence[str]) -> Figure:
    """A row an image: the image itself and what goes with it.

    Args:
        examples: (n, columns, 28, 28) uint8.
        titles: of the columns.
    """
    figure, axis, corners = _mosaic(examples)
    axis.set_xticks(corners[0, :, 0] + (examples.shape[3] - 1) / 2, titles)
    axis.tick_params(top=False, labeltop=True, bottom=False, labelbottom=False)
    return figure


def samples_figure(rows: Sequence[tuple[str, np.ndarray, np.ndarray]], columns: int) -> Figure:
    """Images of clusters, one row each; those that are not as wanted are framed.

    Args:
        rows: title, images (n, 28, 28) and whether each is as wanted (n,).
        columns: at most this many images a row.
    """
    height, width = rows[0][1].shape[1:]
    tiles = np.zeros((len(rows), columns, height, width), np.uint8)
    for line, (_, images, _) in zip(tiles, rows, strict=True):
        line[: len(images)] = images
    figure, axis, corners = _mosaic(tiles)
    axis.set_yticks(corners[:, 0, 1] + (height - 1) / 2, [title for title, _, _ in rows])
    axis.tick_params(left=False)
    for line, (_, _, wanted) in zip(corners, rows, strict=True):
        for x, y in line[: len(wanted)][~wanted]:
            frame = (x - 1.5, y - 1.5), width + 2, height + 2
            axis.add_patch(Rectangle(*frame, fill=False, color=ORANGE, linewidth=2))
    return figure


def gallery_figure(images: np.ndarray, titles: Sequence[str], columns: int) -> Figure:
    """Images (n, 28, 28) row by row, each under a title of its own of up to three lines."""
    rows, (height, width) = max(1, -(-len(images) // columns)), images.shape[1:]
    tiles = np.zeros((rows * columns, height, width), np.uint8)
    tiles[: len(images)] = images
    figure, axis, corners = _mosaic(tiles.reshape(rows, columns, height, width), above=0.5)
    for (x, y), title in zip(corners.reshape(-1, 2), titles, strict=False):
        axis.text(x + (width - 1) / 2, y - 1, title, ha="center", va="bottom", fontsize=8)
    return figure


def _mosaic(tiles: np.ndarray, above: float = _GAP) -> tuple[Figure, Axes, np.ndarray]:
    """Dark ink on white: figure, axis, and the pixel (rows, columns, 2) at which each begins.

    Args:
        tiles: (rows, columns, h, w) uint8.
        above: room over each row, as a share of h.
    """
    rows, columns, height, width = tiles.shape
    top, side = round(above * height), round(_GAP * width)
    cells = np.zeros((rows, top + height, columns, side + width), np.uint8)
    cells[:, top:, :, side:] = tiles.transpose(0, 2, 1, 3)
    # Room for frames at the edges.
    sheet = np.pad(cells.reshape(rows * (top + height), -1), ((0, side), (0, side)))
    size = _CELL * columns, _CELL * sheet.shape[0] / (side + width)
    figure = Figure(figsize=(size[0] + 0.8, size[1] + 0.4), layout="constrained")
    axis = figure.subplots()
    axis.imshow(sheet, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    x, y = np.arange(columns) * (side + width) + side, np.arange(rows) * (top + height) + top
    return figure, axis, np.stack(np.meshgrid(x, y), axis=-1)
