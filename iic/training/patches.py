r"""Features of an image's patches: a description that needs no label and no trained network.

Coates, Ng, Lee: An Analysis of Single-Layer Networks in Unsupervised Feature Learning, AISTATS 2011
(https://proceedings.mlr.press/v15/coates11a.html).

k-means finds the centres c₁, …, c_K among patches of the training images. With the distances
dₖ = ‖p - cₖ‖, a patch p becomes

    fₖ(p) = max(0, mean(d) - dₖ)

which is 0 for every centre that is further away than the mean. The features of an image are the
means of these numbers in each cell of a grid.
"""

from itertools import pairwise

import numpy as np
import tensorflow as tf
from sklearn.cluster import MiniBatchKMeans

from iic.core.constants import IMAGE_SIZE
from iic.core.pixels import reduced

# Height and width of a patch, and the distance between two, in pixels.
SIZE, STRIDE = 7, 2
# Centres, and cells of the grid in each direction. Twice the centres, 9×9 pixels, or a second set
# of 5×5 pixels find no more misplaced images (docs/recipe-log.md).
CENTRES, GRID = 160, 3
# Patches from which k-means finds the centres.
_PATCHES = 100_000
# Images at once.
_BATCH = 1000


def patch_features(images: np.ndarray) -> np.ndarray:
    """Describe images by their patches.

    Images of more than 28×28 pixels are reduced to that size first.

    Args:
        images: (n, h, w) or (n, h, w, 3) uint8 images.

    Returns:
        (n, 9·160 + 1) float32, at least 0; the last column is 1, the constant of a regression.
    """
    small = reduced(images, IMAGE_SIZE)
    small = small if small.ndim == 4 else small[..., None]
    centres = tf.constant(_centres(small), tf.float32)
    features = np.ones((len(small), GRID * GRID * CENTRES + 1), np.float32)
    for start in range(0, len(small), _BATCH):
        batch = slice(start, start + _BATCH)
        features[batch, :-1] = _encoded(tf.constant(small[batch]), centres).numpy()
    return features


def _centres(images: np.ndarray) -> np.ndarray:
    """Find the centres, (SIZE, SIZE, c, K) float32, of patches of images (n, h, w, c)."""
    random = np.random.default_rng(0)
    index = random.integers(len(images), size=_PATCHES)
    top, left = (random.integers(side - SIZE + 1, size=_PATCHES) for side in images.shape[1:3])
    windows = np.lib.stride_tricks.sliding_window_view(images, (SIZE, SIZE), axis=(1, 2))
    patches = windows[index, top, left].transpose(0, 2, 3, 1)
    found = MiniBatchKMeans(
        CENTRES, batch_size=4096, n_init=1, max_iter=20, random_state=0, compute_labels=False
    ).fit(patches.reshape(_PATCHES, -1) / np.float32(255))
    return found.cluster_centers_.T.reshape(*patches.shape[1:], CENTRES)


def _encode(images: tf.Tensor, centres: tf.Tensor) -> tf.Tensor:
    """Compute the features of images (n, h, w, c) from the centres (SIZE, SIZE, c, K)."""
    x = tf.cast(images, tf.float32) / 255.0
    # ‖p - c‖² = ‖p‖² - 2pc + ‖c‖²
    squares = tf.nn.conv2d(x**2, tf.ones([*centres.shape[:3], 1]), STRIDE, "VALID")
    products = tf.nn.conv2d(x, centres, STRIDE, "VALID")
    norms = tf.reduce_sum(centres**2, axis=(0, 1, 2))
    distances = tf.sqrt(tf.maximum(squares - 2 * products + norms, 0))
    return _pooled(tf.nn.relu(tf.reduce_mean(distances, 3, keepdims=True) - distances))


_encoded = tf.function(_encode)


def _pooled(x: tf.Tensor) -> tf.Tensor:
    """Average (n, h, w, K) in the cells of a grid: (n, GRID²·K)."""
    edges = [round(x.shape[1] * place / GRID) for place in range(GRID + 1)]
    cells = [
        tf.reduce_mean(x[:, top:bottom, left:right], axis=(1, 2))
        for top, bottom in pairwise(edges)
        for left, right in pairwise(edges)
    ]
    return tf.concat(cells, axis=1)
