"""Matching of clusters to classes, and scores of a clustering against labels.

The numbers of clusters are arbitrary, so accuracy first needs a matching of clusters to classes.
All scores compare labels and clusters of the same images; higher is better.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

# The class of a cluster that is matched to none.
UNMATCHED = -1


def contingency_table(
    labels_true: np.ndarray, labels_pred: np.ndarray, classes: int, clusters: int
) -> np.ndarray:
    """Count images by class and cluster.

    Args:
        labels_true: (n,) integer classes, 0 to classes - 1.
        labels_pred: (n,) integer clusters, 0 to clusters - 1.
        classes: Number of classes.
        clusters: Number of clusters.

    Returns:
        (classes, clusters) int64 counts; empty classes and clusters are kept as zeros.
    """
    cells = labels_true.astype(np.int64) * clusters + labels_pred
    return np.bincount(cells, minlength=classes * clusters).reshape(classes, clusters)


def hungarian_match(table: np.ndarray) -> np.ndarray:
    """Find the one-to-one matching of clusters to classes with the highest accuracy.

    Kuhn: The Hungarian Method for the Assignment Problem, Naval Research Logistics Quarterly 2,
    1955.

    Args:
        table: (classes, clusters) counts of images.

    Returns:
        (clusters,) class of each cluster; UNMATCHED for surplus clusters.
    """
    rows, columns = linear_sum_assignment(table, maximize=True)
    mapping = np.full(table.shape[1], UNMATCHED)
    mapping[columns] = rows
    return mapping


def majority_match(table: np.ndarray) -> np.ndarray:
    """Find the most frequent class of each cluster.

    Args:
        table: (classes, clusters) counts of images.

    Returns:
        (clusters,) class of each cluster; UNMATCHED for an empty cluster.
    """
    return np.where(table.sum(axis=0) > 0, table.argmax(axis=0), UNMATCHED)


def found_classes(table: np.ndarray, mapping: np.ndarray) -> list[int | None]:
    """Return the class of each cluster, None for a cluster without any image of its class.

    The Hungarian method also pairs classes and clusters that are left over.

    Args:
        table: (classes, clusters) counts of images.
        mapping: (clusters,) class of each cluster, or UNMATCHED.
    """
    return [
        int(label) if label != UNMATCHED and table[label, cluster] else None
        for cluster, label in enumerate(mapping)
    ]


def matched_accuracy(table: np.ndarray, mapping: np.ndarray) -> float:
    """Compute the accuracy of a mapping of clusters to classes.

    Args:
        table: (classes, clusters) counts of images.
        mapping: (clusters,) class of each cluster, or UNMATCHED.

    Returns:
        Share of all images whose cluster is mapped to their class, 0 to 1.
    """
    matched = np.flatnonzero(mapping != UNMATCHED)
    return float(table[mapping[matched], matched].sum() / table.sum())


def hungarian_accuracy(table: np.ndarray) -> float:
    """Compute ACC, the accuracy under the best one-to-one matching.

    Args:
        table: (classes, clusters) counts of images.

    Returns:
        Share of all images, 0 to 1.
    """
    return matched_accuracy(table, hungarian_match(table))


def purity(table: np.ndarray) -> float:
    """Compute the accuracy with each cluster mapped to its most frequent class.

    Several clusters may be mapped to the same class, so purity is at least ACC.

    Args:
        table: (classes, clusters) counts of images.

    Returns:
        Share of all images, 0 to 1.
    """
    return matched_accuracy(table, majority_match(table))


def cluster_scores(labels_true: np.ndarray, labels_pred: np.ndarray) -> dict[str, float]:
    """Compute the scores that need no matching.

    Args:
        labels_true: (n,) integer classes.
        labels_pred: (n,) integer clusters.

    Returns:
        `nmi`, the mutual information over the arithmetic mean of both entropies, 0 to 1, and
        `ari`, the adjusted Rand index, 0 on average for random clusters, 1 at most.
    """
    return {
        "nmi": float(normalized_mutual_info_score(labels_true, labels_pred)),
        "ari": float(adjusted_rand_score(labels_true, labels_pred)),
    }
