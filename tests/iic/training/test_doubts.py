"""Margins of styles that a regression has not seen, on small cases."""

import numpy as np
import pytest

from iic.core.constants import TEACH_ALL, UNTAUGHT
from iic.model.network import predict
from iic.pairs.batches import TrainingData
from iic.pairs.draws import make_draws
from iic.training import doubts
from iic.training.doubts import (
    RIDGE,
    UNJUDGED,
    group_margins,
    group_styles,
    held_out_scores,
    margins,
    whitened,
    without_doubts,
)
from iic.training.train import train


@pytest.fixture
def rows(random) -> np.ndarray:
    features = random.normal(3, 2, (90, 7)).astype(np.float32)
    features[:, -1] = 1
    return features


def test_whitened_rows_give_the_hat_matrix_of_the_ridge_regression(rows):
    standard = rows.astype(np.float64)
    standard[:, :-1] = (standard[:, :-1] - standard[:, :-1].mean(0)) / standard[:, :-1].std(0)
    gram = standard.T @ standard + RIDGE * 90 * np.eye(7)
    hat = standard @ np.linalg.solve(gram, standard.T)
    b = whitened(rows)
    assert b is rows
    np.testing.assert_allclose(b @ b.T, hat, atol=1e-5)


# Groups smaller and larger than the number of features, which have different equations.
@pytest.mark.parametrize("size", [3, 30])
def test_held_out_scores_are_those_of_a_regression_without_the_group(rows, random, size):
    y = np.eye(4, dtype=np.float32)[random.integers(4, size=90)]
    groups = random.permutation(np.arange(90) // size)
    standard = rows.astype(np.float64)
    standard[:, :-1] = (standard[:, :-1] - standard[:, :-1].mean(0)) / standard[:, :-1].std(0)
    scores = held_out_scores(whitened(rows), y, groups)
    for group in range(90 // size):
        inside = groups == group
        kept = standard[~inside]
        weights = np.linalg.solve(kept.T @ kept + RIDGE * 90 * np.eye(7), kept.T @ y[~inside])
        np.testing.assert_allclose(scores[inside], standard[inside] @ weights, atol=1e-4)


def test_margin_of_a_group_is_its_mean_lead(random):
    scores = np.array([[0.9, 0.1, 0.0], [0.5, 0.7, 0.0], [0.2, 0.3, 0.5], [0.0, 0.0, 1.0]])
    own = np.array([0, 0, 1, 2])
    found = group_margins(scores, own, np.array([5, 5, 2, 9]))
    np.testing.assert_allclose(found, [0.3, 0.3, -0.2, 1.0])


@pytest.fixture(scope="module")
def styles(digits) -> tuple[np.ndarray, np.ndarray]:
    """Zeros and ones, 200 each, with a style of the ones: 40 that are moved to the right."""
    images = np.concatenate(
        [digits.train_images[digits.train_labels == label] for label in (0, 1)]
    )[:240]
    label = (np.arange(240) >= (digits.train_labels == 0).sum()).astype(np.int64)
    images = images.copy()
    images[200:] = np.roll(images[200:], 3, axis=2)
    return images, label


@pytest.fixture
def groupings(styles) -> list[np.ndarray]:
    """Groups in which the style, the last 40 images, is separate."""
    place = np.arange(240)
    return [np.where(place >= 200, 9, place // divisor) for divisor in (25, 50)]


def test_a_style_in_the_wrong_cluster_is_in_doubt_and_a_right_one_is_not(styles, groupings):
    images, label = styles
    right = margins(images, groupings, label)
    wrong = label.copy()
    wrong[200:] = 0
    misplaced = margins(images, groupings, wrong)
    assert right[200:].min() > 0.1
    assert misplaced[200:].max() < -0.1
    assert np.median(misplaced[:200]) > 0.1
    taught = without_doubts(images, groupings, wrong, 0.0)
    assert (taught[200:] == UNTAUGHT).all()
    assert (taught[:200] == UNTAUGHT).mean() < 0.1
    assert taught.dtype == np.int32


def test_at_most_half_of_a_cluster_is_in_doubt(styles, groupings):
    images, label = styles
    taught = without_doubts(images, groupings, label, 2.0)
    for cluster in (0, 1):
        members = taught[label == cluster]
        assert set(members) == {cluster, UNTAUGHT}
        assert (members == UNTAUGHT).mean() <= 0.5
    np.testing.assert_array_equal(without_doubts(images, groupings, label, -2.0), label)


def test_a_group_that_is_most_of_its_cluster_is_not_judged(styles, groupings, caplog):
    """In a small set, a whole cluster may be one group, of which no other image is known."""
    images, label = styles
    whole = np.zeros(240, np.int64)
    assert (margins(images, [whole], label) == UNJUDGED).all()
    # Other groupings judge them.
    np.testing.assert_array_equal(
        margins(images, [whole, *groupings], label), margins(images, groupings, label)
    )
    with caplog.at_level("INFO"):
        np.testing.assert_array_equal(without_doubts(images, [whole], label, 0.2), label)
    assert caplog.messages == [
        "240 images in no doubt: each of their styles is most of its cluster",
    ]


def test_images_without_a_cluster_stay_untaught_and_do_not_count(styles, groupings):
    images, label = styles
    some = np.where(np.arange(240) % 3 == 0, UNTAUGHT, label)
    taught = without_doubts(images, groupings, some, 0.0)
    assert (taught[::3] == UNTAUGHT).all()
    alone = without_doubts(
        images[some != UNTAUGHT],
        [groups[some != UNTAUGHT] for groups in groupings],
        label[some != UNTAUGHT],
        0.0,
    )
    np.testing.assert_array_equal(taught[some != UNTAUGHT], alone)


def test_many_images_are_divided_among_regressions(styles, groupings, monkeypatch):
    images, label = styles
    calls = []

    def counted(images, groupings, clustering):
        calls.append((len(images), groupings[1].shape, len(clustering)))
        return np.arange(len(images)) - 1.0

    monkeypatch.setattr(doubts, "MOST", 100)
    monkeypatch.setattr(doubts, "margins", counted)
    taught = without_doubts(images, groupings, label, 0.0)
    assert calls == [(80, (80,), 80)] * 3
    # The first image of each part has the margin -1.
    np.testing.assert_array_equal(np.flatnonzero(taught == UNTAUGHT), [0, 1, 2])


def test_networks_take_turns_in_grouping(random, monkeypatch):
    monkeypatch.setattr(doubts, "GROUPS", (30, 15, 30, 15))
    kinds = np.repeat(np.arange(4), 15)
    features = (10 * np.eye(4)[kinds] + random.normal(0, 0.1, (60, 4))).astype(np.float32)
    found = [group_styles(features, place, 3) for place in range(4)]
    assert [[len(np.unique(groups)) for groups in each] for each in found] == [
        [2, 4],
        [4],
        [2],
        [4],
    ]
    # Each kind is a group.
    (four,) = found[1]
    assert all(len(np.unique(four[kinds == kind])) == 1 for kind in range(4))
    assert [len(each) for each in (group_styles(features, place, 1) for place in range(1))] == [4]
    assert group_styles(features, 4, 6) == []


def test_a_style_that_is_taught_wrong_goes_home_and_a_right_one_stays(
    styles, groupings, tiny_params, monkeypatch
):
    """From the clusters of a teacher, which others replace here, to those of its student."""
    images, label = styles
    wrong = label.copy()
    wrong[200:] = 0
    params = tiny_params.with_values(
        model={"widths": [8, 16], "head_widths": [], "clusters": 2, "overclusters": 4},
        train={"epochs": 1, "batch_size": 40, "learning_rate": 0.01},
        augment={"ops": ["noise"], "neighbors": 0},
        loss={"teaching_weight": 0.0},
        student={"teachers": 1, "length": 15.0, "sure": 0.6},
    )
    data = TrainingData(
        images, images[:20], **make_draws(0, 4, 240), neighbors=np.empty((240, 0), np.int32)
    )
    monkeypatch.setattr("iic.training.train.group_styles", lambda *_: groupings)

    def clusters_of_a_student(taught: np.ndarray, margin: float) -> np.ndarray:
        monkeypatch.setattr("iic.training.train.majority", lambda *_: taught)
        result = train(data, params.with_values(student={"margin": margin}), verbose=0)
        return predict(result.network, images).hard_cluster

    assert (clusters_of_a_student(wrong, 0.0)[200:] == 1).mean() > 0.9
    assert (clusters_of_a_student(label, 0.0) == label).mean() > 0.95
    # Without doubts, the student learns what it is taught.
    assert (clusters_of_a_student(wrong, TEACH_ALL)[200:] == 0).mean() > 0.7
