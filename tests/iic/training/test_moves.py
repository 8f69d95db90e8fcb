import numpy as np
import pytest

from iic.training.loss import joint_probability, mutual_information
from iic.training.moves import (
    LEFT_OUT,
    MIN_GAIN,
    Move,
    _gains,
    best_moves,
    exact_joint,
    indicator,
    information,
    merged,
    parts_of,
)

# With this number of images, every gain above rounding reaches MIN_GAIN.
IMAGES = 10**9


@pytest.fixture
def joint(random) -> np.ndarray:
    """A joint matrix of six parts, symmetric and without zeros."""
    p_ij = random.random((6, 6))
    p_ij = p_ij + p_ij.T
    return p_ij / p_ij.sum()


def styles(*groups: list[int], size: int) -> np.ndarray:
    """A joint matrix in which the parts of each group often form pairs."""
    p_ij = np.zeros((size, size))
    for group in groups:
        p_ij[np.ix_(group, group)] += 1 / len(group) ** 2
    p_ij += 1e-3
    return p_ij / p_ij.sum()


def test_exact_joint_counts_each_image_with_each_partner(random):
    first, second = random.integers(0, 3, (2, 5))
    partners = np.array([[1, 2], [0, 4], [4, 3], [2, 0], [1, 1]])
    expected = np.zeros((4, 4))
    for image, others in enumerate(partners):
        for other in others:
            expected[first[image], second[other]] += 1 / 20
            expected[second[other], first[image]] += 1 / 20
    np.testing.assert_allclose(exact_joint(first, second, partners, 4).toarray(), expected)


def test_exact_joint_skips_pairs_with_a_left_out_image():
    parts, partners = np.array([0, LEFT_OUT, 1]), np.array([[1, 2], [0, 2], [0, 1]])
    p_ij = exact_joint(parts, parts, partners, 2).toarray()
    np.testing.assert_array_equal(p_ij, [[0, 0.5], [0.5, 0]])


def test_exact_joint_of_images_with_themselves_equals_that_of_the_loss(random):
    first, second = random.integers(0, 3, (2, 50))
    p_ij = exact_joint(first, second, np.arange(50)[:, None], 3).toarray()
    unit = np.eye(3, dtype=np.float32)
    np.testing.assert_allclose(p_ij, joint_probability(unit[first], unit[second]), rtol=1e-5)


def test_merged_sums_the_cells_of_each_cluster(joint):
    mapping = np.array([0, 1, 0, 2, 1, 1])
    expected = np.zeros((3, 3))
    for i in range(6):
        for j in range(6):
            expected[mapping[i], mapping[j]] += joint[i, j]
    np.testing.assert_allclose(merged(joint, mapping, 3), expected)


def test_merged_with_one_part_per_cluster_changes_nothing(joint):
    np.testing.assert_array_equal(indicator(np.arange(6), 6), np.eye(6))
    np.testing.assert_allclose(merged(joint, np.arange(6), 6), joint)


def test_information_equals_that_of_the_loss(joint):
    assert information(joint) == pytest.approx(float(mutual_information(joint, 1.0)))


def test_information_counts_empty_cells_as_0():
    assert information(np.diag([0.5, 0.5, 0.0])) == pytest.approx(np.log(2))


def test_gain_counts_an_emptied_cluster_as_0():
    # Moving part 0 empties cells of its cluster, where rounding can leave negative values.
    joint = np.array([[0.1, 0.2, 0.0], [0.2, 0.0, 0.0], [0.0, 0.0, 0.5]])
    start = np.array([0, 0, 1])
    for part, target in ((0, 1), (1, 1), (2, 0)):
        moved = start.copy()
        moved[part] = target
        expected = information(merged(joint, moved, 2)) - information(merged(joint, start, 2))
        assert _gains(joint, start, 2)[part, target] == pytest.approx(expected)


def test_best_moves_of_a_sparse_and_of_a_dense_joint_are_equal(random):
    first, second = random.integers(0, 8, (2, 30))
    p_ij = exact_joint(first, second, random.integers(0, 30, (30, 4)), 8)
    start = np.arange(8) % 3
    mapping, moves = best_moves(p_ij, start, 3, IMAGES)
    dense, same_moves = best_moves(p_ij.toarray(), start, 3, IMAGES)
    assert moves
    np.testing.assert_array_equal(mapping, dense)
    np.testing.assert_allclose(moves, same_moves)


def test_parts_distinguish_clusters_within_an_overcluster():
    overcluster, cluster = np.array([0, 0, 3, 3]), np.array([0, 2, 0, 2])
    np.testing.assert_array_equal(parts_of(overcluster, cluster, 5), [0, 2, 15, 17])


def test_rightly_split_overcluster_stays_split():
    # Overcluster 0 is split between both clusters. Each half pairs with the pure overcluster of its
    # own cluster and seldom with the other half. As a whole, it would move to the larger cluster.
    joint = np.array(
        [
            [0.10, 0.02, 0.08, 0.00],
            [0.02, 0.07, 0.00, 0.06],
            [0.08, 0.00, 0.22, 0.00],
            [0.00, 0.06, 0.00, 0.29],
        ]
    )
    mapping, moves = best_moves(joint, np.array([0, 1, 0, 1]), 2, IMAGES)
    assert moves == []
    np.testing.assert_array_equal(mapping, [0, 1, 0, 1])


def test_style_in_the_wrong_cluster_moves_to_its_own():
    joint = styles([0, 1, 2], [3, 4, 5], size=6)
    mapping, moves = best_moves(joint, np.array([0, 0, 1, 1, 1, 1]), 2, IMAGES)
    np.testing.assert_array_equal(mapping, [0, 0, 0, 1, 1, 1])
    ((part, source, target, gain),) = moves
    assert (part, source, target) == (2, 1, 0)
    before = information(merged(joint, np.array([0, 0, 1, 1, 1, 1]), 2))
    assert gain == pytest.approx(information(merged(joint, mapping, 2)) - before)


def test_correct_mapping_has_no_moves_and_is_copied():
    joint = styles([0, 1], [2, 3], [4, 5], size=6)
    given = np.array([2, 2, 0, 0, 1, 1])
    mapping, moves = best_moves(joint, given, 3, IMAGES)
    assert moves == []
    np.testing.assert_array_equal(mapping, given)
    assert mapping is not given


def test_best_move_comes_first_and_no_move_is_left_at_the_end(random):
    p_ij = random.random((8, 8)) ** 4
    p_ij = (p_ij + p_ij.T) / (2 * p_ij.sum())
    start = random.integers(0, 3, 8)
    mapping, moves = best_moves(p_ij, start, 3, IMAGES)

    def gain_of(mapping: np.ndarray, part: int, target: int) -> float:
        moved = mapping.copy()
        moved[part] = target
        return information(merged(p_ij, moved, 3)) - information(merged(p_ij, mapping, 3))

    assert moves
    every = [gain_of(start, p, t) for p in range(8) for t in range(3)]
    assert moves[0].gain == pytest.approx(max(every))
    replayed = start.copy()
    for move in moves:
        assert isinstance(move, Move)
        assert replayed[move.part] == move.source
        assert move.gain == pytest.approx(gain_of(replayed, move.part, move.target))
        replayed[move.part] = move.target
    np.testing.assert_array_equal(replayed, mapping)
    assert max(gain_of(mapping, p, t) for p in range(8) for t in range(3)) * IMAGES < MIN_GAIN


@pytest.mark.parametrize(("worth", "moved"), [(0.9, False), (1.1, True)])
def test_move_needs_the_minimum_gain_over_all_images(worth, moved):
    joint = styles([0, 1, 2], [3, 4, 5], size=6)
    start, target = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    gain = information(merged(joint, target, 2)) - information(merged(joint, start, 2))
    mapping, moves = best_moves(joint, start, 2, images=round(worth * MIN_GAIN / gain))
    assert bool(moves) == moved
    np.testing.assert_array_equal(mapping, target if moved else start)
