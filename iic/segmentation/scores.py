"""Scores of a segmentation against masks, pixel by pixel.

A mask has the class of each pixel, or IGNORED for a pixel that is not scored.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from sklearn.metrics import normalized_mutual_info_score

from iic.model.matching import (
    UNMATCHED,
    contingency_table,
    hungarian_accuracy,
    hungarian_match,
    majority_match,
    matched_accuracy,
    purity,
)
from iic.segmentation.constants import IGNORED


class Segmented(NamedTuple):
    """The segments and masks of the tiles of a split.

    Attributes:
        cluster: (n, s, s) integer segments, those of the clustering head.
        overcluster: (n, s, s) integer segments of the overclustering head.
        masks: (n, s, s) uint8 classes, or IGNORED.
    """

    cluster: np.ndarray
    overcluster: np.ndarray
    masks: np.ndarray


def pixel_table(masks: np.ndarray, segments: np.ndarray, classes: int, k: int) -> np.ndarray:
    """Count the scored pixels by class and segment.

    Args:
        masks: (n, s, s) uint8 classes, or IGNORED.
        segments: (n, s, s) integer segments.
        classes: Number of classes.
        k: Number of segments.

    Returns:
        (classes, k) counts.
    """
    scored = masks != IGNORED
    return contingency_table(masks[scored], segments[scored], classes, k)


def mean_iou(table: np.ndarray) -> float:
    """Compute the mean intersection over union of the classes under the best matching.

    Args:
        table: (classes, k) counts of pixels.

    Returns:
        Mean of |class and segment| / |class or segment| over the classes that have pixels, with the
        segment that the Hungarian method matches to the class; 0 for a class without a segment.
    """
    mapping = hungarian_match(table)
    segments = np.flatnonzero(mapping != UNMATCHED)
    labels = mapping[segments]
    both = table[labels, segments]
    sizes = table.sum(axis=1)
    either = sizes[labels] + table[:, segments].sum(axis=0) - both
    ratios = np.zeros(len(table))
    # A class without pixels may be matched to an empty segment; it does not count below.
    ratios[labels] = both / np.maximum(either, 1)
    return float(ratios[sizes > 0].mean())


def segmentation_scores(
    train: Segmented, test: Segmented, classes: int, k: int, over_k: int
) -> dict[str, float]:
    """Compute the scores of a trained network, on the test tiles but for `train_pixel_acc`.

    Args:
        train: Segments and masks of the training tiles, which map overclusters to classes.
        test: Segments and masks of the test tiles.
        classes: Number of classes.
        k: Number of segments of the clustering head.
        over_k: Number of segments of the overclustering head.

    Returns:
        `pixel_acc`, `mean_iou` and `nmi` of the clustering head, `over_acc` with each overcluster
        as the majority class of its training pixels, and `train_pixel_acc`; all 0 to 1.
    """
    table = pixel_table(test.masks, test.cluster, classes, k)
    over_table = pixel_table(test.masks, test.overcluster, classes, over_k)
    train_over_table = pixel_table(train.masks, train.overcluster, classes, over_k)
    scored = test.masks != IGNORED
    return {
        "pixel_acc": hungarian_accuracy(table),
        "mean_iou": mean_iou(table),
        "nmi": float(normalized_mutual_info_score(test.masks[scored], test.cluster[scored])),
        "over_acc": matched_accuracy(over_table, majority_match(train_over_table)),
        "train_pixel_acc": hungarian_accuracy(pixel_table(train.masks, train.cluster, classes, k)),
    }


def scores_by_epoch(
    masks: np.ndarray,
    clusters: Iterable[np.ndarray],
    overclusters: Iterable[np.ndarray],
    classes: int,
    k: int,
    over_k: int,
) -> dict[str, list[float]]:
    """Compute the columns of reports/segmentation/accuracy.csv, with one row per epoch.

    Args:
        masks: (m, s, s) uint8 classes of the test tiles, or IGNORED.
        clusters: (m, s, s) segments of the clustering head after each epoch.
        overclusters: (m, s, s) segments of the overclustering head after each epoch.
        classes: Number of classes.
        k: Number of segments of the clustering head.
        over_k: Number of segments of the overclustering head.

    Returns:
        Columns by name. `over_purity` counts each overcluster as its majority class among the same
        pixels.
    """
    columns: dict[str, list[float]] = {
        name: [] for name in ("epoch", "pixel_acc", "mean_iou", "over_purity")
    }
    for epoch, (cluster, overcluster) in enumerate(zip(clusters, overclusters, strict=True), 1):
        table = pixel_table(masks, cluster, classes, k)
        row = {
            "epoch": epoch,
            "pixel_acc": hungarian_accuracy(table),
            "mean_iou": mean_iou(table),
            "over_purity": purity(pixel_table(masks, overcluster, classes, over_k)),
        }
        for name, value in row.items():
            columns[name].append(value)
    return columns
