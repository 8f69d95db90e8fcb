"""Mixed views: parts of a tile covered by another tile of the batch, as in CutMix.

At a border between two textures, two views may agree on a wrong place, such as two pixels inside
one of them, since both see the same border. Where another tile covers a part of a view, the border
is where the cover ends, and the first views of both tiles, which do not see it, say what lies on
either side. So mixed views teach where borders are. While they do, cells at which the segments of a
tile's first view change do not count.

Yun, Han, Oh, Chun, Choe, Yoo: CutMix: Regularization Strategy to Train Strong Classifiers with
Localizable Features, ICCV 2019 (https://arxiv.org/abs/1905.04899).
"""

import numpy as np
import tensorflow as tf

# Cells of a cover, each of which covers the view with probability one half.
_CELLS = 5
# Width of the neighbourhood in which all cells have one segment, if the cell counts.
_NEIGHBOURHOOD = 3


def draw_covers(random: np.random.Generator, n: int, side: int) -> np.ndarray:
    """Draw the covered pixels of views: some of the Voronoi cells of random points.

    Args:
        random: Generator.
        n: Number of views.
        side: Height and width of a view in pixels.

    Returns:
        (n, side, side) bool, True where another tile covers the view.
    """
    points = random.uniform(0, side, (2, n, _CELLS, 1, 1))
    covers = random.uniform(size=(n, _CELLS)) < 0.5
    rows, columns = np.mgrid[:side, :side] + 0.5
    nearest = np.argmin((rows - points[0]) ** 2 + (columns - points[1]) ** 2, axis=1)
    return np.take_along_axis(covers, nearest.reshape(n, -1), axis=1).reshape(nearest.shape)


def mixed(x: tf.Tensor, covered: tf.Tensor) -> tf.Tensor:
    """Cover pixels of tiles, or of outputs, by those of the tile before in the batch.

    Args:
        x: (n, s, s, ...) values.
        covered: (n, s, s) bool.

    Returns:
        (n, s, s, ...) values.
    """
    covers = tf.reshape(covered, [*covered.shape, *[1] * (len(x.shape) - 3)])
    return tf.where(covers, tf.roll(x, 1, axis=0), x)


def coarse(counts: tf.Tensor, side: int) -> tf.Tensor:
    """Return which cells of a coarse map count: those of counting pixels alone.

    Args:
        counts: (n, s, s) float32, 1 for pixels that count, 0 for others.
        side: Height and width of the coarse map, which divides s.

    Returns:
        (n, side, side) float32, 0 or 1.
    """
    step = counts.shape[1] // side
    return -tf.nn.max_pool2d(-counts[..., None], step, step, "VALID")[..., 0]


def inside_segments(z: tf.Tensor) -> tf.Tensor:
    """Return which cells of a coarse map lie inside a segment: their neighbours have the same one.

    Args:
        z: (n, h, w, k) float soft assignments.

    Returns:
        (n, h, w) float32, 0 or 1.
    """
    segments = tf.cast(tf.argmax(z, axis=-1), tf.float32)[..., None]
    largest = tf.nn.max_pool2d(segments, _NEIGHBOURHOOD, 1, "SAME")
    smallest = -tf.nn.max_pool2d(-segments, _NEIGHBOURHOOD, 1, "SAME")
    return tf.cast(tf.equal(largest, smallest), tf.float32)[..., 0]
