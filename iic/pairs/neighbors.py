"""Nearest neighbours of each image among the others: the partners of the first pairs.

A transformed view of an image keeps its style: no turn or shear makes a plain seven of a crossed
one. So views alone do not say that two styles are one digit, and where a style ends is left to
chance. A near neighbour is mostly the same digit, now and then in another style, and joins them.
The distance is that of blurred pixels, reduced to their principal components; no label is used.
"""

import numpy as np
from scipy import ndimage
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from iic.core.errors import InputError

# In pixels: strokes that miss each other by a pixel or two still count as near.
BLUR = 1.0
# They hold 97 % of the blurred images' variance in MNIST, and make the search 16 times cheaper.
COMPONENTS = 50


def nearest_neighbors(images: np.ndarray, k: int) -> np.ndarray:
    """The k nearest other images of each image, nearest first.

    Args:
        images: (n, h, w) uint8.
        k: 0 to n - 1; 0 gives an array without columns.

    Returns:
        (n, k) int32 indices into `images`, never that of the image itself.

    Raises:
        InputError: there are no k other images.
    """
    if k >= len(images):
        raise InputError(
            f"augment.neighbors: {k} neighbours need more than {k} training images, "
            f"there are {len(images)}; lower it"
        )
    if k == 0:
        return np.empty((len(images), 0), np.int32)
    # Queried without points, an index leaves each point out of its own neighbours.
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(_features(images))
    return index.kneighbors(return_distance=False).astype(np.int32)


def _features(images: np.ndarray) -> np.ndarray:
    """(n, components) float32, whose Euclidean distances nearly are those of blurred images."""
    # Each line is filtered in float64 anyway, so a float32 copy of all images would be for nothing.
    blurred = ndimage.gaussian_filter(images, (0, BLUR, BLUR), output=np.float32)
    pixels = blurred.reshape(len(images), -1)
    components = min(COMPONENTS, *pixels.shape)
    # BLAS splits its sums among threads, no more of them than cores: other cores, other bytes.
    with threadpool_limits(1, "blas"):
        return PCA(components, svd_solver="covariance_eigh").fit_transform(pixels)
