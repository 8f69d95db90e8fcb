"""Tables of the report: calibration, stability and confusions."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from iic.model.matching import UNMATCHED, contingency_table

# Bounds of the bins of confidence, closer together where a trained network has most images.
EDGES = (0.0, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999, 1.0)


class Bin(NamedTuple):
    """A range of confidence.

    Attributes:
        low: Lower bound, inclusive.
        high: Upper bound, exclusive except in the last bin.
        images: Number of test images in the range.
        confidence: Mean confidence; NaN in an empty bin.
        accuracy: Share of correctly classified images; NaN in an empty bin and without labels.
    """

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float

    @property
    def name(self) -> str:
        """Bounds in per cent, as text."""
        return f"{_percent(self.low)}–{_percent(self.high)} %"


class Pair(NamedTuple):
    """A class and another class that some of its images are assigned to.

    Attributes:
        label: Index of the class.
        predicted: Index of the other class; UNMATCHED for clusters without a class.
        images: Number of these images.
        share: Share of the images of the class, from 0 to 1.
    """

    label: int
    predicted: int
    images: int
    share: float


def reliability_bins(confidence: np.ndarray, is_correct: np.ndarray | None) -> list[Bin]:
    """Compute mean confidence and accuracy in bins of confidence (reliability diagram).

    Args:
        confidence: Confidence (m,) of each image: the probability of its cluster.
        is_correct: Whether each image (m,) lies in the cluster of its class; None without labels.

    Returns:
        One bin for each range between two values of EDGES.
    """
    place = np.digitize(confidence, EDGES[1:-1])
    bins = []
    for number, (low, high) in enumerate(pairwise(EDGES)):
        inside = place == number
        count = int(inside.sum())
        mean = float(confidence[inside].mean()) if count else np.nan
        accuracy = float(is_correct[inside].mean()) if count and is_correct is not None else np.nan
        bins.append(Bin(low, high, count, mean, accuracy))
    return bins


def worst_mistakes(is_correct: np.ndarray, confidence: np.ndarray, limit: int) -> np.ndarray:
    """Find the misclassified images with the highest confidence.

    Args:
        is_correct: Whether each image (m,) lies in the cluster of its class.
        confidence: Confidence (m,) of each image.
        limit: Largest number of images.

    Returns:
        Indices of the images by decreasing confidence.
    """
    wrong = np.flatnonzero(~is_correct)
    return wrong[np.argsort(-confidence[wrong], kind="stable")][:limit]


def mistakes_table(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count the misclassified images by label and predicted class.

    Args:
        labels: Class (m,) of each image.
        predicted: Predicted class (m,) of each image, or UNMATCHED.
        classes: Number of classes.

    Returns:
        Counts (classes, classes + 1); the last column counts clusters without a class.
    """
    column = np.where(predicted == UNMATCHED, classes, predicted)
    table = contingency_table(labels, column, classes, classes + 1)
    table[np.arange(classes), np.arange(classes)] = 0
    return table


def confused_pairs(
    labels: np.ndarray, predicted: np.ndarray, classes: int, limit: int
) -> list[Pair]:
    """Find the pairs of classes with the most misclassified images.

    Args:
        labels: Class (m,) of each image.
        predicted: Predicted class (m,) of each image, or UNMATCHED.
        classes: Number of classes.
        limit: Largest number of pairs.

    Returns:
        Pairs by decreasing number of images, then by class.
    """
    table = mistakes_table(labels, predicted, classes)
    sizes = np.bincount(labels, minlength=classes)
    largest = np.argsort(-table, axis=None, kind="stable")[:limit]
    pairs = []
    for label, other in zip(*np.unravel_index(largest, table.shape), strict=True):
        if count := int(table[label, other]):
            to = UNMATCHED if other == classes else int(other)
            pairs.append(Pair(int(label), to, count, count / sizes[label]))
    return pairs


def kept_together(first: np.ndarray, second: np.ndarray, clusters: int) -> np.ndarray:
    """Measure how much of each cluster lies in one cluster of another training.

    Args:
        first: Cluster (m,) of each image in one training.
        second: Cluster (m,) of each image in the other training.
        clusters: Number of clusters of the first training.

    Returns:
        Largest shares (clusters,) from 0 to 1; NaN for empty clusters.
    """
    table = contingency_table(first, second, clusters, int(second.max(initial=0)) + 1)
    sizes = table.sum(axis=1)
    return np.where(sizes > 0, table.max(axis=1) / np.maximum(sizes, 1), np.nan)


def _percent(share: float) -> str:
    return f"{100 * share:.4g}"
