import numpy as np

from iic.core.constants import UNTAUGHT
from iic.training.consensus import agreement

FIRST = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])


def test_clusterings_with_renumbered_clusters_agree():
    renamed = np.array([2, 0, 1])[FIRST]
    np.testing.assert_array_equal(agreement([FIRST, renamed, renamed], 3, 1.0, 1.0), FIRST)


def test_unanimity_leaves_out_images_with_a_dissenting_member():
    second, third = (np.array([1, 2, 0])[FIRST] for _ in range(2))
    second[4], third[0] = second[0], third[8]
    expected = FIRST.copy()
    expected[[0, 4]] = UNTAUGHT
    np.testing.assert_array_equal(agreement([FIRST, second, third], 3, 1.0, 1.0), expected)


def test_quorum_outvotes_single_members_including_the_first():
    first, second, third, fourth = (FIRST.copy() for _ in range(4))
    first[4] = 0  # three say 1
    second[0], third[0] = 1, 2  # two say 0
    agreed = agreement([first, second, third, fourth], 3, 1.0, 0.75)
    expected = FIRST.copy()
    expected[0] = UNTAUGHT
    np.testing.assert_array_equal(agreed, expected)
    expected[4] = UNTAUGHT
    np.testing.assert_array_equal(agreement([first, second, third, fourth], 3, 1.0, 0.76), expected)
    assert agreed.dtype == np.int32


def test_rounding_does_not_raise_the_quorum():
    members = [FIRST] * 9 + [FIRST.copy()]
    members[-1][0] = 1
    np.testing.assert_array_equal(agreement(members, 3, 1.0, 0.9), FIRST)  # 0.9 * 10 may exceed 9


def test_single_member_agrees_with_itself():
    np.testing.assert_array_equal(agreement([FIRST], 3, 1.0, 1.0), FIRST)


def test_empty_clusters_are_allowed():
    np.testing.assert_array_equal(agreement([FIRST, FIRST + 1], 5, 1.0, 1.0), FIRST)


def test_members_furthest_from_the_majority_do_not_vote(caplog):
    members = [FIRST.copy() for _ in range(5)]
    # Members 1 and 4 have a whole style, images 6 to 8, in another cluster.
    members[0][6:] = members[3][6:] = 1
    # Member 5 has a single image in another cluster.
    members[4][0] = 2
    votes = np.where(np.arange(9) >= 6, UNTAUGHT, FIRST)
    votes[0] = UNTAUGHT
    np.testing.assert_array_equal(agreement(members, 3, 1.0, 0.9), votes)
    expected = FIRST.copy()
    expected[0] = UNTAUGHT
    with caplog.at_level("INFO"):
        np.testing.assert_array_equal(agreement(members, 3, 0.6, 0.9), expected)
    assert caplog.messages == ["members without a vote, furthest from the majority: 1, 4"]


def test_at_least_one_member_votes():
    np.testing.assert_array_equal(agreement([FIRST, FIRST], 3, 0.1, 1.0), FIRST)
