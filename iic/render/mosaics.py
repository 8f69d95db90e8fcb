"""Figures of many images, drawn as one array; one axis per image would be slow."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from iic.render.figures import ORANGE

# Width of a cell in inches; gap between images as a share of an image.
_CELL, _GAP = 1.15, 0.14
# Largest width of a title over an image, as a share of a cell.
_TITLE_WIDTH = 0.95
# Space at the edges of a figure and beside titles, and the height of titles of columns, in inches.
_PAD, _HEADING = 0.1, 0.25


def grid_figure(examples: np.ndarray, titles: Sequence[str]) -> Figure:
    """Draw a grid of images under column titles.

    Args:
        examples: Images (n, columns, h, w) or (n, columns, h, w, 3), uint8, one row for each of n
            examples.
        titles: Titles of the columns.
    """
    figure, axis, corners = _mosaic(examples, heading=_HEADING)
    axis.set_xticks(corners[0, :, 0] + (examples.shape[3] - 1) / 2, titles)
    axis.tick_params(top=False, labeltop=True, bottom=False, labelbottom=False)
    return figure


def strips_figure(strips: np.ndarray, title: str) -> Figure:
    """Draw rows of images under one title.

    Args:
        strips: Images (rows, columns, h, w) or (rows, columns, h, w, 3), uint8.
        title: Title of the figure.
    """
    figure, axis, _ = _mosaic(strips, heading=_HEADING)
    axis.set_title(title)
    return figure


def samples_figure(rows: Sequence[tuple[str, np.ndarray, np.ndarray]], columns: int) -> Figure:
    """Draw one row of images per group, with a frame around some of them.

    Args:
        rows: Title, images (n, h, w) or (n, h, w, 3), and whether each image (n,) is framed, for
            each row.
        columns: Largest number of images in a row.
    """
    shape = rows[0][1].shape[1:]
    height, width = shape[:2]
    tiles = np.full((len(rows), columns, *shape), _blank(shape), np.uint8)
    for line, (_, images, _) in zip(tiles, rows, strict=True):
        line[: len(images)] = images
    titles, font = [title for title, _, _ in rows], rcParams["ytick.labelsize"]
    size = FontProperties(size=font).get_size_in_points()
    figure, axis, corners = _mosaic(tiles, beside=_widest(titles, size) / 72 + _PAD)
    axis.set_yticks(corners[:, 0, 1] + (height - 1) / 2, titles)
    axis.tick_params(left=False)
    for line, (_, _, is_framed) in zip(corners, rows, strict=True):
        for x, y in line[: len(is_framed)][is_framed]:
            frame = (x - 1.5, y - 1.5), width + 2, height + 2
            axis.add_patch(Rectangle(*frame, fill=False, color=ORANGE, linewidth=2))
    return figure


def gallery_figure(images: np.ndarray, titles: Sequence[str], columns: int) -> Figure:
    """Draw images row by row, each under its own title.

    Args:
        images: Images (n, h, w) or (n, h, w, 3), uint8.
        titles: Titles of the n images, of up to three lines.
        columns: Number of images in a row.
    """
    rows, shape = max(1, -(-len(images) // columns)), images.shape[1:]
    tiles = np.full((rows * columns, *shape), _blank(shape), np.uint8)
    tiles[: len(images)] = images
    figure, axis, corners = _mosaic(tiles.reshape(rows, columns, *shape), above=0.5)
    size = _title_size(titles)
    for (x, y), title in zip(corners.reshape(-1, 2), titles, strict=False):
        axis.text(x + (shape[1] - 1) / 2, y - 1, title, ha="center", va="bottom", fontsize=size)
    return figure


def _blank(shape: Sequence[int]) -> int:
    """Value that is shown white: no ink in grey images (h, w), white in colours (h, w, 3)."""
    return 0 if len(shape) == 2 else 255


def _title_size(titles: Sequence[str]) -> float:
    """Font size in points, 8 or less, at which no title is wider than a cell."""
    return 8 * min(1.0, _TITLE_WIDTH * 72 * _CELL / _widest(titles, 8))


def _widest(titles: Sequence[str], size: float) -> float:
    """Width of the widest line of titles in a font size, both in points."""
    lines = [line for title in titles for line in title.split("\n") if line]
    return max(
        (TextPath((0, 0), line, size=size).get_extents().width for line in lines), default=1.0
    )


def _mosaic(
    tiles: np.ndarray, above: float = _GAP, beside: float = 0.0, heading: float = 0.0
) -> tuple[Figure, Axes, np.ndarray]:
    """Draw grey images as dark ink on white, and images in colour as they are.

    Args:
        tiles: Images (rows, columns, h, w) or (rows, columns, h, w, 3), uint8.
        above: Space above each row, as a share of h.
        beside: Space to the left of the images, in inches.
        heading: Space above all images, in inches.

    Returns:
        Figure, its axis, and the x and y (rows, columns, 2) of each image's upper left pixel.
    """
    rows, columns, height, width, *channels = tiles.shape
    top, side = round(above * height), round(_GAP * width)
    blank = _blank(tiles.shape[2:])
    cells = np.full((rows, top + height, columns, side + width, *channels), blank, np.uint8)
    cells[:, top:, :, side:] = tiles.swapaxes(1, 2)
    joined = cells.reshape(rows * (top + height), columns * (side + width), *channels)
    # Space for frames at the edges.
    edges = ((0, side), (0, side), (0, 0))[: joined.ndim]
    sheet = np.pad(joined, edges, constant_values=blank)
    scale = _CELL / (side + width)
    wide, high = scale * sheet.shape[1], scale * sheet.shape[0]
    total = wide + beside + 2 * _PAD, high + heading + 2 * _PAD
    figure = Figure(figsize=total)
    # Placed by hand: the constrained layout cuts titles beside images of a fixed aspect ratio.
    left, bottom = (beside + _PAD) / total[0], _PAD / total[1]
    axis = figure.add_axes((left, bottom, wide / total[0], high / total[1]))
    axis.imshow(sheet, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    x, y = np.arange(columns) * (side + width) + side, np.arange(rows) * (top + height) + top
    return figure, axis, np.stack(np.meshgrid(x, y), axis=-1)
