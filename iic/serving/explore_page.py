"""Rendering of the cluster explorer, without TensorFlow: map, neighbours and HTML.

`iic.serving.explore` computes the features and writes the page.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from markupsafe import Markup
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from iic.core.pixels import fit_budget
from iic.model.matching import UNMATCHED, contingency_table, majority_match
from iic.render.html import page_json, render_html
from iic.render.pictures import data_uri, sprite

# Most images of a page, also of `iic explore --limit`.
MOST_IMAGES = 20_000
# Similar images of an image, and nearest overclusters of a group, that the page lists.
SIMILAR = 24
NEAR = 12
_SPRITE_COLUMNS = 100
# Pixels of all images together: phones refuse to draw a much larger sprite.
_SPRITE_PIXELS = MOST_IMAGES * 28 * 28
# They explain 98 % of the variance of the default recipe's 256 features.
_COMPONENTS = 30
_PERPLEXITY = 30.0
# Fewer images have no neighbourhoods that a map could preserve.
_MIN_IMAGES = 5


@dataclass(frozen=True)
class ExplorerData:
    """Data of n images that the page shows, at most MOST_IMAGES.

    Attributes:
        images: Images (n, h, w) or (n, h, w, 3), uint8.
        split: "train" or "test".
        total: Number of images in the split; these images are all of them or an even sample.
        index: Index (n,) of each image in its split.
        features: Features (n, width) of the backbone.
        points: Place (n, 2) of each image on the map, from `project`.
        cluster: Soft assignments (n, clusters) of the clustering head.
        overcluster: Soft assignments (n, overclusters) of the overclustering head.
        labels: Class (n,) of each image, an index into `names`; None without labels.
        names: Names of the classes; any text.
        cluster_names: Class matched to each cluster, or None; empty without a model card.
        overcluster_names: Majority class of each overcluster, or None; empty without a model card.
        paths: File of each image; None if the images do not come from files.
        settings: Settings of the training, on one line.
    """

    images: np.ndarray
    split: str
    total: int
    index: np.ndarray
    features: np.ndarray
    points: np.ndarray
    cluster: np.ndarray
    overcluster: np.ndarray
    labels: np.ndarray | None
    names: Sequence[str]
    cluster_names: Sequence[str | None]
    overcluster_names: Sequence[str | None]
    paths: Sequence[str] | None
    settings: str


def project(features: np.ndarray) -> np.ndarray:
    """Project features (n, width) onto a map (n, 2) by t-SNE of their principal components."""
    n = len(features)
    if n < _MIN_IMAGES or not np.ptp(features, axis=0).any():
        return np.zeros((n, 2), np.float32)
    reduced = PCA(min(_COMPONENTS, *features.shape), svd_solver="full").fit_transform(features)
    perplexity = min(_PERPLEXITY, (n - 1) / 3)
    start = "pca" if reduced.shape[1] > 1 else "random"
    return TSNE(perplexity=perplexity, init=start, random_state=0).fit_transform(reduced)


def similar_images(features: np.ndarray, k: int = SIMILAR) -> np.ndarray:
    """Find the nearest neighbours of each image in feature space.

    Args:
        features: Features (n, width).
        k: Number of neighbours; at most n - 1 are returned.

    Returns:
        Indices (n, k) of the neighbours, nearest first.
    """
    k = min(k, len(features) - 1)
    if k < 1:
        return np.empty((len(features), 0), np.int64)
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(features)
    return index.kneighbors(return_distance=False)


def centroids(features: np.ndarray, groups: np.ndarray, k: int) -> np.ndarray:
    """Compute the mean features of each group.

    Args:
        features: Features (n, width).
        groups: Group (n,) of each image.
        k: Number of groups.

    Returns:
        Centroids (k, width); NaN for empty groups.
    """
    sums = np.zeros((k, features.shape[1]))
    np.add.at(sums, groups, features)
    counts = np.bincount(groups, minlength=k)[:, None]
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def nearest_groups(
    centers: np.ndarray, others: np.ndarray, excluded: np.ndarray
) -> list[list[tuple[int, float]]]:
    """Find the nearest groups of each group, at most NEAR, by the distance of the centroids.

    Args:
        centers: Centroids (a, width); NaN for empty groups.
        others: Centroids (b, width) of the groups to choose from; NaN for empty groups.
        excluded: Pairs (a, b) to leave out, bool.

    Returns:
        Index and distance of the nearest groups, for each of the a groups.
    """
    found = []
    for center, skip in zip(centers, excluded, strict=True):
        distances = np.where(skip, np.nan, np.linalg.norm(others - center, axis=1))
        order = np.argsort(distances, kind="stable")[:NEAR]
        found.append(
            [(int(j), float(f"{distances[j]:.4g}")) for j in order if np.isfinite(distances[j])]
        )
    return found


def render_explorer(shown: ExplorerData) -> str:
    """Render the self-contained HTML page."""
    script = (files("iic.serving") / "explore.js").read_text("utf-8")
    tiles = fit_budget(shown.images, _SPRITE_PIXELS)
    return render_html(
        "iic.serving",
        "explore.html.j2",
        shown=shown,
        count=len(shown.images),
        sprite=data_uri("png", sprite(tiles, _SPRITE_COLUMNS)),
        data=_json(shown, tiles.shape[1]),
        script=Markup(script),  # noqa: S704 - a file of this package
    )


def _json(shown: ExplorerData, side: int) -> str:
    """Data for the page's script as JSON, with arrays as base64 of little-endian values.

    Args:
        shown: The data.
        side: Height and width of the images in the sprite.
    """
    clusters, overclusters = shown.cluster.shape[1], shown.overcluster.shape[1]
    cluster, overcluster = shown.cluster.argmax(axis=1), shown.overcluster.argmax(axis=1)
    main = majority_match(contingency_table(cluster, overcluster, clusters, overclusters))
    centers = centroids(shown.features, overcluster, overclusters)
    similar = similar_images(shown.features)
    content = {
        "split": shown.split,
        "columns": _SPRITE_COLUMNS,
        "size": side,
        "colors": shown.images.ndim == 4,
        "names": list(shown.names),
        "groups": {
            "cluster": {
                "count": clusters,
                "names": list(shown.cluster_names),
                "near": nearest_groups(
                    centroids(shown.features, cluster, clusters),
                    centers,
                    main == np.arange(clusters)[:, None],
                ),
            },
            "overcluster": {
                "count": overclusters,
                "names": list(shown.overcluster_names),
                "near": nearest_groups(centers, centers, np.eye(overclusters, dtype=bool)),
                "main": np.where(main == UNMATCHED, 0, main).tolist(),
            },
        },
        "similar": similar.shape[1],
        "paths": None if shown.paths is None else list(shown.paths),
        "arrays": {
            "index": _base64(shown.index, "<u4"),
            "points": _base64(_scaled(shown.points), "<u2"),
            "neighbors": _base64(similar, "<u2"),
            "cluster": _base64(cluster, "<u2"),
            "overcluster": _base64(overcluster, "<u2"),
            "label": None if shown.labels is None else _base64(shown.labels, "<u2"),
            "probability": _base64(shown.cluster.max(axis=1), "<f4"),
            "overProbability": _base64(shown.overcluster.max(axis=1), "<f4"),
        },
    }
    return page_json(content)


def _scaled(points: np.ndarray) -> np.ndarray:
    """Scale points to 16 bits and centre them, with the aspect ratio of the map kept."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    unit = (points - (low + high) / 2) / span + 0.5
    return (unit * 65535).round()


def _base64(array: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array.astype(kind)).tobytes()).decode()
