r"""Doubts: which images may lie in the wrong cluster, because their whole style does.

A network that has been taught a style in the wrong cluster knows the style by heart, so it cannot
tell. A simple classifier that has never seen the style can. It is the ridge regression of the
clusters Y (n, k), as one-hot rows, on patch features F (n, d), standardised and with a constant:

    Ŷ = HY,    H = F(FᵀF + λE)⁻¹Fᵀ

Its scores of a group G of images when it has not seen the group have a closed form,

    Y_G - (E - H_GG)⁻¹(Y_G - Ŷ_G)

so hundreds of groups cost one regression and a small system of equations each. The groups are found
by k-means on a network's features, within each cluster: images of one style. The margin of a group
is its mean score of its own cluster less that of the next one; an image has the least margin of its
groups in several groupings. A group that is most of its cluster, as in small sets, leaves too few
others to judge it and does not count. Images of a small margin are in doubt. Which cluster they
belong to instead, this classifier cannot say (docs/recipe-log.md).
"""

import logging
from collections.abc import Sequence

import numpy as np
from scipy.linalg import cholesky, solve, solve_triangular
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

from iic.core.constants import UNTAUGHT
from iic.core.plurals import counted
from iic.training.patches import patch_features

log = logging.getLogger(__name__)

# Mean number of images of a group, before the clusters divide it, in each grouping.
GROUPS = (300, 150, 300, 150)
# λ as a share of the number of images.
RIDGE = 1 / 60
# Images of one regression, which bounds the memory: more are divided among several regressions.
MOST = 60_000
# Largest share of a cluster in doubt, and of a cluster in a group that is judged by the others. A
# cluster of which nothing is taught would be lost.
MOST_OF_A_CLUSTER = 0.5
# Margin of an image that is in no such group, above all others.
UNJUDGED = 9.0
_BATCH = 5000


def without_doubts(
    images: np.ndarray, groupings: Sequence[np.ndarray], clustering: np.ndarray, margin: float
) -> np.ndarray:
    """Replace the clusters of the images in doubt.

    Args:
        images: (n, h, w) or (n, h, w, 3) uint8 training images.
        groupings: Groupings of the images by style, each (n,) integers, as from group_styles;
            without any, nothing is in doubt.
        clustering: (n,) integer clusters; UNTAUGHT where there is none.
        margin: Least margin of an image that is not in doubt. At most half of the images of a
            cluster, those of the least margins, are in doubt.

    Returns:
        (n,) int32 clusters; UNTAUGHT where an image is in doubt.
    """
    if not groupings:
        return clustering.astype(np.int32)
    found, parts = np.full(len(images), np.inf), -(-len(images) // MOST)
    for part in range(parts):
        chosen = np.arange(part, len(images), parts)
        chosen = chosen[clustering[chosen] != UNTAUGHT]
        here = [groups[chosen] for groups in groupings]
        found[chosen] = margins(images[chosen], here, clustering[chosen])
    if unjudged := int((found == UNJUDGED).sum()):
        log.info(
            "%s in no doubt: each of their styles is most of its cluster",
            counted(unjudged, "image"),
        )
    taught = clustering.astype(np.int32)
    for cluster in np.unique(clustering[clustering != UNTAUGHT]):
        members = np.flatnonzero(clustering == cluster)
        limit = min(margin, np.quantile(found[members], MOST_OF_A_CLUSTER))
        taught[members[found[members] < limit]] = UNTAUGHT
    return taught


def margins(
    images: np.ndarray, groupings: Sequence[np.ndarray], clustering: np.ndarray
) -> np.ndarray:
    """Compute the least margin of each image over several groupings.

    Args:
        images: (n, h, w) or (n, h, w, 3) uint8 images.
        groupings: Groupings of the images, each (n,) integers at least 0.
        clustering: (n,) integer clusters, which divide the groups.

    Returns:
        (n,) float64 margins, about -1 to 1; UNJUDGED for an image whose groups are all more than
        MOST_OF_A_CLUSTER of their cluster.
    """
    # Sums that are divided among threads round differently on machines with more cores.
    with threadpool_limits(1):
        names, own = np.unique(clustering, return_inverse=True)
        y = np.eye(len(names), dtype=np.float32)[own]
        rows = whitened(patch_features(images))
        least = np.full(len(images), UNJUDGED)
        most = MOST_OF_A_CLUSTER * np.bincount(own)[own]
        for grouping in groupings:
            groups = grouping.astype(np.int64) * len(names) + own
            scores = held_out_scores(rows, y, groups)
            _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
            judged = sizes[group] <= most
            found = group_margins(scores, own, groups)
            least[judged] = np.minimum(least, found)[judged]
    return least


def whitened(features: np.ndarray) -> np.ndarray:
    """Transform features into rows B with BBᵀ = H, the matrix of the ridge regression.

    With the Cholesky factor L of FᵀF + λE, B = FL⁻ᵀ. The features are overwritten.

    Args:
        features: (n, d) float32; the last column is 1.

    Returns:
        (n, d) float32, the same array.
    """
    parts = [features[start : start + _BATCH] for start in range(0, len(features), _BATCH)]
    mean = sum(part.sum(axis=0, dtype=np.float64) for part in parts) / len(features)
    variance = sum(((part - mean) ** 2).sum(axis=0) for part in parts) / len(features)
    # A feature without variance becomes 0, but the last one stays 1.
    mean[-1], variance[-1] = 0, 1
    deviation = np.sqrt(variance) + 1e-6
    for part in parts:
        part[:] = (part - mean) / deviation
    gram = sum((part.T @ part).astype(np.float64) for part in parts)
    gram[np.diag_indices(len(gram))] += RIDGE * len(features)
    lower = cholesky(gram, lower=True)
    inverse = solve_triangular(lower, np.eye(len(lower)), lower=True).T.astype(np.float32)
    for part in parts:
        part[:] = part @ inverse
    return features


def held_out_scores(rows: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Compute the scores of each group by the regression on all other groups.

    Args:
        rows: (n, d) rows B with BBᵀ = H.
        y: (n, k) targets of the regression.
        groups: (n,) integer groups.

    Returns:
        (n, k) scores.
    """
    residuals = y - rows @ (rows.T @ y)
    scores = np.empty_like(residuals)
    order = np.argsort(groups, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        scores[group] = y[group] - _held_out(rows[group].astype(np.float64), residuals[group])
    return scores


def _held_out(b: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Solve (E - BBᵀ)x = residuals for the rows B (g, d) of a group."""
    if len(b) <= b.shape[1]:
        return solve(np.eye(len(b)) - b @ b.T, residuals, assume_a="pos")
    # The same by the smaller system: (E - BBᵀ)⁻¹ = E + B(E - BᵀB)⁻¹Bᵀ.
    inner = np.eye(b.shape[1]) - b.T @ b
    return residuals + b @ solve(inner, b.T @ residuals, assume_a="pos")


def group_margins(scores: np.ndarray, own: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Compute the margin of each image's group.

    Args:
        scores: (n, k) scores.
        own: (n,) integer cluster, the same for all images of a group.
        groups: (n,) integer groups.

    Returns:
        (n,) mean score of the own cluster less the largest mean score of another one.
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    sums = np.stack([np.bincount(group, column) for column in scores.T], axis=1)
    mean = sums / np.bincount(group)[:, None]
    place = (np.arange(len(first)), own[first])
    score = mean[place]
    mean[place] = -np.inf
    return (score - mean.max(axis=1))[group]


def group_styles(features: np.ndarray, place: int, networks: int) -> list[np.ndarray]:
    """Group images by the features of one of several networks, which take turns.

    Args:
        features: (n, d) float32 features of the images.
        place: Place of the network among them, counted from 0.
        networks: Number of networks.

    Returns:
        The groupings of this network, each (n,) int32; none after the fourth network.
    """
    groupings = []
    for number in range(place, len(GROUPS), networks):
        count = max(1, round(min(len(features), MOST) / GROUPS[number]))
        found = MiniBatchKMeans(count, batch_size=4096, n_init=1, max_iter=20, random_state=number)
        # As in `margins`.
        with threadpool_limits(1):
            groupings.append(found.fit_predict(features).astype(np.int32))
    return groupings
