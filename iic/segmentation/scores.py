"""Scores of a segmentation against masks, pixel by pixel.

A mask has the class of each pixel, or IGNORED for a pixel that is not scored.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.metrics import normalized_mutual_info_score

from iic.model.matching import (
    UNMATCHED,
    contingency_table,
    found_classes,
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
        train: Segments and masks of the training tiles, which map overclusters to classes if any
            pixel is scored; otherwise the test tiles do.
        test: Segments and masks of the test tiles.
        classes: Number of classes.
        k: Number of segments of the clustering head.
        over_k: Number of segments of the overclustering head.

    Returns:
        `pixel_acc`, `mean_iou` and `nmi` of the clustering head, `over_acc` with each overcluster
        as the majority class of its pixels, and `train_pixel_acc` if a training pixel is scored;
        all 0 to 1.
    """
    table = pixel_table(test.masks, test.cluster, classes, k)
    over_table = pixel_table(test.masks, test.overcluster, classes, over_k)
    train_table = pixel_table(train.masks, train.cluster, classes, k)
    scored = test.masks != IGNORED
    own = {
        "pixel_acc": hungarian_accuracy(table),
        "mean_iou": mean_iou(table),
        "nmi": float(normalized_mutual_info_score(test.masks[scored], test.cluster[scored])),
        "over_acc": matched_accuracy(over_table, _majority(train, test, classes, over_k)),
    }
    return own | ({"train_pixel_acc": hungarian_accuracy(train_table)} if train_table.any() else {})


def _majority(train: Segmented, test: Segmented, classes: int, over_k: int) -> np.ndarray:
    """Map overclusters to classes by the training tiles; if none is scored, by the test tiles."""
    tables = [
        pixel_table(split.masks, split.overcluster, classes, over_k) for split in (train, test)
    ]
    return majority_match(tables[0] if tables[0].any() else tables[1])


def label_free_scores(last: Mapping[str, float]) -> dict[str, float]:
    """Return the scores of a run without masks, from the last row of its history."""
    return {
        "mutual_information": last["cluster_mutual_information"],
        "over_mutual_information": last["overcluster_mutual_information"],
        "clusters_used": last["clusters_used"],
    }


def classes_of_segments(
    train: Segmented, test: Segmented, classes: int, k: int, over_k: int
) -> tuple[list[int | None], list[int | None]]:
    """Return the class of each segment and of each overcluster, None for one without pixels of it.

    Args:
        train: Segments and masks of the training tiles.
        test: Segments and masks of the test tiles. The mappings are those of `segmentation_scores`.
        classes: Number of classes; without any, no segment has a class.
        k: Number of segments of the clustering head.
        over_k: Number of segments of the overclustering head.
    """
    if not classes:
        return [None] * k, [None] * over_k
    table = pixel_table(test.masks, test.cluster, classes, k)
    over_table = pixel_table(test.masks, test.overcluster, classes, over_k)
    majority = _majority(train, test, classes, over_k)
    return found_classes(table, hungarian_match(table)), found_classes(over_table, majority)


def scores_by_epoch(
    masks: np.ndarray, snapshots: Mapping[str, np.ndarray], classes: int, k: int, over_k: int
) -> dict[str, list[float]]:
    """Compute the columns of reports/segmentation/accuracy.csv, with one row per epoch.

    Args:
        masks: (m, s, s) uint8 classes of the test tiles, or IGNORED.
        snapshots: (epochs, m, s, s) segments of the test tiles after each epoch, by the names
            `cluster_test` and `overcluster_test`.
        classes: Number of classes; without any, the epochs are the only column.
        k: Number of segments of the clustering head.
        over_k: Number of segments of the overclustering head.

    Returns:
        Columns by name. `over_purity` counts each overcluster as its majority class among the same
        pixels.
    """
    clusters, overclusters = snapshots["cluster_test"], snapshots["overcluster_test"]
    columns: dict[str, list[float]] = {"epoch": [*range(1, len(clusters) + 1)]}
    if not classes:
        return columns
    tables = [pixel_table(masks, segments, classes, k) for segments in clusters]
    over_tables = [pixel_table(masks, segments, classes, over_k) for segments in overclusters]
    return columns | {
        "pixel_acc": [hungarian_accuracy(table) for table in tables],
        "mean_iou": [mean_iou(table) for table in tables],
        "over_purity": [purity(table) for table in over_tables],
    }
