"""What a student is taught, and its training step."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from iic.core.constants import UNTAUGHT
from iic.core.shapes import shape_of
from iic.model.assignments import Assignments
from iic.model.network import as_input, build_network
from iic.pairs.augmentation import Draws, Transform
from iic.pairs.batches import PairBatches
from iic.training.student import OVERCLUSTERING_WEIGHT, Lessons, StudentModel
from iic.training.train import build_learner


@pytest.fixture
def params(tiny_params):
    return tiny_params.with_values(
        model={"widths": [8], "head_widths": []}, train={"epochs": 5}, student={"sure": 0.8}
    )


def test_images_in_doubt_are_taught_what_the_student_is_sure_of(
    small_data, params, monkeypatch, caplog
):
    batches = PairBatches(small_data, params)
    targets = np.arange(230, dtype=np.int32) % 10
    targets[[3, 7, 9]] = UNTAUGHT
    answers = np.full((3, 10), 0.01)
    answers[[0, 1, 2], [5, 6, 7]] = 0.91, 0.79, 0.85
    monkeypatch.setattr(
        "iic.training.student.predict",
        lambda network, images: Assignments(answers[: len(images)], None),
    )
    lessons = Lessons(batches, params, targets, np.zeros(230, np.int32))
    model = SimpleNamespace(
        network="network",
        targets=tf.Variable(np.zeros(230, np.int32)),
        overclusters=tf.Variable(np.ones(230, np.int32)),
    )
    lessons.set_model(model)
    lessons.on_train_begin()
    np.testing.assert_array_equal(model.overclusters.numpy(), 0)
    with caplog.at_level("INFO"):
        for epoch in range(5):
            lessons.on_epoch_begin(epoch)
            expected = targets.copy()
            if epoch >= 2:
                expected[[3, 9]] = 5, 7
            np.testing.assert_array_equal(model.targets.numpy(), expected)
    assert caplog.messages == ["the student is sure of 2 of 3 images in doubt"] * 3
    # An answer of which the student is no longer sure is no longer taught.
    answers[0] = 0.1
    lessons.on_epoch_begin(4)
    assert model.targets.numpy()[3] == UNTAUGHT


def test_a_step_minimises_the_cross_entropy_of_the_first_views(small_data, params):
    keras.utils.set_random_seed(0)
    batches = PairBatches(small_data, params)
    network = build_network(params.model, shape_of(batches.images))
    model = build_learner(network, params, batches, StudentModel)
    targets = np.arange(230, dtype=np.int32) % 10
    targets[::4] = UNTAUGHT
    overclusters = np.arange(230, dtype=np.int32) % 20
    model.targets.assign(targets)
    model.overclusters.assign(overclusters)
    batch = tf.nest.map_structure(tf.constant, next(batches.epoch(0)))
    view = Transform(params.augment)(as_input(batch.images), Draws(*batch.views[0]), batch.strength)
    z, z_over = (np.asarray(soft) for soft in network(view, training=True))
    index = batch.indices[0].numpy()
    known = targets[index] != UNTAUGHT
    clustering = -np.log(z[known, targets[index][known]]).sum() / len(index)
    overclustering = -np.log(z_over[np.arange(len(index)), overclusters[index]]).mean()
    losses = {name: float(value) for name, value in model.train_step(batch).items()}
    assert losses == pytest.approx(
        {
            "loss": clustering + OVERCLUSTERING_WEIGHT * overclustering,
            "cluster_loss": clustering,
            "overcluster_loss": overclustering,
        },
        rel=1e-4,
    )
    for _ in range(20):
        last = model.train_step(batch)
    assert float(last["loss"]) < losses["loss"]


def test_joint_matrices_are_those_of_pairs_of_views(small_data, params):
    keras.utils.set_random_seed(0)
    batches = PairBatches(small_data, params)
    model = build_learner(
        build_network(params.model, shape_of(batches.images)), params, batches, StudentModel
    )
    lessons = Lessons(batches, params, np.zeros(230, np.int32), np.zeros(230, np.int32))
    lessons.set_model(model)
    lessons.on_epoch_end(1)
    counts = 0.0
    for batch in batches.in_order(1, np.arange(230)):
        first, second = model.assign_pair(tf.nest.map_structure(tf.constant, batch), training=False)
        counts = counts + np.asarray(first[0]).T @ np.asarray(second[0])
    joint = (counts + counts.T) / 2 / 230
    np.testing.assert_allclose(model.joints["cluster"].result(), joint, atol=1e-5)
