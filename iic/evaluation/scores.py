"""Scores and tables of a run, with labels and without.

Labels are indices into `names`, the names of the classes. For data without labels, both are empty.
A score without meaning of its own, such as the accuracy of few images or of classes that differ in
size, is accompanied by its chance level.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from iic.core.constants import Head
from iic.model.assignments import Assignments
from iic.model.matching import (
    cluster_scores,
    contingency_table,
    found_classes,
    hungarian_accuracy,
    hungarian_match,
    majority_match,
    matched_accuracy,
    purity,
)

# Scores whose chance level is measured; that of the adjusted Rand index is 0 by definition.
CHANCE_SCORES = ("acc", "nmi", "over_acc", "train_acc")
# A chance level and a largest class up to this share are left out: for ten classes of equal size
# and thousands of images, both are near 0.1 and say nothing.
NOTABLE = 0.2
# Permutations of the labels; the mean of 20 varies by less than 0.02 even for 45 images.
_PERMUTATIONS = 20


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
        Columns by name; without labels only `epoch`. `over_purity` counts each overcluster as its
        majority class among the same images, unlike `over_acc` of the last epoch, since no epoch
        stores the clusters of the training images.
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
                "over_purity": purity(over_table),
                "over_hungarian_acc": hungarian_accuracy(over_table),
            }
        rows.append(row)
    return {name: [row[name] for row in rows] for name in rows[0]}


def scores(train: Split, test: Split, names: np.ndarray) -> dict[str, float]:
    """Compute the scores that need labels.

    Each split has its own matching of clusters to classes. Overclusters are mapped to classes by
    the training labels, since many overclusters fit the labels of few images by chance; if only
    the test images have labels, by these.

    Args:
        train: Assignments and labels of the training images; labels (0,) if they have none.
        test: Assignments and labels of the test images.
        names: (classes,) names of the classes.

    Returns:
        Scores by name, each 0 to 1 except `ari`, which can be negative; `train_acc` only if the
        training images have labels.
    """
    table, over_table = test.tables(len(names))
    own = {
        "acc": hungarian_accuracy(table),
        **cluster_scores(test.labels, test.soft.hard_cluster),
    }
    if not len(train.labels):
        return own | {"over_acc": purity(over_table)}
    train_table, train_over_table = train.tables(len(names))
    return own | {
        "over_acc": matched_accuracy(over_table, majority_match(train_over_table)),
        "train_acc": hungarian_accuracy(train_table),
    }


def with_chance(
    found: Mapping[str, float], train: Split, test: Split, names: np.ndarray
) -> dict[str, float]:
    """Add what scores are to be compared with, where it is above NOTABLE.

    Args:
        found: Scores by name, as from `scores`.
        train: Assignments and labels of the training images.
        test: Assignments and labels of the test images.
        names: (classes,) names of the classes.

    Returns:
        The scores; behind each of CHANCE_SCORES its mean over permutations of the labels, as
        `acc_chance` and so on; and `largest_class`, the share of the largest class of the test
        images, which is the accuracy of a single cluster.
    """
    random = np.random.default_rng(0)
    shuffled = [
        scores(_shuffled(train, random), _shuffled(test, random), names)
        for _ in range(_PERMUTATIONS)
    ]
    result = {}
    for name, value in found.items():
        result[name] = value
        if name in CHANCE_SCORES:
            # Rounded, so that the mean of equal numbers is one of them.
            chance = round(float(np.mean([other[name] for other in shuffled])), 6)
            result |= {f"{name}_chance": chance} if chance > NOTABLE else {}
    largest = float(np.bincount(test.labels).max() / len(test.labels))
    return result | ({"largest_class": largest} if largest > NOTABLE else {})


def _shuffled(split: Split, random: np.random.Generator) -> Split:
    return split._replace(labels=random.permutation(split.labels))


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


def agreement(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Compare the clusters of two trainings.

    Args:
        first: (m,) integer clusters of the first training.
        second: (m,) integer clusters of the same images in the second training.

    Returns:
        `stability`, the adjusted Rand index: 1 for the same clusters, 0 on average for unrelated
        ones. If a training has put all images into one cluster, there is nothing to agree on;
        then only `collapsed_trainings`, how many of the two did so.
    """
    collapsed = sum(len(np.unique(clusters)) < 2 for clusters in (first, second))
    if collapsed:
        return {"collapsed_trainings": collapsed}
    return {"stability": float(adjusted_rand_score(first, second))}


def classes_of_clusters(
    train: Split, test: Split, names: np.ndarray
) -> tuple[list[int | None], ...]:
    """Name the classes of the clusters (Hungarian method) and of the overclusters (majority).

    The mapping is that of `scores`. A cluster without a test image of its class gets no class.

    Args:
        train: Assignments and labels of the training images.
        test: Assignments and labels of the test images.
        names: (classes,) names of the classes; (0,) without labels.

    Returns:
        For each cluster and for each overcluster, an index into `names`, or None for no class.
    """
    if not len(names):
        return [None] * test.soft.cluster.shape[1], [None] * test.soft.overcluster.shape[1]
    table, over_table = test.tables(len(names))
    majority = majority_match(train.tables(len(names))[1] if len(train.labels) else over_table)
    mappings = (hungarian_match(table), table), (majority, over_table)
    return tuple(found_classes(counts, mapping) for mapping, counts in mappings)


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
