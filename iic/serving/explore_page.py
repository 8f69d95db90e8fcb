"""A self-contained page to look inside the clusters: a map of images, and groups to take away."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from markupsafe import Markup
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from iic.model.matching import UNMATCHED, contingency_table, majority_match
from iic.render.html import page_json, render_html
from iic.render.pictures import data_uri, sprite

# Images like one, and overclusters near one, that the page lists.
SIMILAR = 24
NEAR = 12
_SPRITE_COLUMNS = 100
# They hold 98 % of the variance of the default recipe's 256 features.
_COMPONENTS = 30
_PERPLEXITY = 30.0
# Fewer have no neighbourhoods that a map could keep.
_MIN_IMAGES = 5


@dataclass(frozen=True)
class Explored:
    """What the page shows of n images.

    Attributes:
        images: (n, 28, 28) uint8.
        split: "train" or "test".
        total: images of the split, of which these are all or an even sample.
        index: (n,) number of each image in its split.
        features: (n, width) what the trunk makes of each.
        points: (n, 2) where each lies on the map, from project.
        cluster: (n, clusters) soft assignments.
        overcluster: (n, overclusters) likewise.
        labels: (n,) indices into names; None without labels.
        names: of the labels, any text.
        cluster_names: class that each cluster stands for, or None; empty where that is not known.
        overcluster_names: likewise.
        paths: file of each image; None where they come from none.
        settings: of the training, in a line.
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
    """(n, 2) a map of features (n, width) that keeps near images near: t-SNE of their PCA."""
    n = len(features)
    if n < _MIN_IMAGES or not np.ptp(features, axis=0).any():
        return np.zeros((n, 2), np.float32)
    reduced = PCA(min(_COMPONENTS, *features.shape), svd_solver="full").fit_transform(features)
    perplexity = min(_PERPLEXITY, (n - 1) / 3)
    start = "pca" if reduced.shape[1] > 1 else "random"
    return TSNE(perplexity=perplexity, init=start, random_state=0).fit_transform(reduced)


def similar_images(features: np.ndarray, k: int = SIMILAR) -> np.ndarray:
    """(n, k) indices of the other images with the nearest features, nearest first.

    Of few images there are n - 1 columns.
    """
    k = min(k, len(features) - 1)
    if k < 1:
        return np.empty((len(features), 0), np.int64)
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(features)
    return index.kneighbors(return_distance=False)


def centroids(features: np.ndarray, groups: np.ndarray, k: int) -> np.ndarray:
    """(k, width) mean features of each group; NaN for an empty one."""
    sums = np.zeros((k, features.shape[1]))
    np.add.at(sums, groups, features)
    counts = np.bincount(groups, minlength=k)[:, None]
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def nearest_groups(
    centers: np.ndarray, others: np.ndarray, excluded: np.ndarray
) -> list[list[tuple[int, float]]]:
    """The nearest groups of each, at most NEAR, with the distance of their centroids.

    Args:
        centers: (a, width) centroids, NaN for an empty group.
        others: (b, width) likewise.
        excluded: (a, b) bool, pairs to leave out.
    """
    found = []
    for center, skip in zip(centers, excluded, strict=True):
        distances = np.where(skip, np.nan, np.linalg.norm(others - center, axis=1))
        order = np.argsort(distances, kind="stable")[:NEAR]
        found.append(
            [(int(j), float(f"{distances[j]:.4g}")) for j in order if np.isfinite(distances[j])]
        )
    return found


def render_explorer(shown: Explored) -> str:
    """The HTML page."""
    script = (files("iic.serving") / "explore.js").read_text("utf-8")
    return render_html(
        "iic.serving",
        "explore.html.j2",
        shown=shown,
        count=len(shown.images),
        sprite=data_uri("png", sprite(shown.images, _SPRITE_COLUMNS)),
        data=_json(shown),
        script=Markup(script),  # noqa: S704, part of this package
    )


def _json(shown: Explored) -> str:
    """What the page's script needs; numbers of each image as base64 of little-endian arrays."""
    clusters, overclusters = shown.cluster.shape[1], shown.overcluster.shape[1]
    cluster, overcluster = shown.cluster.argmax(axis=1), shown.overcluster.argmax(axis=1)
    main = majority_match(contingency_table(cluster, overcluster, clusters, overclusters))
    centers = centroids(shown.features, overcluster, overclusters)
    similar = similar_images(shown.features)
    content = {
        "split": shown.split,
        "columns": _SPRITE_COLUMNS,
        "size": shown.images.shape[1],
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
    """Points over the range of 16 bits, the map's proportions kept and its middle in the middle."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    unit = (points - (low + high) / 2) / span + 0.5
    return (unit * 65535).round()


def _base64(array: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array.astype(kind)).tobytes()).decode()
