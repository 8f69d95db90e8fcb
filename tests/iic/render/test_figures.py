"""Figures show the arrays that they are given."""

import io
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from iic.render.bars import shares_figure, sizes_figure
from iic.render.figures import cost_figure
from iic.render.matrices import (
    confusion_figure,
    errors_figure,
    joint_and_sizes_figure,
    joint_figure,
    overclusters_figure,
)
from iic.render.mosaics import gallery_figure, grid_figure, samples_figure
from iic.render.names import short_names
from iic.render.pictures import Picture, animation, png, sharp_png, sprite, tile


def sheet_of(figure: Figure) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array())


@pytest.mark.parametrize("side", [16, 28, 64, 128])
def test_colours_are_drawn_as_they_are_on_white(random, side):
    images = random.integers(0, 256, (3, side, side, 3), np.uint8)
    for figure in (
        gallery_figure(images, ["a", "b", "c"], 2),
        samples_figure([("row", images, np.array([True, False, True]))], 4),
        grid_figure(images[:, None].repeat(2, axis=1), ["x", "y"]),
    ):
        sheet = sheet_of(figure)
        gap = round(0.14 * side)
        top = round(0.5 * side) if len(figure.axes[0].texts) else gap
        np.testing.assert_array_equal(sheet[top : top + side, gap : gap + side], images[0])
        assert (sheet[:gap, :gap] == 255).all()
        assert (sheet[-1] == 255).all()


@pytest.mark.parametrize("side", [16, 64])
def test_grey_images_of_any_size_are_drawn_as_ink(random, side):
    images = random.integers(0, 256, (3, side, side), np.uint8)
    sheet = sheet_of(grid_figure(images[:, None], ["x"]))
    gap = round(0.14 * side)
    np.testing.assert_array_equal(sheet[gap : gap + side, gap : gap + side], images[0])
    assert (sheet[-1] == 0).all()


def test_sprites_and_tiles_of_colours_are_not_inverted(random):
    images = random.integers(0, 256, (3, 20, 20, 3), np.uint8)
    found = np.asarray(Image.open(io.BytesIO(sprite(images, 2))))
    np.testing.assert_array_equal(found[:20, 20:], images[1])
    assert (found[20:, 20:] == 255).all()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(tile(images[0])))), images[0])
    grey = np.asarray(Image.open(io.BytesIO(sprite(images[..., 0], 2))))
    np.testing.assert_array_equal(grey[20:, :20], 255 - images[2, ..., 0])


def test_cost_axes_start_at_zero():
    costs = {"images": {15000.0: 5.0, 60000.0: 17.5}, "width": {0.25: 9.0, 1.0: 17.0}}
    figure = cost_figure(list(costs.items()), "seconds")
    assert [axis.get_xlabel() for axis in figure.axes] == list(costs)
    for axis, values in zip(figure.axes, costs.values(), strict=True):
        x, y = axis.lines[0].get_data()
        np.testing.assert_array_equal(x, list(values))
        np.testing.assert_array_equal(y, list(values.values()))
        assert axis.get_ylim() == pytest.approx((0, 1.05 * max(y)))


def test_bars_have_the_given_heights_and_notes():
    parts = {"correct": np.array([3, 0, 5]), "incorrect": np.array([1, 2, 0])}
    axis = sizes_figure(["a", "b", "c"], parts, ("cluster", "images"), equal=4).axes[0]
    assert [bar.get_height() for bar in axis.patches] == [3, 0, 5, 1, 2, 0]
    assert [bar.get_y() for bar in axis.patches[3:]] == [3, 0, 5]
    assert [text.get_text() for text in axis.texts] == ["4", "2", "5"]
    shares = np.array([0.5, np.nan])
    axis = shares_figure(["a", "b"], shares, ("x", "y"), marks=("mean", shares + 0.1)).axes[0]
    assert [bar.get_height() for bar in axis.patches] == [0.5, 0]
    assert [text.get_text() for text in axis.texts] == ["50.0", ""]
    assert axis.lines[0].get_ydata()[0] == 0.6


def test_more_than_20_bars_have_no_notes():
    names = [str(number) for number in range(100)]
    axis = sizes_figure(names, {"images": np.arange(100)}, ("x", "y"), equal=1).axes[0]
    assert not axis.texts
    assert len(axis.get_xticks()) <= 60


def test_matrices_are_drawn_in_the_given_order_with_names():
    p_ij = np.array([[0.5, 0.0], [0.1, 0.4]])
    table = np.array([[1, 9], [8, 2]])
    order, names = np.array([1, 0]), (["x", "y"], ["1 (x)", "0 (y)"])
    left, right, *_ = joint_figure(p_ij, table, order, names, "title").axes
    np.testing.assert_allclose(left.images[0].get_array(), [[40, 10], [0, 50]])
    np.testing.assert_allclose(right.images[0].get_array(), [[90, 10], [20, 80]])
    assert [text.get_text() for text in right.texts] == ["9", "1", "2", "8"]
    assert [label.get_text() for label in right.get_xticklabels()] == names[1]
    figure = joint_and_sizes_figure(p_ij, np.array([3, 7]), order, names[1], "title", 20)
    right = figure.axes[1]
    assert [bar.get_height() for bar in right.patches] == [7, 3]
    assert right.get_ylim() == (0, 21)


def test_cells_without_errors_are_blank():
    table = np.array([[0, 3, 0], [1, 0, 2]])
    axis = errors_figure(table, (["a", "b"], ["a", "b", "none"])).axes[0]
    assert [text.get_text() for text in axis.texts] == ["3", "1", "2"]
    np.testing.assert_array_equal(np.ma.getmaskarray(axis.images[0].get_array()), table == 0)
    assert errors_figure(np.zeros((2, 2), int), (["a", "b"], ["a", "b"])).axes


def test_dollar_signs_are_drawn_as_text():
    """Matplotlib raises an error for mathematics that it cannot parse."""
    names = short_names([r"$\no$", "$", "a$b$c", r"\$x$"])
    assert png(confusion_figure(np.eye(4, dtype=int), names, "title"))


def test_images_are_drawn_at_their_places_with_frames_and_titles(random):
    images = random.integers(1, 255, (5, 28, 28), np.uint8)
    axis = grid_figure(images[:4].reshape(2, 2, 28, 28), ["one", "two"]).axes[0]
    sheet = axis.images[0].get_array()
    assert [label.get_text() for label in axis.get_xticklabels()] == ["one", "two"]
    middle = int(axis.get_xticks()[1] + 0.5)
    assert (sheet[:, middle - 14 : middle + 14] > 0).sum() == 2 * 28 * 28
    framed = np.array([False, True, False])
    rows = [("a", images[:3], framed), ("b", images[3:], np.zeros(2, bool))]
    axis = samples_figure(rows, 4).axes[0]
    assert len(axis.patches) == 1
    frame, sheet = axis.patches[0], axis.images[0].get_array()
    x, y = round(frame.get_x() + 1.5), round(frame.get_y() + 1.5)
    np.testing.assert_array_equal(sheet[y : y + 28, x : x + 28], images[1])
    axis = gallery_figure(images, list("abcde"), 3).axes[0]
    text, sheet = axis.texts[4], axis.images[0].get_array()
    (x, y), _ = (round(place) for place in text.get_position()), None
    np.testing.assert_array_equal(sheet[y + 1 : y + 29, x - 14 : x + 14], images[4])


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (10, 10), (10, 3), (40, 20)])
def test_titles_beside_images_are_inside_the_figure(rows, columns):
    images = np.zeros((columns, 28, 28), np.uint8)
    row = ("10 (a long name)\n1,234 images", images, np.zeros(columns, bool))
    figure = samples_figure([row] * rows, columns)
    figure.canvas.draw()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(drawn.x0, drawn.y0) >= 0
    assert drawn.x1 <= width
    assert drawn.y1 <= height
    # Nor do they leave a wide margin.
    assert drawn.x0 < 0.2


def test_a_sharper_image_has_the_same_size_on_the_page():
    figure = cost_figure([("x", {1.0: 1.0})], "y")
    sizes = [
        Picture("a.png", "", "", "", "", "", content).size
        for content in (png(figure), sharp_png(figure))
    ]
    assert sizes[0] == sizes[1] == (320, 320)
    assert Image.open(io.BytesIO(sharp_png(figure))).width == 480


def test_a_tile_is_the_inverted_image(random):
    image = random.integers(0, 255, (28, 28), np.uint8)
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(tile(image)))), 255 - image)


def test_frames_beyond_the_budget_are_dropped_and_the_last_stays():
    figures = [(str(x), cost_figure([("x", {1.0: float(x)})], "y")) for x in range(1, 8)]
    gif, frames = animation(figures, budget=10**6)
    assert [frame.title for frame in frames] == list("1234567")
    again, fewer = animation(figures, budget=4 * len(frames[0].content) + 999)
    assert [frame.title for frame in fewer] == list("1357")
    assert again == gif
    assert Image.open(io.BytesIO(gif)).n_frames == 7
    assert [frame.title for frame in animation(figures, budget=0)[1]] == ["3", "7"]


def boxes_of(figure: Figure, dpi: int) -> Iterator[list[Bbox]]:
    """Bounding boxes of the names of each axis, and of the texts in it, as drawn."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axis in figure.axes:
        for texts in (axis.get_xticklabels(), axis.get_yticklabels(), axis.texts):
            yield [text.get_window_extent(canvas.get_renderer()) for text in texts]


WIDE = short_names([f"{'W' * 12} {number} {'W' * 9}" for number in range(10)])


@pytest.mark.parametrize(
    ("k", "names"),
    [
        pytest.param(10, WIDE, id="wide"),
        pytest.param(13, [str(n) for n in range(10)], id="13"),
        pytest.param(300, short_names(["class"] * 300), id="300", marks=pytest.mark.long),
    ],
)
def test_names_and_notes_do_not_overlap(random, k, names):
    table = random.integers(0, 2000, (len(names), k))
    p_ij, order = np.eye(k) / k, np.arange(k)
    clusters = [f"{cluster} ({names[cluster % len(names)]})" for cluster in order]
    errors, axes = random.integers(0, 999, (len(names),) * 2), ("cluster", "images")
    drawn = [
        joint_figure(p_ij, table, order, (names, clusters), "title"),
        joint_and_sizes_figure(p_ij, table[0], order, clusters, "title", 2000),
        confusion_figure(errors, names, "title"),
        errors_figure(errors, (names, names)),
        overclusters_figure(np.tile(table, 2), np.arange(2 * k), names, "label"),
        sizes_figure(clusters, {"images": 99 * table[0]}, axes, equal=9),
        shares_figure(clusters, table[0] / 2000, axes),
        gallery_figure(np.zeros((9, 28, 28), np.uint8), [f"{n}\n→ {n}" for n in names[:9]], 8),
    ]
    for figure in drawn:
        for boxes in boxes_of(figure, dpi=100):
            assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_as_many_names_are_shown_as_there_is_room_for():
    names = [str(cluster) for cluster in range(50)]
    table = np.ones((10, 50), int)
    axis = overclusters_figure(table, np.arange(50), names[:10], "label").axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == names
    assert [label.get_text() for label in axis.get_yticklabels()] == names[:10]


def test_names_that_are_too_wide_are_rotated_before_any_is_left_out():
    names = [f"{cluster} (none)" for cluster in range(10)]
    figure = joint_and_sizes_figure(np.eye(10) / 10, np.arange(10), np.arange(10), names, "t", 9)
    for axis in figure.axes[:2]:
        assert [label.get_text() for label in axis.get_xticklabels()] == names
        assert axis.get_xticklabels()[0].get_rotation() == 90
