"""The numbers of the report: how sure, how stable, and what is mistaken for what."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from iic.model.matching import UNMATCHED, contingency_table

# Bounds of the bins of probability, closer where a trained network puts most images.
EDGES = (0.0, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999, 1.0)


class Bin(NamedTuple):
    """Test images of about the same probability.

    Attributes:
        low: lowest probability, included.
        high: highest, excluded but for the last bin.
        images: how many.
        mean: of their probability; nan in an empty bin.
        right: share of them in the cluster of their class; nan without labels too.
    """

    low: float
    high: float
    images: int
    mean: float
    right: float

    @property
    def name(self) -> str:
        """The bounds in per cent."""
        return f"{_percent(self.low)}–{_percent(self.high)} %"


class Pair(NamedTuple):
    """A class, and another one whose cluster holds some of its images.

    Attributes:
        label: the class.
        predicted: the other one; UNMATCHED for clusters without a class.
        images: how many.
        share: of the class's images.
    """

    label: int
    predicted: int
    images: int
    share: float


def reliability(probability: np.ndarray, is_right: np.ndarray | None) -> list[Bin]:
    """How the probability of the cluster relates to being right.

    Args:
        probability: (m,) of each image's cluster.
        is_right: (m,) whether it is the cluster of its class; None without labels.
    """
    place = np.digitize(probability, EDGES[1:-1])
    bins = []
    for number, (low, high) in enumerate(pairwise(EDGES)):
        inside = place == number
        count = int(inside.sum())
        mean = float(probability[inside].mean()) if count else np.nan
        right = float(is_right[inside].mean()) if count and is_right is not None else np.nan
        bins.append(Bin(low, high, count, mean, right))
    return bins


def worst_mistakes(is_right: np.ndarray, probability: np.ndarray, limit: int) -> np.ndarray:
    """Indices of the mistakes with the highest probability, the highest first; ties by index."""
    wrong = np.flatnonzero(~is_right)
    return wrong[np.argsort(-probability[wrong], kind="stable")][:limit]


def mistakes_table(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes + 1) counts of mistakes; the last column is of clusters without a class."""
    column = np.where(predicted == UNMATCHED, classes, predicted)
    table = contingency_table(labels, column, classes, classes + 1)
    table[np.arange(classes), np.arange(classes)] = 0
    return table


def confused_pairs(
    labels: np.ndarray, predicted: np.ndarray, classes: int, limit: int
) -> list[Pair]:
    """The pairs with the most mistakes, the largest first; ties by class."""
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
    """(clusters,) share of each cluster's images that one cluster of another training holds.

    Args:
        first: (m,) clusters of one training.
        second: (m,) of the other.
        clusters: of the first; an empty one has nan.
    """
    table = contingency_table(first, second, clusters, int(second.max(initial=0)) + 1)
    sizes = table.sum(axis=1)
    return np.where(sizes > 0, table.max(axis=1) / np.maximum(sizes, 1), np.nan)


def _percent(share: float) -> str:
    return f"{100 * share:.4g}"
