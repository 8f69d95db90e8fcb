"""Other clustering methods on the same images.

Each method is fitted to the training images of `data/`, which may be your own, without labels and
with as many clusters as params.yaml has, then assigns the test images, as IIC does. `python -m
tools.bench.alternatives NAME` prints its scores, time and peak memory as JSON. Settings are the
defaults of each library, or those of its documentation or authors for digits.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.mixture import GaussianMixture

from iic.core.errors import InputError
from iic.core.files import read_arrays
from iic.pipeline.costs import peak_memory
from iic.pipeline.paths import IMAGES, LABELS, PARAMS
from iic.pipeline.stage import read_params
from tools.bench import peers
from tools.bench.scoring import scores
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


def umap_hdbscan(train: np.ndarray, test: np.ndarray, clusters: int) -> np.ndarray:  # noqa: ARG001 - HDBSCAN finds it
    """Reduce to two dimensions by UMAP, then find dense groups by HDBSCAN.

    The settings are those of UMAP's documentation for the digits, but for its seed. HDBSCAN finds
    the number of clusters by itself and cannot assign new images, so a test image gets the cluster
    of the nearest training image after UMAP, or none if that was left out as noise. Arguments and
    result are those of `k_means`, and -1 for no cluster.
    """
    from umap import UMAP

    reducer = UMAP(n_neighbors=30, n_components=2, min_dist=0.0, n_jobs=-1)
    reduced = reducer.fit_transform(train)
    found = HDBSCAN(min_cluster_size=500, min_samples=10, copy=True).fit_predict(reduced)
    return peers.nearest(reduced, found, reducer.transform(test))


class Method(NamedTuple):
    """A method to measure.

    Attributes:
        assign: Function of training images, test images and the number of clusters.
        modules: What it imports, for which its time does not count.
        flat: Whether it takes images as rows of pixels.
    """

    assign: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    modules: tuple[str, ...] = ()
    flat: bool = True


METHODS = {
    "k-means on pixels": Method(k_means),
    "UMAP + Gaussian mixture": Method(umap_mixture, ("umap",)),
    "UMAP + HDBSCAN": Method(umap_hdbscan, ("umap",)),
    "DEC (ClustPy)": Method(partial(peers.fit_predict, "DEC"), ("clustpy.deep",)),
    "IDEC (ClustPy)": Method(partial(peers.fit_predict, "IDEC"), ("clustpy.deep",)),
    "IDEC with augmentation (ClustPy)": Method(peers.augmented_idec, ("clustpy.deep",), flat=False),
    "DCN (ClustPy)": Method(partial(peers.fit_predict, "DCN"), ("clustpy.deep",)),
    "N2D (ClustPy)": Method(peers.n2d, ("clustpy.deep", "umap")),
}
# Parts of PyTorch that crash if TensorFlow, which UMAP loads, was loaded first.
_BEFORE_TENSORFLOW = ("triton", "torch")


def check_installed(names: Iterable[str]) -> None:
    """Raise InputError if a package of these methods is missing."""
    for method in (METHODS[name] for name in names):
        for package in (module.partition(".")[0] for module in method.modules):
            if find_spec(package) is None:
                raise InputError(f"{package}: not installed; `make bench` installs it")


def load_modules(method: Method) -> None:
    """Import what a method needs, in an order in which the libraries do not crash."""
    first = [name for name in _BEFORE_TENSORFLOW if method.modules and find_spec(name)]
    for module in (*first, *method.modules):
        importlib.import_module(module)


def main(arguments: list[str]) -> None:
    """Run a method and print its scores, time and peak memory."""
    if len(arguments) != 1 or arguments[0] not in METHODS:
        raise InputError(f"give the name of one method: {', '.join(METHODS)}")
    check_installed(arguments)
    method = METHODS[arguments[0]]
    clusters = read_params(PARAMS).model.clusters
    images = read_arrays(IMAGES, ["train_images", "test_images"])
    train, test = (
        images[split].astype(np.float32) / 255 for split in ("train_images", "test_images")
    )
    if method.flat:
        train, test = (split.reshape(len(split), -1) for split in (train, test))
    load_modules(method)
    start = time.perf_counter()
    assignments = method.assign(train, test, clusters)
    seconds = time.perf_counter() - start
    # Labels are read after the method has ended.
    labels = read_arrays(LABELS, ["test_labels"])["test_labels"]
    if not len(labels):
        raise InputError(f"{LABELS}: no labels of the test images, so nothing can be scored")
    costs = {"seconds": round(seconds, 1), "peak_mb": round(peak_memory())}
    sys.stdout.write(json.dumps(scores(labels, assignments) | costs) + "\n")


if __name__ == "__main__":
    run_main(main)
