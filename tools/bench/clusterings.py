"""IIC beside clusterers of scikit-learn, on the digits that scikit-learn ships.

`python -m tools.bench.clusterings` writes reports/measurements/clusterings.json, a row for each
method and seed. Finished rows are kept, so an interrupted measurement continues.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from iic import IIC
from iic.core.errors import InputError
from iic.core.files import read_json, write_text
from iic.core.machine import machine
from iic.pipeline.paths import MEASUREMENTS
from tools.bench.scoring import scores
from tools.command import run_main

CLUSTERINGS = MEASUREMENTS / "clusterings.json"
SEEDS = range(3)


class Method(NamedTuple):
    """A method to measure.

    Attributes:
        title: Name in the table.
        code: The call as the page shows it.
        labels_of: Function from images (n, 64) and a seed to the cluster (n,) of each image.
    """

    title: str
    code: str
    labels_of: Callable[[np.ndarray, int], np.ndarray]


def _k_means(images: np.ndarray, seed: int) -> np.ndarray:
    return KMeans(n_clusters=10, n_init=10, random_state=seed).fit_predict(images)


def _mixture(images: np.ndarray, seed: int) -> np.ndarray:
    mixture = GaussianMixture(n_components=10, random_state=seed)
    return make_pipeline(PCA(n_components=20, random_state=seed), mixture).fit_predict(images)


def _hdbscan(images: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001 - without chance
    return HDBSCAN(min_cluster_size=20, copy=True).fit_predict(images)


def _map_hdbscan(images: np.ndarray, seed: int) -> np.ndarray:
    places = TSNE(random_state=seed).fit_transform(images)
    return HDBSCAN(min_cluster_size=20, copy=True).fit_predict(places)


def _iic(images: np.ndarray, seed: int) -> np.ndarray:
    return IIC(n_clusters=10, recipe="tour", random_state=seed).fit_predict(images)


METHODS = {
    "k-means": Method(
        "KMeans", "KMeans(n_clusters=10, n_init=10, random_state=0).fit_predict(images)", _k_means
    ),
    "mixture": Method(
        "PCA, then GaussianMixture",
        "make_pipeline(\n"
        "    PCA(n_components=20, random_state=0), "
        "GaussianMixture(n_components=10, random_state=0)\n"
        ").fit_predict(images)",
        _mixture,
    ),
    "hdbscan": Method(
        "HDBSCAN", "HDBSCAN(min_cluster_size=20, copy=True).fit_predict(images)", _hdbscan
    ),
    "t-sne": Method(
        "t-SNE, then HDBSCAN",
        "HDBSCAN(min_cluster_size=20, copy=True).fit_predict(TSNE(random_state=0)"
        ".fit_transform(images))",
        _map_hdbscan,
    ),
    "iic": Method(
        "IIC", 'IIC(n_clusters=10, recipe="tour", random_state=0).fit_predict(images)', _iic
    ),
}


def read_clusterings() -> dict[str, Any]:
    """Return the machine, and by method and seed the scores and seconds; empty without a file."""
    if not CLUSTERINGS.exists():
        return {}
    return read_json(CLUSTERINGS, f"git restore {CLUSTERINGS}")


def _measure(method: Method, seed: int) -> dict[str, float]:
    """Run a method; the time is that of the processor, on which other programs have less effect.

    Threads of scikit-learn that wait for others would count, so it has one. TensorFlow has its own.
    """
    images, labels_true = load_digits(return_X_y=True)
    start = time.process_time()
    with threadpool_limits(1):
        labels = method.labels_of(images / 16, seed)
    seconds = time.process_time() - start
    return scores(labels_true, labels) | {"cpu_seconds": round(seconds, 2)}


def main(arguments: list[str]) -> None:
    """Measure the methods and seeds that are missing."""
    if arguments:
        raise InputError("python -m tools.bench.clusterings takes no argument")
    measured = {"machine": machine(), "runs": {}} | read_clusterings()
    runs = measured["runs"]
    _warm_up()
    for seed in SEEDS:
        for name, method in METHODS.items():
            if str(seed) not in runs.setdefault(name, {}):
                runs[name][str(seed)] = row = _measure(method, seed)
                sys.stderr.write(f"{name}, seed {seed}: {row}\n")
                write_text(CLUSTERINGS, json.dumps(measured, indent=2) + "\n")


def _warm_up() -> None:
    """Load libraries and start their threads, so that no method pays for it."""
    images = load_digits(return_X_y=True)[0][:200]
    KMeans(n_clusters=10, n_init=1).fit(images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        IIC(recipe="tour", train__epochs=1, n_overclusters=20).fit(images)


if __name__ == "__main__":
    run_main(main)
