"""Segments as groups of overclusters: the search, the network and the training."""

from itertools import combinations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import entr
from segmentation_settings import settings

from iic.core.constants import Head
from iic.model.matching import contingency_table
from iic.segmentation.batches import TileBatches
from iic.segmentation.grouping import Grouping, joined
from iic.segmentation.learner import SegmentationModel
from iic.segmentation.loss import displaced_counts, segmentation_loss
from iic.segmentation.network import build_fine, build_trunk, get_groups, set_groups
from iic.segmentation.store import load_trunk, save_trunk
from iic.segmentation.train import train_segmentation
from iic.training.fit import Watching
from iic.training.moves import merged

PARAMS = settings({
    "model.grouped": True, "model.overclusters": 6, "loss.reach": 1, "loss.reach_final": 0,
    "views.mix_from": 0.0, "views.rotation": 0.0,
})  # fmt: skip


@pytest.fixture(scope="module")
def tiles():
    return np.random.default_rng(0).integers(256, size=(10, 32, 32), dtype=np.uint8)


@pytest.fixture
def grouping(tiles):
    """Grouping of a network with random weights, after a step."""
    keras.utils.set_random_seed(0)
    batches = TileBatches(tiles, np.ones(tiles.shape, bool), PARAMS)
    callback = Grouping(batches, PARAMS)
    trunk = build_trunk(PARAMS.model, 1)
    model = SegmentationModel(trunk, PARAMS.views, PARAMS.loss, grouped=True)
    model.compile(optimizer=keras.optimizers.SGD(0.01))
    model.train_step(tf.nest.map_structure(tf.constant, next(batches.epoch(0))))
    callback.set_model(model)
    return callback


def grouped(grouping, pairs, monkeypatch):
    monkeypatch.setattr(grouping, "_pairs", lambda epoch: pairs)
    grouping.on_epoch_end(2)
    return get_groups(grouping.model.network).tolist()


# Three surfaces of two overclusters each, which are often neighbours.
SURFACES = np.kron(np.eye(3), np.full((2, 2), 900.0)) + 50.0


def test_at_first_overclusters_are_dealt_in_turn():
    assert get_groups(build_trunk(PARAMS.model, 1)).tolist() == [0, 1, 2, 0, 1, 2]


def test_overclusters_of_one_surface_come_together(grouping, monkeypatch, caplog):
    caplog.set_level("INFO")
    found = grouped(grouping, SURFACES, monkeypatch)
    assert [found[0], found[2], found[4]] == [found[1], found[3], found[5]]
    assert len(set(found)) == 3
    assert "segments share 0.7181 nats" in caplog.text


def test_segments_keep_their_numbers(grouping, monkeypatch):
    for before in ([2, 2, 0, 0, 1, 1], [1, 1, 2, 2, 0, 0], [1, 1, 2, 1, 0, 0]):
        set_groups(grouping.model.network, np.array(before))
        after = grouped(grouping, SURFACES, monkeypatch)
        assert after[::2] == [before[0], before[2], before[4]]


def test_the_joint_matrix_of_the_epoch_has_the_new_groups(grouping, monkeypatch):
    found = grouped(grouping, SURFACES, monkeypatch)
    joints = {head: joint.result().numpy() for head, joint in grouping.model.joints.items()}
    expected = merged(joints[Head.OVERCLUSTER], np.array(found), 3)
    np.testing.assert_allclose(joints[Head.CLUSTER], expected, rtol=1e-4)


def test_pairs_of_all_displacements_are_counted_without_covers(grouping):
    expected = np.zeros((6, 6))
    for batch in grouping._batches.epoch(3):
        assert batch.covered.any()
        alone = batch._replace(covered=np.zeros_like(batch.covered), mixes=np.bool_(False))
        alone = tf.nest.map_structure(tf.constant, alone)
        (_, z), (_, z_t) = grouping.model.assign_views(alone, training=False)
        expected += displaced_counts(z, z_t, 1).numpy().sum(axis=(0, 1))
    np.testing.assert_allclose(grouping._pairs(epoch=3), expected, rtol=1e-4)


def test_a_segment_is_the_sum_of_its_overclusters(grouping, tiles):
    network = grouping.model.network
    set_groups(network, np.array([0, 0, 2, 1, 2, 2]))
    segments, over = map(np.asarray, build_fine(network, 2)(tiles[:2, :, :, None] / 255))
    sums = np.stack([over[..., :2].sum(-1), over[..., 3], over[..., [2, 4, 5]].sum(-1)], axis=-1)
    np.testing.assert_allclose(segments, sums, atol=1e-5)


def test_only_the_loss_of_the_overclusters_is_minimised(grouping):
    model = grouping.model
    batch = tf.nest.map_structure(tf.constant, next(grouping._batches.epoch(0)))
    model.reset_metrics()
    z, z_t = model.assign_views(batch, training=True)
    over = float(segmentation_loss(z[1], z_t[1], 5.0, 1))
    logs = model.train_step(batch)
    assert float(logs["loss"]) == float(logs["overcluster_loss"]) == pytest.approx(over, rel=1e-5)
    assert get_groups(model.network).tolist() == [0, 1, 2, 0, 1, 2]


def test_a_small_surface_stays_apart_with_a_small_alpha():
    # Two halves of a large surface, which the views confuse, and two small surfaces.
    pairs = np.diag([0.32, 0.32, 0.07, 0.07])
    pairs[0, 1] = pairs[1, 0] = 0.1
    pairs[2, 3] = pairs[3, 2] = 0.01
    assert joined(pairs, 3, 1.0).tolist() == [0, 1, 2, 2]
    assert joined(pairs, 3, 0.9).tolist() == [0, 0, 2, 1]


def test_trained_groups_are_saved_and_those_of_the_last_snapshot(tiles, tmp_path):
    valid = np.ones(tiles.shape, bool)
    whole = train_segmentation(tiles, valid, tiles[:3], PARAMS, watching=Watching(verbose=0))
    save_trunk(whole.network, PARAMS.model, tmp_path, "float32")
    loaded = load_trunk(tmp_path)
    for a, b in zip(loaded.get_weights(), whole.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    joints = {head: whole.snapshots[f"{head}_joint"][-1] for head in Head}
    expected = merged(joints[Head.OVERCLUSTER], get_groups(whole.network), 3)
    np.testing.assert_allclose(joints[Head.CLUSTER], expected, rtol=1e-4)


@pytest.mark.parametrize("alpha", [0.6, 1.0])
def test_each_union_loses_least_of_the_objective(random, alpha):
    def objective(mapping, n):
        p_ij = merged(pairs, mapping, n)
        return 2 * alpha * entr(p_ij.sum(axis=0)).sum() - entr(p_ij).sum()

    counts = random.random((7, 7)) ** 4
    pairs = (counts + counts.T) / (2 * counts.sum())
    mapping, n = np.arange(7), 7
    while n > 2:
        unions = [np.where(mapping == b, a, mapping) for a, b in combinations(range(n), 2)]
        unions = [np.unique(union, return_inverse=True)[1] for union in unions]
        n -= 1
        mapping = max(unions, key=lambda union: objective(union, n))
        found = joined(pairs, n, alpha)
        # The same groups, whatever their numbers.
        assert (contingency_table(mapping, found, n, n) > 0).sum() == n


def test_overclusters_that_never_occur_are_joined_too():
    p_ij = np.zeros((5, 5))
    p_ij[1, 1], p_ij[3, 3] = 0.4, 0.6
    found = joined(p_ij, 2, 0.9)
    assert found[1] != found[3]
    assert set(found.tolist()) == {0, 1}
    assert joined(p_ij, 9, 0.9).tolist() == [0, 1, 2, 3, 4]
