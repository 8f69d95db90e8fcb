"""What a run is worth: scores and tables with labels, and what can be said without them.

Clusters are hard assignments (n,), labels indices of `names`; where nobody knows labels, both the
labels and the names are empty.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

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
    """Soft assignments of both heads, and labels (n,)."""

    soft: Assignments
    labels: np.ndarray

    def tables(self, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Counts by class and by cluster (classes, k), of either head."""
        k, over_k = self.soft.cluster.shape[1], self.soft.overcluster.shape[1]
        return (
            contingency_table(self.labels, self.soft.hard_cluster, classes, k),
            contingency_table(self.labels, self.soft.hard_overcluster, classes, over_k),
        )


def accuracy_by_epoch(
    labels: np.ndarray, names: np.ndarray, snapshots: Mapping[str, np.ndarray]
) -> dict[str, list[object]]:
    """Columns of reports/accuracy.csv, one row an epoch; without labels nothing but the epoch.

    Args:
        labels: (m,) of the test images.
        names: (classes,).
        snapshots: cluster_test and overcluster_test (epochs, m), and the joints of both heads.
    """
    heads = zip(snapshots["cluster_test"], snapshots["overcluster_test"], strict=True)
    clusters, overclusters = (
        snapshots[f"{head}_joint"].shape[-1] for head in ("cluster", "overcluster")
    )
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
    """What labels say; each split is matched on its own."""
    table, over_table = test.tables(len(names))
    return {
        "acc": hungarian_accuracy(table),
        **cluster_scores(test.labels, test.soft.hard_cluster),
        "over_acc": purity(over_table),
        "train_acc": hungarian_accuracy(train.tables(len(names))[0]),
    }


def label_free_scores(test: Split, last: Mapping[str, float]) -> dict[str, float]:
    """What can be said without labels.

    Args:
        test: the test split.
        last: the last epoch's row of the history.
    """
    return {
        "mutual_information": last["cluster_mutual_information"],
        "over_mutual_information": last["overcluster_mutual_information"],
        "confidence": float(test.soft.probability.mean()),
        "clusters_used": len(np.unique(test.soft.hard_cluster)),
    }


def stability(first: np.ndarray, second: np.ndarray) -> float:
    """Adjusted Rand index of the clusters (m,) of two trainings: 0 for chance, 1 at most."""
    return float(adjusted_rand_score(first, second))


def classes_of_clusters(test: Split, names: np.ndarray) -> tuple[list[int | None], ...]:
    """Class of each cluster (Hungarian) and of each overcluster (majority); None for no class."""
    if not len(names):
        return [None] * test.soft.cluster.shape[1], [None] * test.soft.overcluster.shape[1]
    table, over_table = test.tables(len(names))
    mappings = hungarian_match(table), majority_match(over_table)
    return tuple([None if c == UNMATCHED else int(c) for c in mapping] for mapping in mappings)


def predictions_table(
    test: Split, names: np.ndarray, classes: list[int | None]
) -> dict[str, np.ndarray]:
    """Columns of reports/predictions.csv: the test split image by image.

    Args:
        test: the test split.
        names: (classes,).
        classes: (clusters,) class of each cluster.
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
    """Columns of reports/assignments.csv: every image's clusters, and the first one's probability.

    Args:
        splits: by name.
        paths: of each split's images; empty where they have none.
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
