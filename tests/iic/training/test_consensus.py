import numpy as np

from iic.core.constants import UNTAUGHT
from iic.training.consensus import majority

FIRST = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])


def test_clusterings_with_renumbered_clusters_agree():
    renamed = np.array([2, 0, 1])[FIRST]
    np.testing.assert_array_equal(majority([FIRST, renamed, renamed], 3), FIRST)


def test_a_majority_outvotes_the_others_including_the_first():
    first, second, third = (FIRST.copy() for _ in range(3))
    first[4] = 0  # two say 1
    second[0] = 2  # two say 0
    agreed = majority([first, second, third], 3)
    np.testing.assert_array_equal(agreed, FIRST)
    assert agreed.dtype == np.int32


def test_half_of_the_votes_is_no_majority():
    second, third, fourth = (FIRST.copy() for _ in range(3))
    third[0], fourth[0] = 1, 2  # two of four say 0
    expected = FIRST.copy()
    expected[0] = UNTAUGHT
    np.testing.assert_array_equal(majority([FIRST, second, third, fourth], 3), expected)
    np.testing.assert_array_equal(
        majority([FIRST, fourth], 3), np.where(fourth == FIRST, FIRST, -1)
    )


def test_single_clustering_agrees_with_itself():
    np.testing.assert_array_equal(majority([FIRST], 3), FIRST)


def test_empty_clusters_are_allowed():
    np.testing.assert_array_equal(majority([FIRST, FIRST + 1], 5), FIRST)
