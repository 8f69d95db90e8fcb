"""Scores and tables of a run, with labels and without."""

import numpy as np
import pytest

from iic.evaluation.scores import (
    NOTABLE,
    Split,
    accuracy_by_epoch,
    agreement,
    assignments_table,
    classes_of_clusters,
    label_free_scores,
    predictions_table,
    scores,
    with_chance,
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


def test_overclusters_are_named_and_scored_by_the_training_labels(test_split):
    # In the training images, overcluster 0 contains cats, 3 ants and 4 bees.
    train = Split(
        Assignments(test_split.soft.cluster, soft(np.array([3, 3, 4, 4, 0, 0]), 5)), LABELS
    )
    # Right are one ant of overcluster 3 and one cat of overcluster 0.
    assert scores(train, test_split, NAMES)["over_acc"] == pytest.approx(2 / 6)
    # No test image of overcluster 4 is a bee.
    assert classes_of_clusters(train, test_split, NAMES)[1] == [2, None, None, 0, None]


def test_without_training_labels_the_test_labels_map_overclusters(test_split):
    train = test_split._replace(labels=LABELS[:0])
    found = scores(train, test_split, NAMES)
    assert "train_acc" not in found
    assert found["over_acc"] == pytest.approx(5 / 6)
    assert classes_of_clusters(train, test_split, NAMES)[1] == [1, 2, None, 0, 0]
    assert "train_acc_chance" not in with_chance(found, train, test_split, NAMES)


def test_classes_of_clusters_come_from_the_matching(test_split):
    clusters, overclusters = classes_of_clusters(test_split, test_split, NAMES)
    assert clusters == [1, 2, 0, None]
    assert overclusters == [1, 2, None, 0, 0]
    assert classes_of_clusters(test_split, test_split, NONE) == ([None] * 4, [None] * 5)


def test_a_cluster_without_an_image_of_its_class_has_no_name():
    """Ants fill clusters 0 and 2, cluster 1 is empty, and one ant lies alone in cluster 3."""
    labels = np.array([0] * 9 + [1] * 2)
    cluster = np.array([0] * 5 + [2] * 3 + [3] + [0] * 2)
    split = Split(Assignments(soft(cluster, 4), soft(cluster, 4)), labels)
    clusters, _ = classes_of_clusters(split, split, NAMES)
    assert clusters == [0, None, None, None]
    table = predictions_table(split, NAMES, clusters)
    right = (table["label"] == table["predicted"]).mean()
    assert right == pytest.approx(scores(split, split, NAMES)["acc"])


@pytest.mark.parametrize(("images", "clusters", "over"), [(45, 10, 50), (60, 2, 20)])
def test_chance_is_the_mean_score_of_permuted_labels(random, images, clusters, over):
    names = np.array([str(label) for label in range(clusters)])

    def split(n: int) -> Split:
        hard = [random.integers(0, k, n) for k in (clusters, over)]
        heads = Assignments(soft(hard[0], clusters), soft(hard[1], over))
        return Split(heads, random.integers(0, clusters, n))

    train, test = split(5 * images), split(images)
    found = with_chance(scores(train, test, names), train, test, names)
    # Clusters and labels are unrelated, so each score is near its chance level.
    for name in ("acc", "nmi", "over_acc"):
        chance = found.get(f"{name}_chance")
        assert found[name] == pytest.approx(chance or NOTABLE / 2, abs=0.15)
        assert chance is None or chance > NOTABLE
    assert "acc_chance" in found
    assert "ari_chance" not in found
    # Fifty overclusters fit the labels of 45 images by chance, those of other images they do not.
    assert found["over_acc"] < found["acc_chance"] + 0.2
    assert found == with_chance(scores(train, test, names), train, test, names)


def test_thousands_of_images_in_ten_equal_classes_need_no_chance_level(random):
    labels = np.arange(3000) % 10
    names = np.array([str(label) for label in range(10)])
    split = Split(Assignments(soft(labels, 10), soft(random.integers(0, 50, 3000), 50)), labels)
    found = scores(split, split, names)
    assert with_chance(found, split, split, names) == found


def test_the_largest_class_stands_beside_the_scores():
    labels = np.array([0] * 90 + [1] * 10)
    split = Split(Assignments(soft(0 * labels, 2), soft(0 * labels, 4)), labels)
    found = with_chance(scores(split, split, NAMES[:2]), split, split, NAMES[:2])
    assert [found[name] for name in ("acc", "acc_chance", "largest_class")] == pytest.approx(
        [0.9] * 3
    )


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
    assert table["over_purity"] == pytest.approx([2 / 6, 5 / 6])
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
    assert agreement(CLUSTERS, (CLUSTERS + 1) % 3) == {"stability": 1}
    many = random.integers(0, 10, (2, 5000))
    assert agreement(*many) == {"stability": pytest.approx(0, abs=0.01)}


def test_collapsed_trainings_do_not_agree():
    one = 0 * CLUSTERS
    assert agreement(one, one + 3) == {"collapsed_trainings": 2}
    assert agreement(CLUSTERS, one) == agreement(one, CLUSTERS) == {"collapsed_trainings": 1}


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
