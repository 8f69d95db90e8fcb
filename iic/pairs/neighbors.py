"""Nearest neighbours of each training image, its partners in pairs early in training.

A transformed view keeps the style of its image: no rotation or shear turns a plain seven into a
crossed one. Views alone therefore do not show that two styles are the same digit, and chance
decides where a cluster ends. A near neighbour is usually the same digit, sometimes in another
style, and so connects styles. The distance is Euclidean, between blurred images reduced to their
principal components, and images of more than 28×28 pixels are reduced to that size first, which
bounds the memory. No label is used. Exact copies of an image are no neighbours of it: a pair of
copies shows no more than a pair of the image with itself.
"""

import numpy as np
from scipy import ndimage
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from iic.core.constants import IMAGE_SIZE
from iic.core.errors import InputError
from iic.core.pixels import reduced
from iic.pairs.copies import Distinct, check_enough, find_distinct

# Standard deviation in pixels of 28, so that strokes a pixel or two apart still count as near.
BLUR = 1.0
# Principal components: 97 % of the variance of MNIST's blurred images, for a 16 times cheaper
# search.
COMPONENTS = 50
# Images that are blurred at once; all at once would need another copy of them.
_BATCH = 1000


def find_neighbors(images: np.ndarray, k: int) -> tuple[np.ndarray, list[str]]:
    """Check that images differ, and find the k nearest different images of each.

    Args:
        images: (n, h, w) uint8 grey values.
        k: Number of neighbours, 0 to the number of different images less one.

    Returns:
        (n, k) int32 indices as from nearest_neighbors, and warnings.

    Raises:
        InputError: All images are the same, or there are fewer than k other different images.
    """
    distinct = find_distinct(images)
    check_enough(distinct, clusters=1)
    warnings = []
    if len(distinct.first) < len(images):
        warnings.append(f"{distinct}; copies of an image are left out of its neighbours")
    return nearest_neighbors(images, k, distinct), warnings


def nearest_neighbors(images: np.ndarray, k: int, distinct: Distinct | None = None) -> np.ndarray:
    """Find the k nearest different images of each image.

    Args:
        images: (n, h, w) uint8 grey values or (n, h, w, 3) colours.
        k: Number of neighbours, 0 to the number of different images less one.
        distinct: The different images among them, if known.

    Returns:
        (n, k) int32 indices into `images`, nearest first, without the image itself and without
        copies: of several equal images, only the first one is a neighbour of others.

    Raises:
        InputError: There are fewer than k other different images.
    """
    first, place = distinct or find_distinct(images)
    if k >= len(first):
        among = f" among {len(images):,}" if len(first) < len(images) else ""
        raise InputError(
            f"augment.neighbors: {k} neighbours need more than {k} different training images, "
            f"there are {len(first)}{among}; lower it"
        )
    if k == 0:
        return np.empty((len(images), 0), np.int32)
    # Without query points, kneighbors excludes each point from its own neighbours.
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(_features(images, first))
    found = index.kneighbors(return_distance=False)
    return first[found][place].astype(np.int32)


def _features(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Reduce images to (m, components) float32 that nearly keep the distances when blurred.

    Args:
        images: (n, h, w) or (n, h, w, 3) uint8 images.
        chosen: (m,) indices of the images to reduce.

    Returns:
        Principal components of the chosen images, blurred.
    """
    side = min(images.shape[1], IMAGE_SIZE)
    blur = BLUR * side / IMAGE_SIZE
    sigma = (0, blur, blur, 0)[: images.ndim]
    blurred = np.empty((len(chosen), side, side, *images.shape[3:]), np.float32)
    for start in range(0, len(chosen), _BATCH):
        # The blur removes what smaller images lose.
        batch = reduced(images[chosen[start : start + _BATCH]], IMAGE_SIZE)
        # The filter computes each line in float64 anyway, so the uint8 images need no float copy.
        ndimage.gaussian_filter(batch, sigma, output=blurred[start : start + len(batch)])
    pixels = blurred.reshape(len(blurred), -1)
    components = min(COMPONENTS, *pixels.shape)
    # BLAS divides its sums among as many threads as there are cores, which changes the rounding.
    with threadpool_limits(1, "blas"):
        return PCA(components, svd_solver="covariance_eigh").fit_transform(pixels)
