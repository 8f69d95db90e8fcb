import numpy as np
import pytest

from iic.core.errors import InputError
from iic.pairs.copies import check_enough, find_distinct


def test_different_images_are_found_in_order(random):
    once = random.integers(0, 255, (4, 28, 28), np.uint8)
    found = find_distinct(once[[2, 0, 2, 2, 1, 0]])
    assert found.first.tolist() == [0, 1, 4]
    assert found.place.tolist() == [0, 1, 0, 0, 2, 1]
    assert str(found) == "6 training images, 3 different"


def test_equal_images_are_refused():
    same = find_distinct(np.full((50, 28, 28), 7, np.uint8))
    for clusters in (1, 10):
        with pytest.raises(InputError, match=r"^all 50 training images are the same, .*data\.path"):
            check_enough(same, clusters)


def test_fewer_different_images_than_clusters_are_refused(digits):
    found = find_distinct(np.tile(digits.train_images[:9], (5, 1, 1)))
    check_enough(found, 9)
    with pytest.raises(
        InputError,
        match=r"model\.clusters: 10 clusters need .* \(45 training images, 9 different\); lower it",
    ):
        check_enough(found, 10)
