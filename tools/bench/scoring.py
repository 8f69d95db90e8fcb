"""Scores of a clustering, some images of which may have no cluster."""

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from iic.model.matching import contingency_table, hungarian_accuracy

# The label of images that HDBSCAN leaves out.
NOISE = -1


def scores(labels_true: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compare clusters with labels.

    Args:
        labels_true: Classes (n,) from 0.
        labels: Clusters (n,) from 0; -1 for images without a cluster.

    Returns:
        Accuracy of the best one-to-one matching, in which images without a cluster count as wrong;
        NMI and ARI, in which they form a cluster of their own; number of clusters; share of the
        images without a cluster.
    """
    inside = labels != NOISE
    found = int(labels.max()) + 1
    acc = 0.0
    if found:
        classes = int(labels_true.max()) + 1
        table = contingency_table(labels_true[inside], labels[inside], classes, found)
        acc = hungarian_accuracy(table) * float(inside.mean())
    return {
        "acc": round(acc, 4),
        "nmi": round(float(normalized_mutual_info_score(labels_true, labels)), 4),
        "ari": round(float(adjusted_rand_score(labels_true, labels)), 4),
        "clusters": len(np.unique(labels[inside])),
        "left_out": round(1 - float(inside.mean()), 4),
    }
