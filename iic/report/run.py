"""The data of a finished run, as the report uses them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from iic.core.constants import Head
from iic.core.errors import InputError
from iic.core.params import ARTICLE_OPERATIONS
from iic.core.sampling import evenly
from iic.evaluation.card import ModelCard
from iic.evaluation.paths import MODEL_CARD, PREDICTIONS
from iic.model.matching import UNMATCHED, contingency_table
from iic.render.names import short_names
from iic.report.sevens import CHECKED, HANDWRITTEN, SEVEN

# Most letters of a class name on the page.
_LONGEST = 80
# Most rows of images in a figure, and most images in a row.
ROWS, SAMPLES = 12, 10


@dataclass(frozen=True)
class Run:
    """Content of the files that a finished run wrote, and quantities that follow directly.

    Attributes:
        settings: Values of the parameters that the page shows, by name.
        normalizes_logits: Value of `model.normalize_logits`.
        card: Model card, with the names of the classes and the class of each cluster.
        metrics: Content of reports/metrics.json.
        history: Columns of reports/history.csv, one row per epoch.
        accuracy: Columns of reports/accuracy.csv, one row per epoch; only "epoch" without labels.
        predictions: Columns of reports/predictions.csv, one row per test image; the text columns
            "label" and "predicted" exist only if the data have labels.
        snapshots: Arrays of data/snapshots.npz.
        train_images: Training images (n, h, w) or (n, h, w, 3), uint8.
        neighbors: Nearest neighbours (n, k), int32, from data/neighbors.npz.
        test_images: Test images (m, h, w) or (m, h, w, 3), uint8.
        benchmark: Sections of reports/measurements/benchmark.json; may be empty.
        operations: Operations in the examples of the snapshots.
    """

    settings: Mapping[str, object]
    normalizes_logits: bool
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
    operations: Sequence[str] = ARTICLE_OPERATIONS

    @property
    def is_labelled(self) -> bool:
        """Whether the test images have labels."""
        return "label" in self.predictions

    @property
    def teachers(self) -> int:
        """Number of networks that are trained before the final one."""
        teachers = self.settings["student.teachers"]
        return teachers if isinstance(teachers, int) else 0

    @property
    def pairs(self) -> str:
        """The pairs of the last joint matrix; a student is trained on none."""
        if self.teachers:
            return "pairs of transformed training images, after the last epoch"
        return "the training pairs of the last epoch"

    @property
    def phases(self) -> str:
        """A sentence on which epochs are those of the student; empty without teachers."""
        if not self.teachers:
            return ""
        first = self.settings["train.epochs"]
        return f"Epochs 1 to {first} are the first teacher's, the later ones the student's. "

    @property
    def shows_digits(self) -> bool:
        """Whether the images show handwritten digits."""
        return self.card.data in HANDWRITTEN

    @property
    def has_sevens(self) -> bool:
        """Whether the test images include sevens whose bar `sevens.crossed` can detect."""
        return self.is_labelled and self.card.data in CHECKED and SEVEN in self.names

    @property
    def names(self) -> list[str]:
        """Full names of the classes."""
        return self.card.labels

    @cached_property
    def short_names(self) -> list[str]:
        """Names of the classes for figures."""
        return short_names(self.names)

    @cached_property
    def labels(self) -> np.ndarray:
        """Class (m,) of each test image, an index into `names`."""
        return self._numbers("label")

    @cached_property
    def predicted(self) -> np.ndarray:
        """Predicted class (m,): the class matched to each test image's cluster, or UNMATCHED."""
        return self._numbers("predicted")

    @property
    def is_correct(self) -> np.ndarray:
        """Whether each test image (m,) lies in the cluster matched to its class."""
        return self.labels == self.predicted

    @property
    def clusters(self) -> np.ndarray:
        """Cluster (m,) of each test image."""
        return self.predictions["cluster"].astype(int)

    @property
    def overclusters(self) -> np.ndarray:
        """Overcluster (m,) of each test image."""
        return self.predictions["overcluster"].astype(int)

    @property
    def probability(self) -> np.ndarray:
        """Confidence (m,): the probability of each test image's cluster."""
        return self.predictions["probability"]

    @cached_property
    def mapping(self) -> np.ndarray:
        """Class (k,) matched to each cluster, or UNMATCHED."""
        of_cluster = dict(enumerate(self.card.clusters))
        classes = [of_cluster.get(cluster) for cluster in range(self.outputs(Head.CLUSTER))]
        return np.array([UNMATCHED if label is None else label for label in classes])

    @property
    def second_clusters(self) -> np.ndarray:
        """Cluster (m,) of each test image in the second training; (0,) without one."""
        return self.snapshots["second_test"].astype(int)

    @property
    def has_stability(self) -> bool:
        """Whether there is a second training, and neither put all test images in one cluster."""
        return all(len(np.unique(c)) > 1 for c in (self.clusters, self.second_clusters))

    @property
    def seed(self) -> str:
        """Seed of the training."""
        return str(self.card.seed)

    def outputs(self, head: Head) -> int:
        """Number of outputs of a head."""
        return int(self.snapshots[f"{head}_joint"].shape[-1])

    def confusion(self, head: Head, epoch: int = -1) -> np.ndarray:
        """Count the test images by class and cluster.

        Args:
            head: Head whose clusters are counted.
            epoch: Index of the epoch; the last one by default.

        Returns:
            Counts (classes, k).
        """
        hard = self.snapshots[f"{head}_test"][epoch]
        return contingency_table(self.labels, hard, len(self.names), self.outputs(head))

    @cached_property
    def sizes(self) -> np.ndarray:
        """Number (epochs, k) of test images in each cluster."""
        k = self.outputs(Head.CLUSTER)
        return np.stack(
            [np.bincount(hard, minlength=k) for hard in self.snapshots[f"{Head.CLUSTER}_test"]]
        )

    def class_of(self, label: str) -> int:
        """Index of the class with this name; 0 if there is none."""
        return self.names.index(label) if label in self.names else 0

    def short_name(self, label: int) -> str:
        """Name of a class for figures; "none" for UNMATCHED."""
        return "none" if label == UNMATCHED else self.short_names[label]

    def long_name(self, label: int) -> str:
        """Name of a class for the page, cut to 80 letters."""
        name = self.names[label]
        return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"

    def cluster_order(self) -> tuple[np.ndarray, list[str]]:
        """Order clusters by their class, clusters without a class last.

        Returns:
            Clusters (k,) in that order, and their names for figures.
        """
        mapping = self.mapping
        last = np.where(mapping == UNMATCHED, len(self.names), mapping)
        order = np.lexsort((np.arange(len(mapping)), last))
        if not self.is_labelled:
            return order, [str(cluster) for cluster in order]
        classes = [self.short_name(mapping[cluster]) for cluster in order]
        return order, [f"{number} ({name})" for number, name in zip(order, classes, strict=True)]

    def image_row(
        self, title: str, indices: np.ndarray, is_framed: np.ndarray
    ) -> tuple[str, np.ndarray, np.ndarray]:
        """Sample test images for a row of `iic.render.mosaics.samples_figure`.

        Args:
            title: Title of the row.
            indices: Indices (n,) of the test images to sample from.
            is_framed: Whether each of all test images (m,) gets a frame.

        Returns:
            Title, images (k, h, w) or (k, h, w, 3), and whether each image (k,) is framed.
        """
        shown = indices[evenly(len(indices), SAMPLES)]
        return title, self.test_images[shown], is_framed[shown]

    def _numbers(self, column: str) -> np.ndarray:
        numbers = {name: number for number, name in enumerate(self.names)} | {"": UNMATCHED}
        try:
            return np.array([numbers[name] for name in self.predictions[column].tolist()], int)
        except KeyError as error:
            raise InputError(
                f"{PREDICTIONS}: {column} {error.args[0]!r} is not a class of {MODEL_CARD}; "
                "run `dvc repro -f evaluate`"
            ) from error
