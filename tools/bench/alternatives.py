"""What a user might take instead of IIC, on the same images.

Like IIC, a method is fitted on the training images without labels and then assigns the test images.
`python -m tools.bench.alternatives NAME` prints the accuracy of that as JSON, with seconds and peak
memory of the process.
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
    """k-means on pixels."""
    return KMeans(DIGITS, n_init=10, random_state=0).fit(train).predict(test)


def umap_mixture(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """UMAP to ten dimensions, then a mixture of ten Gaussians.

    UMAP has no seed here: with one it would use a single core, which few users accept.
    """
    from umap import UMAP  # a dependency of the benchmark alone

    reducer = UMAP(n_neighbors=30, n_components=10, min_dist=0.0, n_jobs=-1)
    reduced = reducer.fit_transform(train)
    mixture = GaussianMixture(DIGITS, random_state=0).fit(reduced)
    return mixture.predict(reducer.transform(test))


# Of requirements/bench.txt.
UMAP = "umap"
METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "k-means on pixels": k_means,
    "UMAP + Gaussian mixture": umap_mixture,
}


def main(arguments: list[str]) -> None:
    """Run a method and print what came out."""
    if len(arguments) != 1 or arguments[0] not in METHODS:
        raise InputError(f"name one method of {', '.join(METHODS)}")
    images = read_arrays(IMAGES, ["train_images", "test_images"])
    train, test = (
        images[split].reshape(len(images[split]), -1).astype(np.float32) / 255
        for split in ("train_images", "test_images")
    )
    if METHODS[arguments[0]] is umap_mixture:
        # Now, so that importing it is not timed, as it is not for the others.
        importlib.import_module(UMAP)
    start = time.perf_counter()
    assignments = METHODS[arguments[0]](train, test)
    seconds = time.perf_counter() - start
    # Read only now: no method can see them.
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
