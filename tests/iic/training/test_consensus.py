import numpy as np

from iic.core.constants import UNTAUGHT
from iic.training.consensus import agreement

FIRST = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])


def test_clusters_that_differ_in_name_alone_agree():
    renamed = np.array([2, 0, 1])[FIRST]
    np.testing.assert_array_equal(agreement([FIRST, renamed, renamed], 3, 1.0, 1.0), FIRST)


def test_an_image_that_one_member_puts_elsewhere_is_left_out():
    second, third = (np.array([1, 2, 0])[FIRST] for _ in range(2))
    second[4], third[0] = second[0], third[8]
    expected = FIRST.copy()
    expected[[0, 4]] = UNTAUGHT
    np.testing.assert_array_equal(agreement([FIRST, second, third], 3, 1.0, 1.0), expected)


def test_a_quorum_outvotes_single_members_and_the_first_as_well():
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


def test_a_committee_of_one_agrees_with_itself():
    np.testing.assert_array_equal(agreement([FIRST], 3, 1.0, 1.0), FIRST)


def test_an_empty_cluster_is_no_obstacle():
    np.testing.assert_array_equal(agreement([FIRST, FIRST + 1], 5, 1.0, 1.0), FIRST)


def test_those_furthest_from_what_most_say_do_not_vote(caplog):
    members = [FIRST.copy() for _ in range(5)]
    # Two have the style 6-8 elsewhere, and the first is one of them.
    members[0][6:] = members[3][6:] = 1
    # One image is another's own mistake.
    members[4][0] = 2
    votes = np.where(np.arange(9) >= 6, UNTAUGHT, FIRST)
    votes[0] = UNTAUGHT
    np.testing.assert_array_equal(agreement(members, 3, 1.0, 0.9), votes)
    expected = FIRST.copy()
    expected[0] = UNTAUGHT
    with caplog.at_level("INFO"):
        np.testing.assert_array_equal(agreement(members, 3, 0.6, 0.9), expected)
    assert caplog.messages == ["furthest from what most say, so without a vote: 1, 4"]


def test_one_votes_at_least():
    np.testing.assert_array_equal(agreement([FIRST, FIRST], 3, 0.1, 1.0), FIRST)
