"""The training step against a step that is written out here."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from iic.core.constants import UNTAUGHT
from iic.core.params import Params
from iic.model.network import as_input, build_network
from iic.pairs.augmentation import Draws, Transform, make_pair
from iic.pairs.batches import PairBatches
from iic.pairs.draws import views_of_epoch
from iic.training.learner import IICModel, JointMatrix
from iic.training.loss import iic_loss, joint_probability
from iic.training.teaching import assign_views
from iic.training.train import train


def learner(network: keras.Model, params: Params) -> IICModel:
    return IICModel(network, Transform(params.augment), params.loss, images=230)


def test_joint_metric_equals_the_joint_of_all_batches(random):
    z, z_t = random.dirichlet(np.ones(4), size=(2, 60)).astype(np.float32)
    metric = JointMatrix(4, "joint")
    for start in range(0, 60, 20):
        metric.update_state(z[start : start + 20], z_t[start : start + 20])
    np.testing.assert_allclose(metric.result(), joint_probability(z, z_t), rtol=1e-5)
    metric.reset_state()
    metric.update_state(z[:20], z_t[:20])
    np.testing.assert_allclose(metric.result(), joint_probability(z[:20], z_t[:20]), rtol=1e-5)


def test_one_step_applies_adam_to_the_weighted_loss(small_data, tiny_params):
    params = tiny_params.with_values(
        loss={"alpha": 3.0, "overclustering_weight": 0.25, "teaching_weight": 0.0},
        train={"epochs": 1, "batch_size": 230, "learning_rate": 0.01},
    )
    result = train(small_data, params)

    keras.utils.set_random_seed(params.seed)
    network = build_network(params.model)
    batch = next(PairBatches(small_data, params).epoch(0))
    transform = Transform(params.augment)

    @tf.function  # as in Keras: eager mode rounds differently, which the first steps amplify
    def step(images, partners, views, *_):
        draws = tuple(Draws(*view) for view in views)
        pair = make_pair(as_input(images), as_input(partners), draws, transform, 1.0)
        with tf.GradientTape() as tape:
            z, z_t = (network(x, training=True) for x in pair)
            losses = [iic_loss(a, b, 3.0) for a, b in zip(z, z_t, strict=True)]
            loss = 0.75 * losses[0] + 0.25 * losses[1]
        return loss, losses, tape.gradient(loss, network.trainable_variables)

    loss, losses, gradients = step(*tf.nest.map_structure(tf.constant, batch))
    before = [variable.numpy() for variable in network.trainable_variables]
    keras.optimizers.Adam(0.01).apply(gradients, network.trainable_variables)

    row = result.history[0]
    assert row["taught"] == 0
    expected = {"loss": loss, "cluster_loss": losses[0], "overcluster_loss": losses[1]}
    for name, value in expected.items():
        assert row[name] == pytest.approx(float(value), rel=1e-5)
    for start, gradient, mine, theirs in zip(
        before, gradients, network.trainable_variables, result.network.trainable_variables,
        strict=True,
    ):  # fmt: skip
        # Adam's first step has the size of the learning rate for any gradient, so a gradient that
        # is zero except for rounding can move a weight in either direction.
        clear = np.abs(gradient) > 1e-3
        np.testing.assert_allclose(mine.numpy()[clear], theirs.numpy()[clear], atol=1e-4)
        assert np.abs(theirs.numpy() - start)[clear] == pytest.approx(0.01, rel=0.01)


def test_step_adds_the_weighted_cross_entropy_to_the_targets(small_data, tiny_params):
    params = tiny_params.with_values(
        train={"batch_size": 230},
        loss={"teaching_weight": 3.0},
        augment={"neighbors": 3, "neighbor_share": 1.0},
    )
    batch = next(PairBatches(small_data, params).epoch(0))
    assert (batch.images != batch.partners).any()
    targets = np.where(np.arange(230) % 3, np.arange(230) % 10, UNTAUGHT)
    taught = [targets[indices] for indices in batch.indices]

    batch = tf.nest.map_structure(tf.constant, batch)
    keras.utils.set_random_seed(0)
    model = learner(build_network(params.model), params)
    # A learning rate of 0 leaves the weights as they are.
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    step = tf.function(model.train_step)
    untaught_loss = float(step(batch)["loss"])
    model.reset_metrics()
    model.targets.assign(targets)
    taught_loss = float(step(batch)["loss"])
    entropies = []
    for (cluster, _), target in zip(model.assign_pair(batch, training=True), taught, strict=True):
        chosen = np.take_along_axis(cluster.numpy(), np.maximum(target, 0)[:, None], axis=1)[:, 0]
        entropies.append(-np.where(target < 0, 0, np.log(chosen)).mean())
    assert taught_loss - untaught_loss == pytest.approx(3.0 * np.mean(entropies), rel=1e-3)


def test_assign_views_keeps_the_order_of_images_and_views(small_data, params, tiny_params):
    network = build_network(tiny_params.model)
    batches = PairBatches(small_data, tiny_params.with_values(train={"batch_size": 100}))
    transform = Transform(params.augment)
    chosen = np.arange(0, 230, 2)
    views = assign_views(learner(network, tiny_params), batches.in_order(1, chosen))

    # Of three views, the second epoch uses the third one and the first one again.
    for found, view in zip(views, views_of_epoch(1, 3, both_views=True), strict=True):
        draws = Draws(
            *(
                tf.constant(all_[view, chosen])
                for all_ in (small_data.draws, small_data.noise_seeds)
            )
        )
        x = transform(
            as_input(small_data.train_images[chosen]), draws, batches.schedule.at(2).strength
        )
        for mine, theirs in zip(found, network(x, training=False), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)
