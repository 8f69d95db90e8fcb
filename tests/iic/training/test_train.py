from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from iic.core.constants import UNTAUGHT, Head
from iic.core.errors import InputError
from iic.core.params import Params
from iic.model.assignments import Assignments
from iic.model.diagnosis import diagnose
from iic.model.network import as_input, build_network, predict
from iic.pairs.augmentation import Draws, Transform, make_pair
from iic.pairs.batches import Batch, PairBatches, TrainingData
from iic.pairs.draws import make_draws, views_of_epoch
from iic.pairs.neighbors import nearest_neighbors
from iic.training import train as training
from iic.training.learner import IICModel, JointMatrix
from iic.training.loss import iic_loss, joint_probability
from iic.training.moves import LEFT_OUT, Move
from iic.training.teaching import Teaching, assign_views
from iic.training.train import TrainingResult, member_params, member_seeds, train


def training_data(digits, images: int, views: int) -> TrainingData:
    chosen = digits.train_images[:images]
    return TrainingData(
        chosen,
        digits.test_images[:50],
        **make_draws(0, views, images),
        neighbors=nearest_neighbors(chosen, 20),
    )


@pytest.fixture(scope="module")
def data(digits) -> TrainingData:
    return training_data(digits, images=230, views=3)


@pytest.fixture
def batches_of(data, params):
    """Makes batches of this data from the committed parameters with some keys replaced."""

    def make(seed: int = 0, epochs: int = 1, batch_size: int = 230, **augment) -> PairBatches:
        changed = params.with_values(
            train={"epochs": epochs, "batch_size": batch_size}, augment=augment
        )
        return PairBatches(data, changed.model_copy(update={"seed": seed}))

    return make


def first_batch(batches: PairBatches, epoch: int = 0) -> Batch:
    return next(batches.epoch(epoch))


def indices(images: np.ndarray, data: TrainingData) -> list[int]:
    """Which training images these are."""
    place = {image.tobytes(): index for index, image in enumerate(data.train_images)}
    return [place[image.tobytes()] for image in images]


def test_batches_hold_each_image_at_most_once_with_its_own_draws(data, batches_of):
    batches = batches_of(batch_size=100)
    assert len(batches) == 2
    seen = []
    for batch in batches.epoch(0):
        assert len(batch.views) == 2
        (first, _), (second, _) = batch.views
        for image, *draws in zip(batch.images, first, second, strict=True):
            (index,) = np.flatnonzero((data.draws[0] == draws[0]).all(axis=1))
            np.testing.assert_array_equal(image, data.train_images[index])
            np.testing.assert_array_equal(draws[1], data.draws[1, index])
            seen.append(index)
    assert len(seen) == len(set(seen)) == 200


def test_the_dataset_is_the_batches_of_all_epochs_in_order(batches_of):
    batches = batches_of(epochs=3, batch_size=100)
    expected = [batch for epoch in range(3) for batch in batches.epoch(epoch)]
    streamed = list(batches.dataset().as_numpy_iterator())
    assert len(streamed) == len(expected) == 3 * len(batches) == batches.schedule.steps
    for ours, theirs in zip(expected, streamed, strict=True):
        for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_dataset_leaves_no_tuner_asleep_that_the_end_of_training_would_wait_for(batches_of):
    assert batches_of().dataset().options().autotune.enabled is False


def test_batches_bring_the_settings_of_their_step(batches_of):
    batches = batches_of(epochs=3, batch_size=100)
    for epoch in range(3):
        for index, batch in enumerate(batches.epoch(epoch)):
            settings = batches.schedule.at(2 * epoch + index)
            assert batch.alpha == np.float32(settings.alpha)
            assert batch.strength == np.float32(settings.strength)


def test_without_neighbours_an_image_is_its_own_partner(batches_of):
    for changed in ({"neighbor_share": 0.0}, {"neighbor_until": 0.0}, {"neighbors": 0}):
        batch = first_batch(batches_of(**changed))
        np.testing.assert_array_equal(batch.partners, batch.images)


def test_at_first_all_partners_are_neighbours_and_all_neighbours_are_partners(data, batches_of):
    batches = batches_of(epochs=200)
    used = np.zeros(data.neighbors.shape, bool)
    for epoch in range(40):
        batch = first_batch(batches, epoch)
        for index, partner in zip(
            indices(batch.images, data), indices(batch.partners, data), strict=True
        ):
            used[index] |= data.neighbors[index] == partner
    assert used.any(axis=1).all()
    assert used.any(axis=0).all()
    batch = first_batch(batches)
    for index, partner in zip(
        indices(batch.images, data), indices(batch.partners, data), strict=True
    ):
        assert partner in data.neighbors[index]


def test_the_share_of_neighbours_falls_linearly_to_none(batches_of):
    batches = batches_of(epochs=10, neighbor_share=0.8, neighbor_until=0.5)
    counts = []
    for epoch in range(10):
        batch = first_batch(batches, epoch)
        counts.append(np.mean((batch.images != batch.partners).any(axis=(1, 2))))
    np.testing.assert_allclose(counts[:5], [0.8, 0.64, 0.48, 0.32, 0.16], atol=0.1)
    assert counts[5:] == [0] * 5


def test_the_next_epoch_has_another_order_and_other_views(data, batches_of):
    batches = batches_of()
    first, second = (first_batch(batches, epoch) for epoch in (0, 1))
    assert (second.images != first.images).any()
    assert sorted(i.tobytes() for i in second.images) == sorted(i.tobytes() for i in first.images)
    expected = views_of_epoch(1, 3, both_views=True)
    for view, (draws, _) in zip(expected, second.views, strict=True):
        assert sorted(map(tuple, draws)) == sorted(map(tuple, data.draws[view]))


def test_the_seed_decides_the_order(batches_of):
    orders = [first_batch(batches_of(seed=s, batch_size=50)).images.tobytes() for s in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_a_batch_larger_than_the_data_is_all_of_it(batches_of):
    batches = batches_of(batch_size=10_000)
    assert len(batches) == 1
    assert len(first_batch(batches).images) == 230


def test_the_nearest_neighbours_are_taken_where_more_were_found(data, batches_of):
    batches = batches_of(epochs=200, neighbors=2)
    for epoch in range(10):
        batch = first_batch(batches, epoch)
        for index, partner in zip(
            indices(batch.images, data), indices(batch.partners, data), strict=True
        ):
            assert partner in [index, *data.neighbors[index, :2]]


def test_too_few_neighbours_are_refused(batches_of):
    with pytest.raises(InputError, match="has 20 neighbours, augment.neighbors is 21; run `dvc"):
        batches_of(neighbors=21)


def test_draws_of_other_images_are_refused(data):
    with pytest.raises(InputError, match="draws are for 230 images, there are 7"):
        TrainingData(**{**vars(data), "train_images": data.train_images[:7]})


def test_neighbours_of_other_images_are_refused(data):
    with pytest.raises(InputError, match="neighbours are of 9 images, there are 230"):
        TrainingData(**{**vars(data), "neighbors": data.neighbors[:9]})


def test_joint_metric_is_the_joint_of_all_batches(random):
    z, z_t = random.dirichlet(np.ones(4), size=(2, 60)).astype(np.float32)
    metric = JointMatrix(4, "joint")
    for start in range(0, 60, 20):
        metric.update_state(z[start : start + 20], z_t[start : start + 20])
    np.testing.assert_allclose(metric.result(), joint_probability(z, z_t), rtol=1e-5)
    metric.reset_state()
    metric.update_state(z[:20], z_t[:20])
    np.testing.assert_allclose(metric.result(), joint_probability(z[:20], z_t[:20]), rtol=1e-5)


def test_one_step_is_adam_on_the_weighted_loss_of_the_pair(data, tiny_params):
    params = tiny_params.with_values(
        loss={"alpha": 3.0, "overclustering_weight": 0.25},
        train={"epochs": 1, "batch_size": 230, "learning_rate": 0.01},
    )
    result = train(data, params)

    keras.utils.set_random_seed(params.seed)
    network = build_network(params.model)
    batch = first_batch(PairBatches(data, params))
    transform = Transform(params.augment)

    @tf.function  # as Keras runs a step: eager mode rounds differently, and the start amplifies it
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
    expected = {"loss": loss, "cluster_loss": losses[0], "overcluster_loss": losses[1]}
    for name, value in expected.items():
        assert row[name] == pytest.approx(float(value), rel=1e-5)
    for start, gradient, mine, theirs in zip(
        before, gradients, network.trainable_variables, result.network.trainable_variables,
        strict=True,
    ):  # fmt: skip
        # Adam's first step has the size of the rate whatever the gradient, so a gradient that is
        # zero but for rounding moves a weight either way.
        clear = np.abs(gradient) > 1e-3
        np.testing.assert_allclose(mine.numpy()[clear], theirs.numpy()[clear], atol=1e-4)
        assert np.abs(theirs.numpy() - start)[clear] == pytest.approx(0.01, rel=0.01)


@pytest.fixture(scope="module")
def result(data, tiny_params) -> TrainingResult:
    return train(data, tiny_params)


def test_what_is_recorded(data, tiny_params, result):
    assert [row["epoch"] for row in result.history] == [1, 2]
    last = result.history[-1]
    assert last["alpha"] == pytest.approx(tiny_params.loss.alpha_final)
    assert last["strength"] == pytest.approx(tiny_params.augment.strength_final)
    assert [row["neighbor_share"] > 0 for row in result.history] == [True, False]
    assert last["learning_rate"] == pytest.approx(tiny_params.train.learning_rate_final)
    for head, k in tiny_params.model.head_sizes.items():
        joints, hard = result.snapshots[f"{head}_joint"], result.snapshots[f"{head}_test"]
        assert joints.shape == (2, k, k)
        assert hard.shape == (2, 50)
        np.testing.assert_allclose(joints.sum(axis=(1, 2)), 1, rtol=1e-5)
        p_i = joints[-1].sum(axis=0)
        information = (joints[-1] * np.log(joints[-1] / np.outer(p_i, p_i))).sum()
        assert last[f"{head}_mutual_information"] == pytest.approx(information, abs=1e-4)
        assert last[f"{head}_marginal_entropy"] == pytest.approx(
            -(p_i * np.log(p_i)).sum(), rel=1e-5
        )
        assert last[f"{head}s_used"] == len(np.unique(hard[-1]))
    soft = predict(result.network, data.test_images)
    for head, probabilities in zip(Head, soft, strict=True):
        np.testing.assert_array_equal(
            result.snapshots[f"{head}_test"][-1], probabilities.argmax(axis=1)
        )


def test_training_raises_the_mutual_information(digits, tiny_params):
    params = tiny_params.with_values(
        model={"widths": [8, 8, 16]},
        train={"epochs": 12, "batch_size": 80, "learning_rate": 0.01},
    )
    history = train(training_data(digits, images=480, views=4), params).history
    assert history[-1]["cluster_mutual_information"] > 0.1
    assert history[-1]["cluster_mutual_information"] > 4 * history[0]["cluster_mutual_information"]


def test_training_repeats_bit_for_bit(data, tiny_params, result):
    again = train(data, tiny_params)
    assert result.history == again.history
    for a, b in zip(result.network.get_weights(), again.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_in_bfloat16_the_step_rounds_but_what_is_kept_is_float32(data, tiny_params, result):
    coarse = train(data, tiny_params.with_values(train={"precision": "mixed_bfloat16"}))
    assert coarse.network.dtype_policy.name == "float32"
    assert {weights.dtype for weights in coarse.network.get_weights()} == {np.dtype("float32")}
    mine, theirs = coarse.history[0]["loss"], result.history[0]["loss"]
    assert mine != theirs
    assert mine == pytest.approx(theirs, rel=0.02)
    assert keras.config.dtype_policy().name == "float32"


def test_views_of_images_are_assigned_in_their_order(data, params, tiny_params):
    network = build_network(tiny_params.model)
    batches = PairBatches(data, tiny_params.with_values(train={"batch_size": 100}))
    transform = Transform(params.augment)
    chosen = np.arange(0, 230, 2)
    views = assign_views(learner(network, tiny_params), batches.in_order(1, chosen))

    # Two views of each of three: the second epoch takes the third one and the first again.
    for found, view in zip(views, views_of_epoch(1, 3, both_views=True), strict=True):
        draws = Draws(*(tf.constant(all_[view, chosen]) for all_ in (data.draws, data.noise_seeds)))
        x = transform(as_input(data.train_images[chosen]), draws, batches.schedule.at(2).strength)
        for mine, theirs in zip(found, network(x, training=False), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("neighbors", [0, 3])
def test_partners_are_neighbors_or_the_image_itself(neighbors, data, batches_of):
    partners = batches_of(neighbors=neighbors).partners
    expected = data.neighbors[:, :3] if neighbors else np.arange(230)[:, None]
    np.testing.assert_array_equal(partners, expected)


def test_a_step_adds_the_cross_entropy_to_what_images_are_taught(data, tiny_params):
    params = tiny_params.with_values(
        train={"batch_size": 230},
        loss={"teaching_weight": 3.0},
        augment={"neighbors": 3, "neighbor_share": 1.0},
    )
    batch = first_batch(PairBatches(data, params))
    assert (batch.images != batch.partners).any()
    targets = np.where(np.arange(230) % 3, np.arange(230) % 10, UNTAUGHT)
    told = [targets[indices(images, data)] for images in (batch.images, batch.partners)]

    batch = tf.nest.map_structure(tf.constant, batch)
    losses = []
    for taught in (None, targets):
        keras.utils.set_random_seed(0)
        model = learner(build_network(params.model), params)
        model.compile(optimizer=keras.optimizers.SGD(0.0))
        if taught is not None:
            model.targets.assign(taught)
        losses.append(float(tf.function(model.train_step)(batch)["loss"]))
    entropies = []
    for (cluster, _), target in zip(model.assign_pair(batch, training=True), told, strict=True):
        chosen = np.take_along_axis(cluster.numpy(), np.maximum(target, 0)[:, None], axis=1)[:, 0]
        entropies.append(-np.where(target < 0, 0, np.log(chosen)).mean())
    assert losses[1] - losses[0] == pytest.approx(3.0 * np.mean(entropies), rel=1e-3)


def learner(network: keras.Model, params: Params) -> IICModel:
    return IICModel(network, Transform(params.augment), params.loss, images=230)


def test_a_committee_teaches_the_network_that_is_kept(data, tiny_params, result, monkeypatch):
    seen, seeds, weights = [], [], []

    def agreement(clusterings, clusters, kept, quorum):
        assert (clusters, kept, quorum) == (10, 0.8, 0.85)
        seen.extend(clustering.shape for clustering in clusterings)
        return np.where(np.arange(230) < 207, np.arange(230) % 10, UNTAUGHT).astype(np.int32)

    def set_random_seed(seed, original=keras.utils.set_random_seed):
        seeds.append(seed)
        original(seed)

    def build_learner(network, params, batches, original=training.build_learner):
        weights.append((params.loss.teaching_weight, params.loss.teaching_from))
        return original(network, params, batches)

    monkeypatch.setattr("iic.training.train.agreement", agreement)
    monkeypatch.setattr("iic.training.train.build_learner", build_learner)
    monkeypatch.setattr(keras.utils, "set_random_seed", set_random_seed)
    params = tiny_params.with_values(
        loss={"teaching_from": 0.9}, committee={"members": 2, "weight": 3.0}
    )
    taught = train(data, params)
    assert [row["taught"] for row in taught.history] == pytest.approx([0.9, 0.9])
    assert seen == [(230,), (230,)]
    # The one that is kept starts as it would without a committee.
    assert seeds == [*member_seeds(tiny_params.seed, 2), tiny_params.seed]
    assert weights == [(1.0, 0.9), (1.0, 0.9), (3.0, 1.0)]
    assert taught.history[0]["loss"] > result.history[0]["loss"] + 1


def test_members_are_narrower_and_trained_for_fewer_epochs(params):
    changed = params.with_values(
        model={"widths": [3, 64]}, committee={"members": 2, "width": 0.1, "epochs": 2}
    )
    member = member_params(changed, 5)
    assert member.seed == 5
    assert member.model.widths == [1, 6]
    assert member.train.epochs == 2
    restored = member.with_values(model={"widths": [3, 64]}, train={"epochs": changed.train.epochs})
    assert restored.model_copy(update={"seed": changed.seed}) == changed


def test_members_differ_from_each_other_and_between_runs():
    seeds = [seed for run in range(50) for seed in [run, *member_seeds(run, 5)]]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert member_seeds(3, 2) == member_seeds(3, 4)[:2]


class StandIn:
    """Three images."""

    images = np.arange(3)
    partners = "partners"

    def in_order(self, epoch: int, chosen: np.ndarray) -> str:
        return f"views of {epoch} of {chosen.tolist()}"


# Three images in the parts 0, 3 and 4 of two clusters and three overclusters.
VIEW = Assignments(cluster=np.eye(2)[[0, 1, 0]], overcluster=np.eye(3))
# What the first and the last image are taught anyway.
KNOWN = np.array([1, UNTAUGHT, 0])


@pytest.fixture
def teaching_of(params, monkeypatch):
    """Makes a Teaching of a stand-in model, with some keys replaced; assigns VIEW to the images."""
    monkeypatch.setattr("iic.training.teaching.predict", lambda *_: VIEW)
    monkeypatch.setattr("iic.training.teaching.exact_joint", lambda *arguments: arguments)
    monkeypatch.setattr("iic.training.teaching.merged", lambda *_: np.eye(2) / 2)

    def make(**sections) -> Teaching:
        changed = params.with_values(model={"clusters": 2, "overclusters": 3}, **sections)
        teaching = Teaching(StandIn(), changed, KNOWN)
        teaching.set_model(SimpleNamespace(network="network", targets=tf.Variable([9, 9, 9])))
        teaching.on_train_begin()
        return teaching

    return make


@pytest.mark.parametrize(
    ("begin", "untaught_epochs"), [(0.5, 2), (0.6, 3), (0.75, 3), (0.0, 0), (1.0, 4)]
)
def test_parts_move_from_their_time_on_and_their_images_are_taught(
    begin, untaught_epochs, teaching_of, monkeypatch, caplog
):
    calls = []

    def best_moves(p_ij, mapping, clusters, images):
        assert images == 3
        calls.append(mapping.tolist())
        first, second, partners, parts = p_ij
        assert first.tolist() == second.tolist() == [0, 3, 4]
        assert (partners, parts, clusters) == ("partners", 6, 2)
        return np.array([0, 1, 0, 1, 1, 1]), [Move(part=4, source=0, target=1, gain=0.5)]

    monkeypatch.setattr("iic.training.teaching.best_moves", best_moves)
    teaching = teaching_of(train={"epochs": 4}, loss={"teaching_from": begin})
    targets = []
    with caplog.at_level("INFO"):
        for epoch in range(4):
            teaching.on_epoch_begin(epoch)
            targets.append(teaching.model.targets.numpy().tolist())
    moved = [1, UNTAUGHT, 1]
    assert targets == [moved if epoch >= untaught_epochs else KNOWN.tolist() for epoch in range(4)]
    assert calls == [[0, 1, 0, 1, 0, 1]] * (4 - untaught_epochs)
    logged = "overcluster 2, part in cluster 0: moves from 0 to 1 (+0.5000 nats)"
    assert caplog.text.count(logged) == 4 - untaught_epochs


def test_a_move_that_was_learned_is_taught_no_longer(teaching_of, monkeypatch):
    moved = [np.array([0, 1, 0, 0, 1, 1]), np.array([0, 1, 0, 1, 0, 1])]
    monkeypatch.setattr("iic.training.teaching.best_moves", lambda *_: (moved.pop(0), []))
    teaching = teaching_of()
    for expected in ([1, 0, 1], KNOWN.tolist()):
        teaching.on_epoch_begin(5)
        assert teaching.model.targets.numpy().tolist() == expected


@pytest.mark.parametrize(("neighbors", "views"), [(0, [1, 2, 5]), (20, [0, 3, 4])])
def test_neighbors_are_counted_as_they_are_and_views_as_transformed(
    neighbors, views, teaching_of, monkeypatch
):
    def assign_views(model, batches):
        assert batches == "views of 5 of [0, 1, 2]"
        transformed = Assignments(cluster=np.eye(2)[[1, 0, 1]], overcluster=VIEW.overcluster)
        return transformed, VIEW

    seen = []

    def best_moves(p_ij, mapping, clusters, images):
        seen.append(p_ij)
        return mapping, []

    monkeypatch.setattr("iic.training.teaching.assign_views", assign_views)
    monkeypatch.setattr("iic.training.teaching.best_moves", best_moves)
    teaching_of(augment={"neighbors": neighbors}).on_epoch_begin(5)
    ((first, second, _, _),) = seen
    assert (first.tolist(), second.tolist()) == (views, [0, 3, 4])


@pytest.mark.parametrize(("same", "moves"), [(0.9, True), (0.88, False)])
def test_clusters_that_know_little_of_a_pair_are_not_moved(same, moves, teaching_of, monkeypatch):
    # 0.368 and 0.327 nats, half of ln 2 is 0.347.
    joint = np.array([[same, 1 - same], [1 - same, same]]) / 2
    monkeypatch.setattr("iic.training.teaching.best_moves", lambda p_ij, own, *_: (1 - own, []))
    teaching = teaching_of()
    monkeypatch.setattr("iic.training.teaching.merged", lambda *_: joint)
    teaching.model.targets.assign([9, 9, 9])
    teaching.on_epoch_begin(5)
    expected = [1, 0, 1] if moves else KNOWN.tolist()
    assert teaching.model.targets.numpy().tolist() == expected


def test_of_many_images_a_sample_is_looked_at_and_taught(teaching_of, monkeypatch):
    def predict(network, images):
        assert images.tolist() == [0, 2]
        return Assignments(cluster=np.eye(2)[[0, 0]], overcluster=np.eye(3)[[0, 2]])

    def best_moves(p_ij, mapping, clusters, images):
        first, second, _, _ = p_ij
        assert first.tolist() == second.tolist() == [0, LEFT_OUT, 4]
        assert images == 2
        return 1 - mapping, []

    monkeypatch.setattr("iic.training.teaching.SAMPLE", 2)
    monkeypatch.setattr("iic.training.teaching.predict", predict)
    monkeypatch.setattr("iic.training.teaching.best_moves", best_moves)
    teaching = teaching_of()
    teaching.on_epoch_begin(5)
    assert teaching.model.targets.numpy().tolist() == [1, UNTAUGHT, 1]


def test_a_misplaced_style_is_taught_the_cluster_of_its_neighbours(params, monkeypatch):
    # Four styles of 50 images in an overcluster each; the first two are one digit, which the
    # clustering head sees in the first alone. Every partner is of the own digit.
    style = np.arange(200) // 50
    seen = Assignments(
        cluster=np.eye(2)[np.array([0, 1, 1, 1])[style]], overcluster=np.eye(4)[style]
    )
    partners = np.stack([(np.arange(200) + shift) % 100 for shift in (1, 2, 50)], axis=1)
    partners[100:] += 100
    monkeypatch.setattr("iic.training.teaching.predict", lambda *_: seen)
    params = params.with_values(model={"clusters": 2, "overclusters": 4})
    batches = SimpleNamespace(images=np.arange(200), partners=partners)
    teaching = Teaching(batches, params, np.full(200, UNTAUGHT))
    targets = tf.Variable(np.full(200, 9))
    teaching.set_model(SimpleNamespace(network="network", targets=targets))
    monkeypatch.setattr("iic.training.teaching.LEAST_INFORMATION", 0.1)
    teaching.on_epoch_begin(5)
    np.testing.assert_array_equal(targets, np.where(style == 1, 0, UNTAUGHT))


def test_training_with_moves_repeats_bit_for_bit(data, tiny_params, monkeypatch):
    monkeypatch.setattr("iic.training.teaching.LEAST_INFORMATION", 0.0)
    monkeypatch.setattr("iic.training.moves.MIN_GAIN", 0.1)
    params = tiny_params.with_values(train={"epochs": 4, "batch_size": 23})
    first, second = train(data, params), train(data, params)
    assert max(row["taught"] for row in first.history) > 0
    assert first.history == second.history


def test_taught_epochs_have_the_taught_loss(data, tiny_params, monkeypatch):
    def next_cluster(p_ij, mapping, clusters, images):
        return (mapping + 1) % clusters, []

    monkeypatch.setattr("iic.training.teaching.best_moves", next_cluster)
    monkeypatch.setattr("iic.training.teaching.LEAST_INFORMATION", 0.0)
    params = tiny_params.with_values(train={"epochs": 2})
    untaught = train(data, params.with_values(loss={"teaching_weight": 0.0}))
    taught = train(data, params.with_values(loss={"teaching_weight": 3.0, "teaching_from": 0.5}))
    assert [row["taught"] for row in untaught.history] == [0, 0]
    assert [row["taught"] for row in taught.history] == [0, 1]
    first, second = (
        mine["loss"] - theirs["loss"]
        for mine, theirs in zip(taught.history, untaught.history, strict=True)
    )
    # The graph is another one, in which TensorFlow fuses and so rounds otherwise.
    assert first == pytest.approx(0, abs=0.1)
    assert second > 3


def test_a_loss_that_is_no_number_stops_with_a_remedy(data, tiny_params, monkeypatch):
    def diverged(z: tf.Tensor, z_t: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        return iic_loss(z, z_t, alpha) * float("nan")

    monkeypatch.setattr("iic.training.learner.iic_loss", diverged)
    with pytest.raises(InputError, match="no longer finite in epoch 1; lower train.learning_rate"):
        train(data, tiny_params)


def test_weights_that_the_last_step_spoils_stop_with_a_remedy(data, tiny_params):
    # Of the one step of each epoch the loss is computed before the weights are changed.
    spoilt = {"batch_size": 230, "learning_rate": 1e38, "learning_rate_final": 1e38}
    with pytest.raises(InputError, match="output is no longer finite in epoch 1; lower train"):
        train(data, tiny_params.with_values(train=spoilt))


def test_a_step_that_memory_has_no_room_for_is_named(data, tiny_params):
    class Full(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    with pytest.raises(InputError, match=r"train\.batch_size: not enough memory for a step; lower"):
        train(data, tiny_params, [Full()])


def test_a_training_that_collapses_is_told_so(data, tiny_params):
    """Without the BatchNorm before the softmax, and with steps as large as are allowed."""
    spoilt = tiny_params.with_values(
        model={"normalize_logits": False},
        train={"epochs": 1, "learning_rate": 10.0, "learning_rate_final": 10.0},
    )
    result = train(data, spoilt)
    assert {len(np.unique(result.snapshots[f"{head}_test"])) for head in Head} == {1}
    findings = diagnose(result.history[-1], spoilt.model.head_sizes)
    for head in Head:
        assert f"{head}ing head: collapsed, all test images are in one cluster" in findings


def row(**values: float) -> dict[str, float]:
    healthy = {
        "clusters_used": 10,
        "overclusters_used": 50,
        "cluster_mutual_information": 2.0,
        "overcluster_mutual_information": 3.0,
    }
    return healthy | values


@pytest.mark.parametrize(
    ("values", "findings"),
    [
        ({}, []),
        ({"clusters_used": 1}, ["clustering head: collapsed, all test images are in one cluster"]),
        ({"overclusters_used": 48}, ["overclustering head: 2 of 50 clusters are empty"]),
        (
            {"cluster_mutual_information": 1e-4},
            ["clustering head: undecided, its output hardly depends on the image (train longer, "
             "or set model.normalize_logits to true)"],
        ),
        (
            {"clusters_used": 9, "overclusters_used": 1},
            ["clustering head: 1 of 10 clusters are empty",
             "overclustering head: collapsed, all test images are in one cluster"],
        ),
    ],
)  # fmt: skip
def test_a_failed_training_is_told_in_words(values, findings):
    assert diagnose(row(**values), {"cluster": 10, "overcluster": 50}) == findings
