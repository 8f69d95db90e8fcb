from itertools import combinations

import keras
import numpy as np
import pytest
import tensorflow as tf
from segmentation_settings import settings

from iic.core.constants import UNTAUGHT
from iic.model.matching import contingency_table
from iic.segmentation.batches import TileBatches
from iic.segmentation.learner import SegmentationModel
from iic.segmentation.loss import displaced_counts
from iic.segmentation.merging import Merging, joined
from iic.segmentation.network import build_trunk
from iic.training.moves import information, merged

PARAMS = settings({
    "loss.teaching_weight": 1.0, "loss.teaching_from": 0.5, "loss.reach": 1,
    "views.mix_from": 0.0, "views.rotation": 0.0,
    "train.epochs": 4, "model.overclusters": 6,
})  # fmt: skip


@pytest.fixture
def merging():
    """Merging of a network with random weights, and its batches."""
    keras.utils.set_random_seed(0)
    tiles = np.random.default_rng(0).integers(256, size=(10, 32, 32), dtype=np.uint8)
    batches = TileBatches(tiles, np.ones(tiles.shape, bool), PARAMS)
    callback = Merging(batches, PARAMS)
    callback.set_model(SegmentationModel(build_trunk(PARAMS.model, 1), PARAMS.views, PARAMS.loss))
    return callback


def groups(merging):
    return merging.model.groups.numpy().tolist()


def counted(merging, pairs, shared, monkeypatch):
    monkeypatch.setattr(merging, "_counts", lambda epoch: (np.array(pairs), np.array(shared)))
    merging.on_epoch_begin(2)
    return groups(merging)


# Three surfaces of two overclusters each, which are often neighbours.
SURFACES = np.kron(np.eye(3), np.full((2, 2), 900.0)) + 50.0


def test_overclusters_of_one_surface_come_together(merging, monkeypatch, caplog):
    # The clustering head divides the first surface and has the other two in one segment.
    shared = 1000.0 * np.eye(3)[[0, 1, 2, 2, 2, 2]]
    caplog.set_level("INFO")
    found = counted(merging, SURFACES, shared, monkeypatch)
    assert [found[0], found[2], found[4]] == [found[1], found[3], found[5]]
    assert len(set(found)) == 3
    assert "overclusters grouped: 0.7181 nats shared, 0.4041" in caplog.text


def test_a_good_division_keeps_its_numbers(merging, monkeypatch):
    shared = 1000.0 * np.eye(3)[[2, 2, 0, 0, 1, 1]]
    assert counted(merging, SURFACES, shared, monkeypatch) == [2, 2, 0, 0, 1, 1]


def test_each_union_loses_least_information(random):
    counts = random.random((7, 7)) ** 4
    p_ij = (counts + counts.T) / (2 * counts.sum())
    mapping, n = np.arange(7), 7
    while n > 2:
        unions = [np.where(mapping == b, a, mapping) for a, b in combinations(range(n), 2)]
        unions = [np.unique(union, return_inverse=True)[1] for union in unions]
        n -= 1
        mapping = max(unions, key=lambda union: information(merged(p_ij, union, n)))
        found = joined(p_ij, n)
        # The same groups, whatever their numbers.
        assert (contingency_table(mapping, found, n, n) > 0).sum() == n


def test_overclusters_that_never_occur_are_joined_too():
    p_ij = np.zeros((5, 5))
    p_ij[1, 1], p_ij[3, 3] = 0.4, 0.6
    found = joined(p_ij, 2)
    assert found[1] != found[3]
    assert set(found.tolist()) == {0, 1}
    assert joined(p_ij, 9).tolist() == [0, 1, 2, 3, 4]


def test_nothing_is_grouped_before_its_share_of_the_training(merging):
    merging.on_epoch_begin(1)
    assert groups(merging) == [UNTAUGHT] * 6
    merging.on_epoch_begin(2)
    assert UNTAUGHT not in groups(merging)


def test_pairs_of_all_displacements_are_counted_without_covers(merging):
    pairs, shared = merging._counts(epoch=3)
    expected, cells = np.zeros((6, 6)), np.zeros((6, 3))
    for batch in merging._batches.epoch(3):
        assert batch.covered.any()
        alone = batch._replace(covered=np.zeros_like(batch.covered), mixes=np.bool_(False))
        alone = tf.nest.map_structure(tf.constant, alone)
        (z, over), (_, over_t) = merging.model.assign_views(alone, training=False)
        expected += displaced_counts(over, over_t, 1).numpy().sum(axis=(0, 1))
        cells += np.einsum("nhwo,nhwk->ok", over, z)
    np.testing.assert_allclose(pairs, expected, rtol=1e-4)
    np.testing.assert_allclose(shared, cells, rtol=1e-4)
    # Two batches of four tiles of 8×8 cells; the others are left out, as in training.
    assert shared.sum() == pytest.approx(2 * 4 * 64)
