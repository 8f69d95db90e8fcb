import numpy as np
import pytest

from iic.loss import joint_probability, mutual_information
from iic.moves import Move, best_moves, exact_joint, indicator, merged, objective

ALPHA = 2.0


@pytest.fixture
def joint(random) -> np.ndarray:
    """Of six overclusters, symmetric and without zeros."""
    p_ij = random.random((6, 6))
    p_ij = p_ij + p_ij.T
    return p_ij / p_ij.sum()


def styles(*groups: list[int], size: int) -> np.ndarray:
    """A joint matrix in which the overclusters of a group are often seen as one another."""
    p_ij = np.zeros((size, size))
    for group in groups:
        p_ij[np.ix_(group, group)] += 1 / len(group) ** 2
    p_ij += 1e-3
    return p_ij / p_ij.sum()


def test_the_exact_joint_counts_each_image_with_each_of_its_partners(random):
    z, z_t = random.dirichlet(np.ones(3), size=(2, 5))
    partners = np.array([[1, 2], [0, 4], [4, 3], [2, 0], [1, 1]])
    expected = np.zeros((3, 3))
    for image, others in enumerate(partners):
        for other in others:
            for first, second in ((z[image], z_t[other]), (z_t[other], z[image])):
                expected += np.outer(first, second) / (2 * partners.size)
    np.testing.assert_allclose(exact_joint(z, z_t, partners), expected)


def test_with_itself_as_partner_the_exact_joint_is_that_of_the_loss(random):
    z, z_t = random.dirichlet(np.ones(3), size=(2, 5))
    p_ij = exact_joint(z, z_t, np.arange(5)[:, None])
    np.testing.assert_allclose(p_ij, joint_probability(z, z_t), rtol=1e-6)


def test_merging_sums_the_cells_of_a_cluster(joint):
    mapping = np.array([0, 1, 0, 2, 1, 1])
    expected = np.zeros((3, 3))
    for i in range(6):
        for j in range(6):
            expected[mapping[i], mapping[j]] += joint[i, j]
    np.testing.assert_allclose(merged(joint, mapping, 3), expected)


def test_merging_each_into_its_own_cluster_changes_nothing(joint):
    np.testing.assert_array_equal(indicator(np.arange(6), 6), np.eye(6))
    np.testing.assert_allclose(merged(joint, np.arange(6), 6), joint)


@pytest.mark.parametrize("alpha", [1.0, 5.0])
def test_the_objective_is_that_of_the_loss(joint, alpha):
    assert objective(joint, alpha) == pytest.approx(float(mutual_information(joint, alpha)))


def test_the_objective_counts_empty_cells_as_nothing():
    assert objective(np.diag([0.5, 0.5, 0.0]), alpha=1.0) == pytest.approx(np.log(2))


def test_a_style_in_the_wrong_cluster_is_moved_to_its_own():
    joint = styles([0, 1, 2], [3, 4, 5], size=6)
    mapping, moves = best_moves(joint, np.array([0, 0, 1, 1, 1, 1]), 2, ALPHA)
    np.testing.assert_array_equal(mapping, [0, 0, 0, 1, 1, 1])
    ((overcluster, source, target, gain),) = moves
    assert (overcluster, source, target) == (2, 1, 0)
    before = objective(merged(joint, np.array([0, 0, 1, 1, 1, 1]), 2), ALPHA)
    assert gain == pytest.approx(objective(merged(joint, mapping, 2), ALPHA) - before)


def test_what_is_right_stays_and_the_given_mapping_is_left_alone():
    joint = styles([0, 1], [2, 3], [4, 5], size=6)
    given = np.array([2, 2, 0, 0, 1, 1])
    mapping, moves = best_moves(joint, given, 3, ALPHA)
    assert moves == []
    np.testing.assert_array_equal(mapping, given)
    assert mapping is not given


def test_the_best_move_comes_first_and_in_the_end_no_single_move_helps(random):
    p_ij = random.random((8, 8)) ** 4
    p_ij = (p_ij + p_ij.T) / (2 * p_ij.sum())
    start = random.integers(0, 3, 8)
    mapping, moves = best_moves(p_ij, start, 3, ALPHA)

    def gain_of(mapping: np.ndarray, overcluster: int, target: int) -> float:
        moved = mapping.copy()
        moved[overcluster] = target
        return objective(merged(p_ij, moved, 3), ALPHA) - objective(merged(p_ij, mapping, 3), ALPHA)

    assert moves
    every = [gain_of(start, o, t) for o in range(8) for t in range(3)]
    assert moves[0].gain == pytest.approx(max(every))
    replayed = start.copy()
    for move in moves:
        assert isinstance(move, Move)
        assert replayed[move.overcluster] == move.source
        assert move.gain == pytest.approx(gain_of(replayed, move.overcluster, move.target))
        replayed[move.overcluster] = move.target
    np.testing.assert_array_equal(replayed, mapping)
    assert max(gain_of(mapping, o, t) for o in range(8) for t in range(3)) <= 1e-9
