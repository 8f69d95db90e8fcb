"""Clusters against labels: which cluster is which digit, and how good the clustering is.

Clusters carry no names, so accuracy needs a matching of clusters to classes first. All measures
here compare two integer arrays (n,) of one split; higher is better.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

UNMATCHED = -1


def contingency_table(
    labels_true: np.ndarray, labels_pred: np.ndarray, classes: int, clusters: int
) -> np.ndarray:
    """Count images by class and cluster: (classes, clusters), with empty ones kept as zeros."""
    cells = labels_true.astype(np.int64) * clusters + labels_pred
    return np.bincount(cells, minlength=classes * clusters).reshape(classes, clusters)


def hungarian_match(table: np.ndarray) -> np.ndarray:
    """The one-to-one matching of clusters to classes that puts the most images right.

    Args:
        table: (classes, clusters) counts.

    Returns:
        (clusters,) class of each cluster; UNMATCHED where there are more clusters than classes.
    """
    rows, columns = linear_sum_assignment(table, maximize=True)
    mapping = np.full(table.shape[1], UNMATCHED)
    mapping[columns] = rows
    return mapping


def majority_match(table: np.ndarray) -> np.ndarray:
    """(clusters,) the most frequent class of each cluster; UNMATCHED for an empty one."""
    return np.where(table.sum(axis=0) > 0, table.argmax(axis=0), UNMATCHED)


def matched_accuracy(table: np.ndarray, mapping: np.ndarray) -> float:
    """Share of images in a cluster that is mapped to their own class."""
    matched = np.flatnonzero(mapping != UNMATCHED)
    return float(table[mapping[matched], matched].sum() / table.sum())


def hungarian_accuracy(table: np.ndarray) -> float:
    """ACC: accuracy under the best one-to-one matching (Kuhn, 1955)."""
    return matched_accuracy(table, hungarian_match(table))


def purity(table: np.ndarray) -> float:
    """Accuracy with each cluster mapped to its majority class; many clusters may share a class."""
    return matched_accuracy(table, majority_match(table))


def cluster_scores(labels_true: np.ndarray, labels_pred: np.ndarray) -> dict[str, float]:
    """NMI (over the arithmetic mean of both entropies) and ARI, which need no matching."""
    return {
        "nmi": float(normalized_mutual_info_score(labels_true, labels_pred)),
        "ari": float(adjusted_rand_score(labels_true, labels_pred)),
    }
