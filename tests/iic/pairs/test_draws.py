import numpy as np
import pytest

from iic.pairs.draws import DRAW_NAMES, SYMMETRIC_DRAWS, make_draws, views_of_epoch


def test_shapes_dtypes_and_ranges_of_draws():
    arrays = make_draws(seed=3, views=4, images=500)
    draws, seeds = arrays["draws"], arrays["noise_seeds"]
    assert draws.shape == (4, 500, len(DRAW_NAMES))
    assert draws.dtype == np.float32
    assert seeds.shape == (4, 500)
    assert seeds.dtype == np.uint32
    symmetric, unit = np.split(draws, [len(SYMMETRIC_DRAWS)], axis=2)
    assert symmetric.min() < -0.99
    assert symmetric.max() > 0.99
    assert unit.min() >= 0
    assert 0.99 < unit.max() < 1
    assert len(np.unique(seeds)) == seeds.size


def test_columns_and_views_are_uncorrelated():
    draws = make_draws(seed=0, views=2, images=4000)["draws"]
    columns = np.concatenate([draws[0], draws[1]], axis=1)
    correlation = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(correlation).max() < 0.08
    assert np.abs(columns.mean(axis=0)[: len(SYMMETRIC_DRAWS)]).max() < 0.05


def test_seed_determines_all_draws():
    first, again, other = (make_draws(seed, 2, 10) for seed in (1, 1, 2))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert (first[name] != other[name]).any()


def test_first_views_stay_the_same_when_more_are_drawn():
    few, many = make_draws(1, 2, 10), make_draws(1, 5, 10)
    for name in few:
        np.testing.assert_array_equal(few[name], many[name][:2])


def test_both_views_are_unused_until_all_have_been_used():
    used = [view for epoch in range(3) for view in views_of_epoch(epoch, 6, both_views=True)]
    assert used == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("views", [2, 3, 4, 7, 12])
def test_pair_has_two_different_views(views):
    for epoch in range(200):
        first, second = views_of_epoch(epoch, views, both_views=True)
        assert first != second
        assert 0 <= first < views
        assert 0 <= second < views


def test_views_are_reused_in_other_pairs():
    pairs = {frozenset(views_of_epoch(epoch, 12, both_views=True)) for epoch in range(12)}
    assert len(pairs) == 12


def test_single_view_cycles_through_all_views():
    assert [views_of_epoch(e, 3, both_views=False) for e in range(4)] == [(0,), (1,), (2,), (0,)]
