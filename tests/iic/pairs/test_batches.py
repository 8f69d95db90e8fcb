"""Batches of image pairs: order, views, partners and scheduled values."""

import numpy as np
import pytest
import tensorflow as tf

from iic.core.errors import InputError
from iic.pairs.batches import Batch, PairBatches, TrainingData
from iic.pairs.draws import views_of_epoch


@pytest.fixture
def batches_of(small_data, params):
    """Makes batches from the committed parameters with some keys replaced."""

    def make(seed: int = 0, epochs: int = 1, batch_size: int = 230, **augment) -> PairBatches:
        changed = params.with_values(
            train={"epochs": epochs, "batch_size": batch_size}, augment=augment
        )
        return PairBatches(small_data, changed.model_copy(update={"seed": seed}))

    return make


def first_batch(batches: PairBatches, epoch: int = 0) -> Batch:
    return next(batches.epoch(epoch))


def indices(images: np.ndarray, small_data: TrainingData) -> list[int]:
    """Find the indices of images in the training set."""
    place = {image.tobytes(): index for index, image in enumerate(small_data.train_images)}
    return [place[image.tobytes()] for image in images]


def test_batches_contain_each_image_at_most_once_with_its_draws(small_data, batches_of):
    batches = batches_of(batch_size=100)
    assert len(batches) == 2
    seen = []
    for batch in batches.epoch(0):
        assert len(batch.views) == 2
        (first, _), (second, _) = batch.views
        for image, *draws in zip(batch.images, first, second, strict=True):
            (index,) = np.flatnonzero((small_data.draws[0] == draws[0]).all(axis=1))
            np.testing.assert_array_equal(image, small_data.train_images[index])
            np.testing.assert_array_equal(draws[1], small_data.draws[1, index])
            seen.append(index)
    assert len(seen) == len(set(seen)) == 200


def test_dataset_streams_the_batches_of_all_epochs_in_order(batches_of):
    batches = batches_of(epochs=3, batch_size=100)
    expected = [batch for epoch in range(3) for batch in batches.epoch(epoch)]
    streamed = list(batches.dataset().as_numpy_iterator())
    assert len(streamed) == len(expected) == 3 * len(batches) == batches.schedule.steps
    for ours, theirs in zip(expected, streamed, strict=True):
        for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
            np.testing.assert_array_equal(a, b)


def test_dataset_disables_the_tuner_that_delays_the_end_of_training(batches_of):
    assert batches_of().dataset().options().autotune.enabled is False


def test_batches_contain_the_scheduled_values_of_their_step(batches_of):
    batches = batches_of(epochs=3, batch_size=100)
    for epoch in range(3):
        for index, batch in enumerate(batches.epoch(epoch)):
            scheduled = batches.schedule.at(2 * epoch + index)
            assert batch.alpha == np.float32(scheduled.alpha)
            assert batch.strength == np.float32(scheduled.strength)


def test_batches_contain_the_indices_of_images_and_partners(small_data, batches_of):
    batch = first_batch(batches_of(batch_size=100))
    for images, found in zip((batch.images, batch.partners), batch.indices, strict=True):
        assert found.tolist() == indices(images, small_data)


def test_image_without_neighbours_is_its_own_partner(batches_of):
    for changed in ({"neighbor_share": 0.0}, {"neighbor_until": 0.0}, {"neighbors": 0}):
        batch = first_batch(batches_of(**changed))
        np.testing.assert_array_equal(batch.partners, batch.images)


def test_first_partners_are_neighbours_and_every_neighbour_becomes_a_partner(
    small_data, batches_of
):
    batches = batches_of(epochs=200)
    used = np.zeros(small_data.neighbors.shape, bool)
    for epoch in range(40):
        batch = first_batch(batches, epoch)
        for index, partner in zip(
            indices(batch.images, small_data), indices(batch.partners, small_data), strict=True
        ):
            used[index] |= small_data.neighbors[index] == partner
    assert used.any(axis=1).all()
    assert used.any(axis=0).all()
    batch = first_batch(batches)
    for index, partner in zip(
        indices(batch.images, small_data), indices(batch.partners, small_data), strict=True
    ):
        assert partner in small_data.neighbors[index]


def test_share_of_neighbour_pairs_falls_linearly_to_zero(batches_of):
    batches = batches_of(epochs=10, neighbor_share=0.8, neighbor_until=0.5)
    counts = []
    for epoch in range(10):
        batch = first_batch(batches, epoch)
        counts.append(np.mean((batch.images != batch.partners).any(axis=(1, 2))))
    np.testing.assert_allclose(counts[:5], [0.8, 0.64, 0.48, 0.32, 0.16], atol=0.1)
    assert counts[5:] == [0] * 5


def test_next_epoch_has_a_different_order_and_different_views(small_data, batches_of):
    batches = batches_of()
    first, second = (first_batch(batches, epoch) for epoch in (0, 1))
    assert (second.images != first.images).any()
    assert sorted(i.tobytes() for i in second.images) == sorted(i.tobytes() for i in first.images)
    expected = views_of_epoch(1, 3, both_views=True)
    for view, (draws, _) in zip(expected, second.views, strict=True):
        assert sorted(map(tuple, draws)) == sorted(map(tuple, small_data.draws[view]))


def test_seed_determines_the_order(batches_of):
    orders = [first_batch(batches_of(seed=s, batch_size=50)).images.tobytes() for s in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_batch_size_is_limited_to_the_number_of_images(batches_of):
    batches = batches_of(batch_size=10_000)
    assert len(batches) == 1
    assert len(first_batch(batches).images) == 230


def test_only_the_nearest_neighbours_are_used(small_data, batches_of):
    batches = batches_of(epochs=200, neighbors=2)
    for epoch in range(10):
        batch = first_batch(batches, epoch)
        for index, partner in zip(
            indices(batch.images, small_data), indices(batch.partners, small_data), strict=True
        ):
            assert partner in [index, *small_data.neighbors[index, :2]]


def test_too_few_neighbours_are_refused(batches_of):
    with pytest.raises(
        InputError, match="has 20 neighbours, but augment.neighbors is 21; run `dvc"
    ):
        batches_of(neighbors=21)


def test_wrong_number_of_draws_is_refused(small_data):
    with pytest.raises(InputError, match="draws are for 230 training images, but there are 7"):
        TrainingData(**{**vars(small_data), "train_images": small_data.train_images[:7]})


def test_wrong_number_of_neighbours_is_refused(small_data):
    with pytest.raises(InputError, match="neighbours are for 9 training images, but there are 230"):
        TrainingData(**{**vars(small_data), "neighbors": small_data.neighbors[:9]})


@pytest.mark.parametrize("neighbors", [0, 3])
def test_candidate_partners_are_neighbours_or_the_image_itself(neighbors, small_data, batches_of):
    partners = batches_of(neighbors=neighbors).partners
    expected = small_data.neighbors[:, :3] if neighbors else np.arange(230)[:, None]
    np.testing.assert_array_equal(partners, expected)
