"""Other clustering methods on the same images.

Each method is fitted to the training images of `data/`, which may be your own, without labels and
with as many clusters as params.yaml has, then assigns the test images, as IIC does. `python -m
tools.bench.alternatives NAME` prints its accuracy, NMI, time and peak memory as JSON.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from iic.core.errors import InputError
from iic.core.files import read_arrays
from iic.model.matching import cluster_scores, contingency_table, hungarian_accuracy
from iic.pipeline.costs import peak_memory
from iic.pipeline.paths import IMAGES, LABELS, PARAMS
from iic.pipeline.stage import read_params
from tools.command import run_main


def k_means(train: np.ndarray, test: np.ndarray, clusters: int) -> np.ndarray:
    """Cluster by k-means on pixels.

    Args:
        train: Training images, (n, pixels) float32 in [0, 1].
        test: Test images, (m, pixels) float32 in [0, 1].
        clusters: Number of clusters.

    Returns:
        Cluster of each test image, (m,).
    """
    return KMeans(clusters, n_init=10, random_state=0).fit(train).predict(test)


def umap_mixture(train: np.ndarray, test: np.ndarray, clusters: int) -> np.ndarray:
    """Reduce to ten dimensions by UMAP, then fit a mixture of Gaussians.

    UMAP runs without a seed, since it uses a single core with one. Arguments and result are those
    of `k_means`.
    """
    from umap import UMAP  # installed for the benchmark only

    reducer = UMAP(n_neighbors=30, n_components=10, min_dist=0.0, n_jobs=-1)
    reduced = reducer.fit_transform(train)
    mixture = GaussianMixture(clusters, random_state=0).fit(reduced)
    return mixture.predict(reducer.transform(test))


# The module of the package umap-learn, which requirements/bench.txt installs.
UMAP_MODULE = "umap"
METHODS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "k-means on pixels": k_means,
    "UMAP + Gaussian mixture": umap_mixture,
}


def main(arguments: list[str]) -> None:
    """Run a method and print its accuracy, NMI, time and peak memory."""
    if len(arguments) != 1 or arguments[0] not in METHODS:
        raise InputError(f"give the name of one method: {', '.join(METHODS)}")
    clusters = read_params(PARAMS).model.clusters
    images = read_arrays(IMAGES, ["train_images", "test_images"])
    train, test = (
        images[split].reshape(len(images[split]), -1).astype(np.float32) / 255
        for split in ("train_images", "test_images")
    )
    if METHODS[arguments[0]] is umap_mixture:
        # The time of the import does not count.
        importlib.import_module(UMAP_MODULE)
    start = time.perf_counter()
    assignments = METHODS[arguments[0]](train, test, clusters)
    seconds = time.perf_counter() - start
    # Labels are read after the method has ended.
    known = read_arrays(LABELS, ["test_labels", "names"])
    labels = known["test_labels"]
    if not len(labels):
        raise InputError(f"{LABELS}: no labels of the test images, so nothing can be scored")
    table = contingency_table(labels, assignments, len(known["names"]), clusters)
    row = {
        "acc": round(hungarian_accuracy(table), 4),
        "nmi": round(cluster_scores(labels, assignments)["nmi"], 4),
        "seconds": round(seconds, 1),
        "peak_mb": round(peak_memory()),
    }
    sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    run_main(main)
