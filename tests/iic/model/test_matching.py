from itertools import permutations

import numpy as np
import pytest

from iic.model.matching import (
    UNMATCHED,
    cluster_scores,
    contingency_table,
    hungarian_accuracy,
    hungarian_match,
    majority_match,
    matched_accuracy,
    purity,
)


def best_by_brute_force(table: np.ndarray) -> int:
    """Largest number of images that a one-to-one matching can get right."""
    classes, clusters = table.shape
    small, large = sorted(table.shape)
    square = table if classes <= clusters else table.T
    return max(
        sum(square[row, column] for row, column in zip(range(small), chosen, strict=True))
        for chosen in permutations(range(large), small)
    )


def test_contingency_table_keeps_empty_classes_and_clusters():
    table = contingency_table(np.array([0, 0, 2]), np.array([1, 1, 3]), classes=3, clusters=5)
    expected = np.zeros((3, 5), int)
    expected[0, 1], expected[2, 3] = 2, 1
    np.testing.assert_array_equal(table, expected)


def test_contingency_table_does_not_overflow_small_integers():
    labels = np.full(3, 9, np.uint8)
    table = contingency_table(labels, np.full(3, 49, np.uint16), classes=10, clusters=50)
    assert table[9, 49] == 3


@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (5, 5), (3, 6), (5, 3), (1, 4)])
@pytest.mark.parametrize("seed", range(4))
def test_hungarian_match_equals_brute_force(shape, seed):
    table = np.random.default_rng(seed).integers(0, 20, shape)
    assert hungarian_accuracy(table) == pytest.approx(best_by_brute_force(table) / table.sum())


def test_hungarian_match_is_one_to_one_with_surplus_clusters_unmatched(random):
    mapping = hungarian_match(random.integers(0, 20, (3, 7)))
    assert sorted(mapping[mapping != UNMATCHED]) == [0, 1, 2]
    assert (mapping == UNMATCHED).sum() == 4


def test_hungarian_match_beats_a_greedy_match():
    table = np.array([[10, 9], [9, 0]])
    np.testing.assert_array_equal(hungarian_match(table), [1, 0])
    assert hungarian_accuracy(table) == pytest.approx(18 / 28)


def test_scores_ignore_the_numbers_of_clusters(random):
    labels, clusters = random.integers(0, 5, (2, 300))
    renamed = random.permutation(5)[clusters]
    tables = [contingency_table(labels, c, 5, 5) for c in (clusters, renamed)]
    assert hungarian_accuracy(tables[0]) == hungarian_accuracy(tables[1])
    assert purity(tables[0]) == purity(tables[1])
    assert cluster_scores(labels, clusters) == pytest.approx(cluster_scores(labels, renamed))


def test_scores_of_perfect_and_collapsed_clusters():
    labels = np.arange(100) % 10
    perfect = (labels + 3) % 10
    assert hungarian_accuracy(contingency_table(labels, perfect, 10, 10)) == 1
    assert cluster_scores(labels, perfect) == pytest.approx({"nmi": 1, "ari": 1})
    collapsed = np.full(100, 4)
    assert hungarian_accuracy(contingency_table(labels, collapsed, 10, 10)) == 0.1
    assert cluster_scores(labels, collapsed) == pytest.approx({"nmi": 0, "ari": 0})


def test_majority_match_lets_clusters_share_a_class():
    table = np.array([[5, 0, 3, 0], [1, 4, 2, 0]])
    np.testing.assert_array_equal(majority_match(table), [0, 1, 0, UNMATCHED])
    assert purity(table) == pytest.approx(12 / 15)
    assert hungarian_accuracy(table) == pytest.approx(9 / 15)


def test_purity_is_never_below_the_matched_accuracy(random):
    for _ in range(20):
        table = random.integers(0, 9, (4, 6))
        assert purity(table) >= hungarian_accuracy(table)


def test_matched_accuracy_of_a_given_mapping():
    table = np.array([[5, 1], [2, 7]])
    assert matched_accuracy(table, np.array([1, 0])) == pytest.approx(3 / 15)
    assert matched_accuracy(table, np.array([UNMATCHED, 1])) == pytest.approx(7 / 15)
