"""Scores and tables of a run, with labels and without.

Labels are indices into `names`, the names of the classes. For data without labels, both are empty.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from iic.core.constants import Head
from iic.model.assignments import Assignments
from iic.model.matching import (
    UNMATCHED,
    cluster_scores,
    contingency_table,
    hungarian_accuracy,
    hungarian_match,
    majority_match,
    purity,
)


class Split(NamedTuple):
    """The assignments and labels of the training or test images.

    Attributes:
        soft: Soft assignments of both heads.
        labels: (n,) integer classes; (0,) without labels.
    """

    soft: Assignments
    labels: np.ndarray

    def tables(self, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Count images by class and cluster: (classes, k) counts for each head."""
        k, over_k = self.soft.cluster.shape[1], self.soft.overcluster.shape[1]
        return (
            contingency_table(self.labels, self.soft.hard_cluster, classes, k),
            contingency_table(self.labels, self.soft.hard_overcluster, classes, over_k),
        )


def accuracy_by_epoch(
    labels: np.ndarray, names: np.ndarray, snapshots: Mapping[str, np.ndarray]
) -> dict[str, list[object]]:
    """Compute the columns of reports/accuracy.csv, with one row per epoch.

    Args:
        labels: (m,) integer classes of the test images; (0,) without labels.
        names: (classes,) names of the classes; (0,) without labels.
        snapshots: `cluster_test` and `overcluster_test`, (epochs, m) hard assignments, and
            `cluster_joint` and `overcluster_joint`, (epochs, k, k).

    Returns:
        Columns by name; without labels only `epoch`.
    """
    heads = zip(snapshots["cluster_test"], snapshots["overcluster_test"], strict=True)
    clusters, overclusters = (snapshots[f"{head}_joint"].shape[-1] for head in Head)
    rows: list[dict[str, float]] = []
    for epoch, (cluster, overcluster) in enumerate(heads, start=1):
        row: dict[str, float] = {"epoch": epoch}
        if len(names):
            table = contingency_table(labels, cluster, len(names), clusters)
            over_table = contingency_table(labels, overcluster, len(names), overclusters)
            row |= {
                "acc": hungarian_accuracy(table),
                **cluster_scores(labels, cluster),
                "over_acc": purity(over_table),
                "over_hungarian_acc": hungarian_accuracy(over_table),
            }
        rows.append(row)
    return {name: [row[name] for row in rows] for name in rows[0]}


def scores(train: Split, test: Split, names: np.ndarray) -> dict[str, float]:
    """Compute the scores that need labels.

    Each split has its own matching of clusters to classes.

    Args:
        train: Assignments and labels of the training images.
        test: Assignments and labels of the test images.
        names: (classes,) names of the classes.

    Returns:
        Scores by name, each 0 to 1 except `ari`, which can be negative.
    """
    table, over_table = test.tables(len(names))
    return {
        "acc": hungarian_accuracy(table),
        **cluster_scores(test.labels, test.soft.hard_cluster),
        "over_acc": purity(over_table),
        "train_acc": hungarian_accuracy(train.tables(len(names))[0]),
    }


def label_free_scores(test: Split, last: Mapping[str, float]) -> dict[str, float]:
    """Compute the scores that need no labels.

    Args:
        test: Assignments of the test images.
        last: Row of the last epoch in the history.

    Returns:
        Mutual information of both heads in nats, mean probability of the most probable cluster, and
        number of clusters that contain a test image.
    """
    return {
        "mutual_information": last["cluster_mutual_information"],
        "over_mutual_information": last["overcluster_mutual_information"],
        "confidence": float(test.soft.probability.mean()),
        "clusters_used": len(np.unique(test.soft.hard_cluster)),
    }


def stability(first: np.ndarray, second: np.ndarray) -> float:
    """Compute the adjusted Rand index between the clusters of two trainings.

    Args:
        first: (m,) integer clusters of the first training.
        second: (m,) integer clusters of the same images in the second training.

    Returns:
        1 for the same clusters, 0 on average for unrelated ones.
    """
    return float(adjusted_rand_score(first, second))


def classes_of_clusters(test: Split, names: np.ndarray) -> tuple[list[int | None], ...]:
    """Name the classes of the clusters (Hungarian method) and of the overclusters (majority).

    Args:
        test: Assignments and labels of the test images.
        names: (classes,) names of the classes; (0,) without labels.

    Returns:
        For each cluster and for each overcluster, an index into `names`, or None for no class.
    """
    if not len(names):
        return [None] * test.soft.cluster.shape[1], [None] * test.soft.overcluster.shape[1]
    table, over_table = test.tables(len(names))
    mappings = hungarian_match(table), majority_match(over_table)
    return tuple([None if c == UNMATCHED else int(c) for c in mapping] for mapping in mappings)


def predictions_table(
    test: Split, names: np.ndarray, classes: list[int | None]
) -> dict[str, np.ndarray]:
    """Compute the columns of reports/predictions.csv, with one row per test image.

    Args:
        test: Assignments and labels of the test images.
        names: (classes,) names of the classes; (0,) without labels.
        classes: Class of each cluster, an index into `names` or None.

    Returns:
        Columns by name; `label` and `predicted` only with labels.
    """
    named: dict[str, np.ndarray] = {}
    if len(names):
        of_cluster = np.array(["" if c is None else names[c] for c in classes])
        named = {"label": names[test.labels], "predicted": of_cluster[test.soft.hard_cluster]}
    return {
        **named,
        "cluster": test.soft.hard_cluster,
        "overcluster": test.soft.hard_overcluster,
        "probability": test.soft.probability.astype(float),
    }


def assignments_table(
    splits: Mapping[str, Split], paths: Mapping[str, np.ndarray]
) -> dict[str, list[object]]:
    """Compute the columns of reports/assignments.csv, with one row per image of all splits.

    Args:
        splits: Assignments by name of the split.
        paths: (n,) paths of the images by name of the split; (0,) for images without paths.

    Returns:
        Columns by name: split, index, cluster, overcluster, the probability of the cluster, and,
        if the images have paths, the path.
    """
    columns: dict[str, list[object]] = {
        name: [] for name in ("split", "index", "cluster", "overcluster", "probability")
    }
    for name, split in splits.items():
        n = len(split.soft.cluster)
        columns["split"] += [name] * n
        columns["index"] += range(n)
        columns["cluster"] += split.soft.hard_cluster.tolist()
        columns["overcluster"] += split.soft.hard_overcluster.tolist()
        columns["probability"] += split.soft.probability.astype(float).tolist()
    found = [path for name in splits for path in paths[name].tolist()]
    return columns | ({"path": found} if found else {})
