import keras
import numpy as np
import pytest
import tensorflow as tf
from segmentation_settings import settings

from iic.core.constants import Head
from iic.segmentation.batches import TileBatches
from iic.segmentation.learner import SegmentationModel
from iic.segmentation.loss import segmentation_loss
from iic.segmentation.mixing import draw_covers, inside_segments
from iic.segmentation.network import build_fine, build_pixels, build_trunk
from iic.segmentation.poses import Poses, apply
from iic.segmentation.predict import segment_tiles
from iic.segmentation.train import train_segmentation
from iic.training.fit import Watching

STILL = {f"views.{name}": 0.0 for name in ("rotation", "brightness", "contrast", "noise")}
BORDERS = np.random.default_rng(1).integers(8, 24, size=15)


@pytest.fixture(scope="module")
def tiles():
    """Noise and stripes, left and right of a border."""
    noise = np.random.default_rng(0).integers(256, size=(15, 32, 32))
    stripes = np.tile(255 * (np.arange(32) // 2 % 2), (32, 1))
    return np.where(np.arange(32) < BORDERS[:, None, None], noise, stripes).astype(np.uint8)


def trained(tiles, params, **options):
    valid = np.ones(tiles[:12].shape, bool)
    options = {"watching": Watching(verbose=0)} | options
    return train_segmentation(tiles[:12], valid, tiles[12:], params, **options)


def same_weights(first, second):
    pairs = zip(first.network.get_weights(), second.network.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_repeated_training_gives_the_same_bytes(tiles):
    first, second = (trained(tiles, settings()) for _ in range(2))
    assert same_weights(first, second)
    assert first.history == second.history
    for name, array in first.snapshots.items():
        np.testing.assert_array_equal(array, second.snapshots[name])
    assert not same_weights(first, trained(tiles, settings({"seed": 1})))


class _Interrupted(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("grouped", [False, True])
def test_interrupted_training_resumes_to_the_same_bytes(tiles, tmp_path, grouped):
    file, params = tmp_path / "state.npz", settings({"model.grouped": grouped})
    with pytest.raises(KeyboardInterrupt):
        trained(tiles, params, file=file, watching=Watching([_Interrupted()], 0))
    epochs = []
    counting = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epochs.append(epoch)
    )
    resumed = trained(tiles, params, file=file, watching=Watching([counting], 0))
    assert epochs == [2]
    whole = trained(tiles, params)
    assert same_weights(resumed, whole)
    assert resumed.history == whole.history


def test_history_and_snapshots_describe_each_epoch(tiles):
    result = trained(tiles, settings({"loss.reach_falls_at": 0.6, "loss.reach_final": 0}))
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    assert [row["reach"] for row in result.history] == [2, 0, 0]
    assert "taught" not in result.history[0]
    assert result.snapshots["cluster_test"].shape == (3, 3, 32, 32)
    assert result.snapshots["overcluster_joint"].shape == (3, 5, 5)
    # The last snapshot is what the stored network says.
    cluster, overcluster = segment_tiles(result.network, 2, tiles[12:])
    np.testing.assert_array_equal(result.snapshots["cluster_test"][-1], cluster)
    np.testing.assert_array_equal(result.snapshots["overcluster_test"][-1], overcluster)


def test_of_too_many_test_tiles_an_even_sample_is_recorded(tiles, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("iic.segmentation.train._RECORDED", 2 * 32**2 * (3 + 5))
    result = trained(tiles, settings())
    assert result.snapshots["tiles"].tolist() == [0, 2]
    recorded = segment_tiles(result.network, 2, tiles[[12, 14]])
    np.testing.assert_array_equal(result.snapshots["cluster_test"][-1], recorded.cluster)
    assert "each epoch is recorded for 2 of 3 test tiles" in caplog.messages


def test_training_finds_noise_and_stripes(tiles):
    params = settings(
        {
            "model.clusters": 2,
            "model.widths": [8, 16],
            "train.epochs": 30,
            "views.symmetries": False,
            "views.rotation": 0.0,
        }
    )
    segments = trained(tiles, params).snapshots["cluster_test"][-1]
    share = (segments == (np.arange(32) < BORDERS[12:, None, None])).mean()
    assert max(share, 1 - share) > 0.85


def first_step(params, tiles, valid=None):
    keras.utils.set_random_seed(0)
    batches = TileBatches(tiles, np.ones(tiles.shape, bool) if valid is None else valid, params)
    trunk = build_trunk(params.model, 1)
    model = SegmentationModel(trunk, params.views, params.loss)
    batch = tf.nest.map_structure(tf.constant, next(batches.epoch(0)))
    return model, batch


def test_step_minimises_the_weighted_loss_of_both_heads(tiles):
    params = settings({"loss.overclustering_weight": 0.25})
    model, batch = first_step(params, tiles)
    z, z_t = model.assign_views(batch, training=True)
    losses = [float(segmentation_loss(a, b, 5.0, 2)) for a, b in zip(z, z_t, strict=True)]
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    logs = model.train_step(batch)
    assert float(logs["cluster_loss"]) == pytest.approx(losses[0], rel=1e-5)
    assert float(logs["loss"]) == pytest.approx(0.75 * losses[0] + 0.25 * losses[1], rel=1e-5)


def test_views_without_changes_give_equal_outputs(tiles):
    model, batch = first_step(settings(STILL | {"views.symmetries": False}), tiles)
    for a, b in zip(*model.assign_views(batch, training=False), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def look_at_one_pixel(network):
    """Make all convolutions 1×1, so that the network commutes with poses and with mixing."""
    for layer in network.layers:
        if layer.name.endswith("_conv"):
            kernel, *others = layer.get_weights()
            centre = np.zeros_like(kernel)
            centre[1, 1] = kernel[1, 1]
            layer.set_weights([centre, *others])


@pytest.mark.parametrize("mix_from", [0.0, 1.0])
def test_outputs_of_the_first_view_follow_the_pose_and_the_mixing_of_the_second(tiles, mix_from):
    model, batch = first_step(settings(STILL | {"views.mix_from": mix_from}), tiles)
    look_at_one_pixel(model.network)
    assert len({tuple(bits) for bits in np.array(batch.poses[:3]).T}) > 1
    assert np.any(batch.covered) == (mix_from == 0)
    for a, b in zip(*model.assign_views(batch, training=False), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        # All cells count but those on the edge of the cover, and of segments while tiles are mixed.
        share = np.mean(np.sum(a, axis=-1))
        assert 0.05 < share < 0.95 if mix_from == 0 else share == pytest.approx(1)


def test_the_second_view_shows_the_covering_tile(tiles):
    model, batch = first_step(settings(STILL | {"views.mix_from": 0.0}), tiles)
    still = batch._replace(covered=tf.zeros_like(batch.covered))
    everywhere = batch._replace(covered=tf.ones_like(batch.covered))
    plain, covered = (model.assign_views(b, training=False)[1][0] for b in (still, everywhere))
    # Each tile is covered by the posed tile before it.
    np.testing.assert_allclose(covered, np.roll(plain, 1, axis=0), atol=1e-5)
    assert np.abs(np.asarray(covered) - np.asarray(plain)).max() > 1e-3


def test_mixing_begins_at_its_share_of_the_training(tiles):
    params = settings({"views.mix_from": 0.5})
    batches = TileBatches(tiles, np.ones(tiles.shape, bool), params)
    mixes = [bool(b.covered.any()) for epoch in range(3) for b in batches.epoch(epoch)]
    # Nine steps, of which the fifth is at one half.
    assert mixes == [False] * 4 + [True] * 5
    never = TileBatches(tiles, np.ones(tiles.shape, bool), settings({"views.mix_from": 1.0}))
    assert not any(b.covered.any() for epoch in range(3) for b in never.epoch(epoch))


def test_covers_are_cells_that_cover_half_of_the_views():
    covers = draw_covers(np.random.default_rng(0), 400, 16)
    assert covers.mean() == pytest.approx(0.5, abs=0.05)
    assert 0.35 < covers.mean(axis=0).min() <= covers.mean(axis=0).max() < 0.65
    # A few cells: along a row, a view changes seldom, and few views are covered as a whole.
    assert 0 < np.abs(np.diff(covers.astype(int), axis=2)).sum(axis=2).mean() < 2
    assert (covers.mean(axis=(1, 2)) % 1 == 0).mean() < 0.15


def test_cells_beside_a_change_of_segments_are_not_inside():
    soft = np.zeros((1, 6, 6, 2), np.float32)
    soft[:, :, :3, 0] = soft[:, :, 3:, 1] = 1
    expected = np.ones((6, 6))
    expected[:, 2:4] = 0
    np.testing.assert_array_equal(inside_segments(soft)[0], expected)


def test_only_while_tiles_are_mixed_cells_at_borders_do_not_count(tiles):
    model, batch = first_step(settings(STILL | {"views.mix_from": 1.0}), tiles)
    for _ in range(30):  # BatchNorm learns the statistics, so that all segments occur.
        model.assign_views(batch, training=True)
    nothing = batch._replace(mixes=tf.constant(True))
    shares = [
        float(np.mean(np.sum(model.assign_views(b, training=False)[0][0], axis=-1)))
        for b in (batch, nothing)
    ]
    assert shares[0] == pytest.approx(1)
    assert shares[1] < 0.95


def test_cells_with_a_pixel_that_is_not_valid_do_not_count(tiles):
    valid = np.ones(tiles.shape, bool)
    valid[:, 5, 9] = False
    model, batch = first_step(settings({"views.rotation": 0.0}), tiles, valid)
    z, _ = model.assign_views(batch, training=True)
    sums = z[0].numpy().sum(axis=-1)
    expected = np.ones_like(sums)
    expected[:, 5 // 4, 9 // 4] = 0
    expected = apply(expected[..., None], batch.poses._replace(degrees=None))[..., 0]
    np.testing.assert_allclose(sums, expected, atol=1e-5)


def test_interpolated_probabilities_sum_to_one_and_keep_the_weights(tiles):
    params = settings()
    trunk = build_trunk(params.model, 1)
    x = tiles[:2, :, :, None] / np.float32(255)
    fine, pixels = build_fine(trunk, 2), build_pixels(trunk, 2)
    for a, b, head in zip(fine(x), pixels(x), Head, strict=True):
        assert a.shape == (2, 32, 32, params.model.head_sizes[head])
        np.testing.assert_allclose(np.sum(a, axis=-1), 1, atol=1e-5)
        np.testing.assert_array_equal(np.reshape(a, b.shape), b)
    for model in (fine, pixels):
        assert [w.path for w in model.weights] == [w.path for w in trunk.weights]


def test_batches_have_all_tiles_once_and_depend_on_seed_and_epoch(tiles):
    params = settings({"train.batch_size": 5})
    numbered = tiles.copy()
    numbered[:, 0, 0] = np.arange(len(tiles))
    batches = TileBatches(numbered, np.ones(tiles.shape, bool), params)
    order = [batch.images[:, 0, 0] for batch in batches.epoch(0)]
    assert sorted(np.concatenate(order)) == list(range(15))
    assert all(isinstance(batch.poses, Poses) for batch in batches.epoch(0))
    again = [batch.images[:, 0, 0] for batch in batches.epoch(0)]
    np.testing.assert_array_equal(order, again)
    assert not np.array_equal(order, [batch.images[:, 0, 0] for batch in batches.epoch(1)])
