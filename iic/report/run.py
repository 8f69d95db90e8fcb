"""A finished run as the report sees it: what its files hold, and what follows at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from iic.core.constants import Head
from iic.core.errors import InputError
from iic.evaluation.card import ModelCard
from iic.model.matching import UNMATCHED, contingency_table
from iic.render.names import short_names
from iic.report.sevens import CHECKED, HANDWRITTEN, SEVEN

_LONGEST = 80
# Rows of images in a figure, and images of a row.
ROWS, SAMPLES = 12, 10
# Files, as captions name them.
IMAGES, SNAPSHOTS = "data/images.npz", "data/snapshots.npz"
PREDICTIONS = "reports/predictions.csv"


@dataclass(frozen=True)
class Run:
    """What a finished run left behind, all of it read from the pipeline's files.

    Attributes:
        settings: name and value of the parameters that the page shows.
        card: names of the classes, and the class of each cluster.
        metrics: reports/metrics.json.
        history: columns of reports/history.csv, one row an epoch.
        accuracy: columns of reports/accuracy.csv, one row an epoch; without labels the epoch alone.
        predictions: columns of reports/predictions.csv, one row a test image; label and predicted
            are text, and absent where the data have no labels.
        snapshots: arrays of data/snapshots.npz.
        train_images: (n, 28, 28) uint8.
        neighbors: (n, k) int32, the array of data/neighbors.npz.
        test_images: (m, 28, 28) uint8.
        benchmark: sections of reports/measurements/benchmark.json, which `make bench` measures; may
            be empty.
    """

    settings: Mapping[str, object]
    card: ModelCard
    metrics: Mapping[str, float]
    history: Mapping[str, np.ndarray]
    accuracy: Mapping[str, np.ndarray]
    predictions: Mapping[str, np.ndarray]
    snapshots: Mapping[str, np.ndarray]
    train_images: np.ndarray
    neighbors: np.ndarray
    test_images: np.ndarray
    benchmark: Mapping[str, Any]

    @property
    def is_labelled(self) -> bool:
        """Whether the test images have labels."""
        return "label" in self.predictions

    @property
    def shows_digits(self) -> bool:
        """Whether the images are of digits by hand."""
        return self.card.data in HANDWRITTEN

    @property
    def has_sevens(self) -> bool:
        """Whether sevens are known, and those with a bar can be told by their ink."""
        return self.is_labelled and self.card.data in CHECKED and SEVEN in self.names

    @property
    def names(self) -> list[str]:
        """Names of the classes, whole."""
        return self.card.labels

    @cached_property
    def short_names(self) -> list[str]:
        """The same for figures."""
        return short_names(self.names)

    @cached_property
    def labels(self) -> np.ndarray:
        """(m,) class of each test image, an index into names."""
        return self._numbers("label")

    @cached_property
    def predicted(self) -> np.ndarray:
        """(m,) class of each test image's cluster, or UNMATCHED."""
        return self._numbers("predicted")

    @property
    def is_right(self) -> np.ndarray:
        """(m,) whether each test image lies in the cluster of its class."""
        return self.labels == self.predicted

    @property
    def clusters(self) -> np.ndarray:
        """(m,) cluster of each test image."""
        return self.predictions["cluster"].astype(int)

    @property
    def overclusters(self) -> np.ndarray:
        """(m,) overcluster of each test image."""
        return self.predictions["overcluster"].astype(int)

    @property
    def probability(self) -> np.ndarray:
        """(m,) probability that the network gives the cluster of each test image."""
        return self.predictions["probability"]

    @cached_property
    def mapping(self) -> np.ndarray:
        """(k,) class of each cluster, or UNMATCHED."""
        of_cluster = dict(enumerate(self.card.clusters))
        classes = [of_cluster.get(cluster) for cluster in range(self.outputs(Head.CLUSTER))]
        return np.array([UNMATCHED if label is None else label for label in classes])

    @property
    def second(self) -> np.ndarray:
        """(m,) cluster of each test image in the second training; (0,) where there was none."""
        return self.snapshots["second_test"].astype(int)

    @property
    def seed(self) -> str:
        """Seed of the training."""
        return str(self.card.seed)

    def outputs(self, head: Head) -> int:
        """Number of outputs of a head."""
        return int(self.snapshots[f"{head}_joint"].shape[-1])

    def confusion(self, head: Head, epoch: int = -1) -> np.ndarray:
        """(classes, k) counts of the test images of an epoch (an index, the last by default)."""
        hard = self.snapshots[f"{head}_test"][epoch]
        return contingency_table(self.labels, hard, len(self.names), self.outputs(head))

    @cached_property
    def sizes(self) -> np.ndarray:
        """(epochs, k) test images in each cluster."""
        k = self.outputs(Head.CLUSTER)
        return np.stack(
            [np.bincount(hard, minlength=k) for hard in self.snapshots[f"{Head.CLUSTER}_test"]]
        )

    def class_of(self, label: str) -> int:
        """Number of the class of that name; the first where there is none."""
        return self.names.index(label) if label in self.names else 0

    def short_name(self, label: int) -> str:
        """Name for figures of a class, or of none."""
        return "none" if label == UNMATCHED else self.short_names[label]

    def long_name(self, label: int) -> str:
        """Name of a class for the page; even there one may be too long."""
        name = self.names[label]
        return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"

    def cluster_order(self) -> tuple[np.ndarray, list[str]]:
        """Clusters (k,) by their class, those without one last, and their names in that order."""
        mapping = self.mapping
        last = np.where(mapping == UNMATCHED, len(self.names), mapping)
        order = np.lexsort((np.arange(len(mapping)), last))
        if not self.is_labelled:
            return order, [str(cluster) for cluster in order]
        classes = [self.short_name(mapping[cluster]) for cluster in order]
        return order, [f"{number} ({name})" for number, name in zip(order, classes, strict=True)]

    def row_of(
        self, group: int, indices: np.ndarray, what: str, is_unframed: np.ndarray
    ) -> tuple[str, np.ndarray, np.ndarray]:
        """Title, images and whether each stands without a frame, for a row of a figure.

        Args:
            group: number of the cluster or overcluster.
            indices: of its test images; SAMPLES of them are shown.
            what: they are, for the title.
            is_unframed: (m,) of all test images.
        """
        picked = evenly(indices, SAMPLES)
        title = f"no. {group}\n{len(indices)} {what}"
        return title, self.test_images[picked], is_unframed[picked]

    def _numbers(self, column: str) -> np.ndarray:
        numbers = {name: number for number, name in enumerate(self.names)} | {"": UNMATCHED}
        try:
            return np.array([numbers[name] for name in self.predictions[column].tolist()], int)
        except KeyError as error:
            raise InputError(
                f"reports/predictions.csv: {column} {error.args[0]!r} is no class of "
                "model-card.json; run `dvc repro -f evaluate`"
            ) from error


def evenly(indices: np.ndarray, limit: int) -> np.ndarray:
    """At most so many of them, evenly over the file, so that no writer dominates."""
    return indices[np.linspace(0, len(indices) - 1, min(limit, len(indices))).astype(int)]
