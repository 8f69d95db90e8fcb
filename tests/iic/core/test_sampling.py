import pytest

from iic.core.sampling import evenly


@pytest.mark.parametrize(
    ("n", "most", "chosen"),
    [
        (5, 9, [0, 1, 2, 3, 4]),
        (5, 5, [0, 1, 2, 3, 4]),
        (101, 3, [0, 50, 100]),
        (9, 1, [0]),
        (0, 4, []),
    ],
)
def test_first_and_last_are_chosen_and_the_others_at_equal_distances(n, most, chosen):
    assert evenly(n, most).tolist() == chosen
    assert evenly(n, most).dtype.kind == "i"
