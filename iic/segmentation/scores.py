"""Scores of a segmentation against masks, pixel by pixel.

A mask has the class of each pixel, or IGNORED for a pixel that is not scored.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import entr

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


class Counts(NamedTuple):
    """Scored pixels by class and segment.

    Attributes:
        train: (classes, k) counts of the training tiles, by segment of the clustering head.
        train_over: (classes, over_k) counts, by segment of the overclustering head.
        test: (classes, k) counts of the test tiles.
        test_over: (classes, over_k) counts of the test tiles.
    """

    train: np.ndarray
    train_over: np.ndarray
    test: np.ndarray
    test_over: np.ndarray


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


def normalized_information(table: np.ndarray) -> float:
    """Compute the normalized mutual information (NMI) of classes and segments.

    It is their mutual information over the mean of both entropies, as in scikit-learn, but from
    counts: those of millions of pixels are small.

    Args:
        table: (classes, k) counts of pixels, at least one of them.

    Returns:
        0 to 1; 1 for one class in one segment.
    """
    joint = table / table.sum()
    entropies = entr(joint.sum(axis=1)).sum() + entr(joint.sum(axis=0)).sum()
    shared = max(0.0, entropies - entr(joint).sum())
    return float(2 * shared / entropies) if entropies else 1.0


def count_pixels(train: Segmented, test: Segmented, classes: int, k: int, over_k: int) -> Counts:
    """Count the scored pixels of both splits by class and segment.

    Args:
        train: Segments and masks of the training tiles.
        test: Segments and masks of the test tiles.
        classes: Number of classes.
        k: Number of segments of the clustering head.
        over_k: Number of segments of the overclustering head.
    """
    return Counts(
        *(
            pixel_table(split.masks, segments, classes, size)
            for split in (train, test)
            for segments, size in ((split.cluster, k), (split.overcluster, over_k))
        )
    )


def segmentation_scores(counts: Counts) -> dict[str, float]:
    """Compute the scores of a trained network, on the test tiles but for `train_pixel_acc`.

    Returns:
        `pixel_acc`, `mean_iou` and `nmi` of the clustering head, `over_acc` with each overcluster
        as the majority class of its pixels (`_majority`), and `train_pixel_acc` if a training pixel
        is scored; all 0 to 1.
    """
    own = {
        "pixel_acc": hungarian_accuracy(counts.test),
        "mean_iou": mean_iou(counts.test),
        "nmi": normalized_information(counts.test),
        "over_acc": matched_accuracy(counts.test_over, _majority(counts)),
    }
    if not counts.train.any():
        return own
    return own | {"train_pixel_acc": hungarian_accuracy(counts.train)}


def classes_of_segments(counts: Counts) -> tuple[list[int | None], list[int | None]]:
    """Return the class of each segment and of each overcluster, None for one without pixels of it.

    The mappings are those of `segmentation_scores`.
    """
    return (
        found_classes(counts.test, hungarian_match(counts.test)),
        found_classes(counts.test_over, _majority(counts)),
    )


def _majority(counts: Counts) -> np.ndarray:
    """Map overclusters to classes by the training tiles; if none is scored, by the test tiles."""
    return majority_match(counts.train_over if counts.train_over.any() else counts.test_over)


def label_free_scores(last: Mapping[str, float]) -> dict[str, float]:
    """Return the scores of a run without masks, from the last row of its history."""
    return {
        "mutual_information": last["cluster_mutual_information"],
        "over_mutual_information": last["overcluster_mutual_information"],
        "clusters_used": last["clusters_used"],
    }


def scores_by_epoch(
    masks: np.ndarray, snapshots: Mapping[str, np.ndarray], classes: int, k: int, over_k: int
) -> dict[str, list[float]]:
    """Compute the columns of reports/segmentation/accuracy.csv, with one row per epoch.

    Args:
        masks: (r, s, s) uint8 classes of the recorded test tiles, or IGNORED.
        snapshots: (epochs, r, s, s) segments of these after each epoch, by the names
            `cluster_test` and `overcluster_test`.
        classes: Number of classes; without any, or without a scored pixel, the epochs are the only
            column.
        k: Number of segments of the clustering head.
        over_k: Number of segments of the overclustering head.

    Returns:
        Columns by name. `over_purity` counts each overcluster as its majority class among the same
        pixels.
    """
    clusters, overclusters = snapshots["cluster_test"], snapshots["overcluster_test"]
    columns: dict[str, list[float]] = {"epoch": [*range(1, len(clusters) + 1)]}
    if not classes or (masks == IGNORED).all():
        return columns
    tables = [pixel_table(masks, segments, classes, k) for segments in clusters]
    over_tables = [pixel_table(masks, segments, classes, over_k) for segments in overclusters]
    return columns | {
        "pixel_acc": [hungarian_accuracy(table) for table in tables],
        "mean_iou": [mean_iou(table) for table in tables],
        "nmi": [normalized_information(table) for table in tables],
        "over_purity": [purity(table) for table in over_tables],
    }
