"""Other clustering methods on the same images.

Each method is fitted to the training images without labels, then assigns the test images, as IIC
does. `python -m tools.bench.alternatives NAME` prints its accuracy, time and peak memory as JSON.
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
from iic.data.datasets import DIGITS
from iic.model.matching import contingency_table, hungarian_accuracy
from iic.pipeline.costs import peak_memory
from iic.pipeline.paths import IMAGES, LABELS
from tools.command import run_main


def k_means(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Cluster by k-means on pixels.

    Args:
        train: Training images, (n, pixels) float32 in [0, 1].
        test: Test images, (m, pixels) float32 in [0, 1].

    Returns:
        Cluster of each test image, (m,).
    """
    return KMeans(DIGITS, n_init=10, random_state=0).fit(train).predict(test)


def umap_mixture(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Reduce to ten dimensions by UMAP, then fit a mixture of ten Gaussians.

    UMAP runs without a seed, since it uses a single core with one. Arguments and result are those
    of `k_means`.
    """
    from umap import UMAP  # installed for the benchmark only

    reducer = UMAP(n_neighbors=30, n_components=10, min_dist=0.0, n_jobs=-1)
    reduced = reducer.fit_transform(train)
    mixture = GaussianMixture(DIGITS, random_state=0).fit(reduced)
    return mixture.predict(reducer.transform(test))


# The module of the package umap-learn, which requirements/bench.txt installs.
UMAP_MODULE = "umap"
METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "k-means on pixels": k_means,
    "UMAP + Gaussian mixture": umap_mixture,
}


def main(arguments: list[str]) -> None:
    """Run a method and print its accuracy, time and peak memory."""
    if len(arguments) != 1 or arguments[0] not in METHODS:
        raise InputError(f"give the name of one method: {', '.join(METHODS)}")
    images = read_arrays(IMAGES, ["train_images", "test_images"])
    train, test = (
        images[split].reshape(len(images[split]), -1).astype(np.float32) / 255
        for split in ("train_images", "test_images")
    )
    if METHODS[arguments[0]] is umap_mixture:
        # The time of the import does not count.
        importlib.import_module(UMAP_MODULE)
    start = time.perf_counter()
    assignments = METHODS[arguments[0]](train, test)
    seconds = time.perf_counter() - start
    # Labels are read after the method has ended.
    labels = read_arrays(LABELS, ["test_labels"])["test_labels"]
    table = contingency_table(labels, assignments, DIGITS, DIGITS)
    row = {
        "acc": round(hungarian_accuracy(table), 4),
        "seconds": round(seconds, 1),
        "peak_mb": round(peak_memory()),
    }
    sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    run_main(main)
