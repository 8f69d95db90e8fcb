"""Scores and tables of a run, with labels and without."""

import numpy as np
import pytest

from iic.evaluation.scores import (
    Split,
    accuracy_by_epoch,
    assignments_table,
    classes_of_clusters,
    label_free_scores,
    predictions_table,
    scores,
    stability,
)
from iic.model.assignments import Assignments

NAMES = np.array(["ant", "bee", "cat"])
NONE = np.array([], np.str_)
LABELS = np.array([0, 0, 1, 1, 2, 2])
# Cluster 2 contains ants, cluster 0 bees and one cat, cluster 1 cats.
CLUSTERS = np.array([2, 2, 0, 0, 1, 0])
OVERCLUSTERS = np.array([4, 3, 0, 0, 1, 0])


def soft(hard: np.ndarray, k: int, top: float = 0.7) -> np.ndarray:
    probabilities = np.full((len(hard), k), (1 - top) / (k - 1), np.float32)
    probabilities[np.arange(len(hard)), hard] = top
    return probabilities


@pytest.fixture
def test_split() -> Split:
    return Split(Assignments(soft(CLUSTERS, 4), soft(OVERCLUSTERS, 5)), LABELS)


@pytest.fixture
def snapshots() -> dict[str, np.ndarray]:
    return {
        "cluster_test": np.stack([np.zeros_like(CLUSTERS), CLUSTERS]),
        "overcluster_test": np.stack([np.zeros_like(CLUSTERS), OVERCLUSTERS]),
        "cluster_joint": np.zeros((2, 4, 4)),
        "overcluster_joint": np.zeros((2, 5, 5)),
    }


def test_each_split_has_its_own_matching(test_split):
    # The training split swaps clusters 0 and 2, which its own matching undoes.
    train = Split(Assignments(soft((2 - CLUSTERS) % 3, 4), soft(OVERCLUSTERS, 5)), LABELS)
    found = scores(train, test_split, NAMES)
    assert list(found) == ["acc", "nmi", "ari", "over_acc", "train_acc"]
    assert found["acc"] == found["train_acc"] == pytest.approx(5 / 6)
    assert found["over_acc"] == pytest.approx(5 / 6)


def test_classes_of_clusters_come_from_the_matching(test_split):
    clusters, overclusters = classes_of_clusters(test_split, NAMES)
    assert clusters == [1, 2, 0, None]
    assert overclusters == [1, 2, None, 0, 0]
    assert classes_of_clusters(test_split, NONE) == ([None] * 4, [None] * 5)


def test_predictions_contain_names_of_classes(test_split):
    table = predictions_table(test_split, NAMES, [1, 2, None, None])
    assert table["label"].tolist() == ["ant", "ant", "bee", "bee", "cat", "cat"]
    assert table["predicted"].tolist() == ["", "", "bee", "bee", "cat", "bee"]
    assert table["cluster"].tolist() == CLUSTERS.tolist()
    assert table["overcluster"].tolist() == OVERCLUSTERS.tolist()
    assert table["probability"] == pytest.approx([0.7] * 6)
    assert list(predictions_table(test_split, NONE, [None] * 4)) == [
        "cluster",
        "overcluster",
        "probability",
    ]


def test_accuracy_by_epoch_scores_both_heads(snapshots):
    table = accuracy_by_epoch(LABELS, NAMES, snapshots)
    assert table["epoch"] == [1, 2]
    assert table["acc"] == pytest.approx([2 / 6, 5 / 6])
    assert table["over_acc"] == pytest.approx([2 / 6, 5 / 6])
    assert table["over_hungarian_acc"] == pytest.approx([2 / 6, 4 / 6])
    assert accuracy_by_epoch(LABELS[:0], NONE, snapshots) == {"epoch": [1, 2]}


def test_label_free_scores_come_from_history_and_assignments(test_split):
    last = {"cluster_mutual_information": 0.9, "overcluster_mutual_information": 1.3, "loss": -2.0}
    assert label_free_scores(test_split, last) == {
        "mutual_information": 0.9,
        "over_mutual_information": 1.3,
        "confidence": pytest.approx(0.7),
        "clusters_used": 3,
    }


def test_stability_ignores_the_numbers_of_clusters(random):
    assert stability(CLUSTERS, (CLUSTERS + 1) % 3) == 1
    many = random.integers(0, 10, (2, 5000))
    assert stability(*many) == pytest.approx(0, abs=0.01)


def test_assignments_have_paths_only_if_images_do(test_split):
    splits = {"train": test_split, "test": test_split}
    none = np.array([], np.str_)
    table = assignments_table(splits, {"train": none, "test": none})
    assert list(table) == ["split", "index", "cluster", "overcluster", "probability"]
    assert table["split"] == ["train"] * 6 + ["test"] * 6
    assert table["index"] == [*range(6), *range(6)]
    assert table["cluster"] == [*CLUSTERS, *CLUSTERS]
    paths = {"train": np.array([*"abcdef"]), "test": np.array([*"ghijkl"])}
    assert assignments_table(splits, paths)["path"] == [*"abcdefghijkl"]
