import keras
import numpy as np
import pytest
import tensorflow as tf

from iic.augmentation import Draws, Transform, make_pair
from iic.batches import PairBatches, TrainingData
from iic.diagnosis import HEADS, diagnose
from iic.draws import make_draws, views_of_epoch
from iic.errors import InputError
from iic.learner import JointMatrix, Schedule
from iic.loss import iic_loss, joint_probability
from iic.model import as_input, build_network, predict
from iic.neighbors import nearest_neighbors
from iic.training import TrainingResult, train


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


def with_values(params, **sections):
    """Parameters with some keys of some sections replaced."""
    return params.model_copy(
        update={
            name: getattr(params, name).model_copy(update=values)
            for name, values in sections.items()
        }
    )


@pytest.fixture
def batches_of(data, params):
    """Makes batches of this data from the committed parameters with some keys replaced."""

    def make(seed: int = 0, epochs: int = 1, batch_size: int = 230, **augment) -> PairBatches:
        changed = with_values(
            params, train={"epochs": epochs, "batch_size": batch_size}, augment=augment
        )
        return PairBatches(data, changed.augment, changed.train, seed)

    return make


def indices(images: np.ndarray, data: TrainingData) -> list[int]:
    """Which training images these are."""
    place = {image.tobytes(): index for index, image in enumerate(data.train_images)}
    return [place[image.tobytes()] for image in images]


def test_batches_hold_each_image_at_most_once_with_its_own_draws(data, batches_of):
    batches = batches_of(batch_size=100)
    assert len(batches) == 2
    seen = []
    for images, _, views in (batches[0], batches[1]):
        assert len(views) == 2
        for image, *draws in zip(images, views[0][0], views[1][0], strict=True):
            (index,) = np.flatnonzero((data.draws[0] == draws[0]).all(axis=1))
            np.testing.assert_array_equal(image, data.train_images[index])
            np.testing.assert_array_equal(draws[1], data.draws[1, index])
            seen.append(index)
    assert len(set(seen)) == 200


def test_without_neighbours_an_image_is_its_own_partner(batches_of):
    for changed in ({"neighbor_share": 0.0}, {"neighbor_until": 0.0}):
        images, partners, _ = batches_of(**changed)[0]
        np.testing.assert_array_equal(partners, images)


def test_at_first_all_partners_are_neighbours_and_all_neighbours_are_partners(data, batches_of):
    batches = batches_of(epochs=200)
    used = np.zeros(data.neighbors.shape, bool)
    for _ in range(40):
        batches.on_epoch_begin()
        images, partners, _ = batches[0]
        for index, partner in zip(indices(images, data), indices(partners, data), strict=True):
            used[index] |= data.neighbors[index] == partner
    assert used.any(axis=1).all()
    assert used.any(axis=0).all()
    first = batches_of(epochs=200)[0]
    for index, partner in zip(*(indices(images, data) for images in first[:2]), strict=True):
        assert partner in data.neighbors[index]


def test_the_share_of_neighbours_falls_linearly_to_none(data, batches_of):
    batches = batches_of(epochs=10, neighbor_share=0.8, neighbor_until=0.5)
    shares = [batches.neighbor_share(step) for step in (0, 1, 4, 5, 9)]
    np.testing.assert_allclose(shares, [0.8, 0.64, 0.16, 0, 0])
    counts = []
    for _ in range(10):
        batches.on_epoch_begin()
        images, partners, _ = batches[0]
        counts.append(np.mean((images != partners).any(axis=(1, 2))))
    np.testing.assert_allclose(counts[:5], [0.8, 0.64, 0.48, 0.32, 0.16], atol=0.1)
    assert counts[5:] == [0] * 5


def test_no_neighbours_are_no_candidates(data, params):
    none = TrainingData(**{**vars(data), "neighbors": data.neighbors[:, :0]})
    images, partners, _ = PairBatches(none, params.augment, params.train, seed=0)[0]
    np.testing.assert_array_equal(partners, images)


def test_the_next_epoch_has_another_order_and_other_views(data, batches_of):
    batches = batches_of()
    batches.on_epoch_begin()
    first_images = batches[0][0]
    batches.on_epoch_begin()
    images, _, views = batches[0]
    assert (images != first_images).any()
    assert sorted(i.tobytes() for i in images) == sorted(i.tobytes() for i in first_images)
    expected = views_of_epoch(1, 3, both_views=True)
    for view, (draws, _) in zip(expected, views, strict=True):
        assert sorted(map(tuple, draws)) == sorted(map(tuple, data.draws[view]))


def test_the_seed_decides_the_order(batches_of):
    orders = [batches_of(seed=s, batch_size=50)[0][0].tobytes() for s in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


def test_a_batch_larger_than_the_data_is_all_of_it(batches_of):
    batches = batches_of(batch_size=10_000)
    assert len(batches) == 1
    assert len(batches[0][0]) == 230


def test_draws_of_other_images_are_refused(data):
    with pytest.raises(InputError, match="draws are for 230 images, there are 7"):
        TrainingData(**{**vars(data), "train_images": data.train_images[:7]})


def test_neighbours_of_other_images_are_refused(data):
    with pytest.raises(InputError, match="neighbours are of 9 images, there are 230"):
        TrainingData(**{**vars(data), "neighbors": data.neighbors[:9]})


def test_schedules_from_the_first_to_the_last_step():
    schedule = Schedule(steps=101, alpha=5.0, alpha_final=1.0, strength_final=0.4)
    alphas = [float(schedule.alpha_at(tf.constant(s))) for s in (0, 50, 75, 100)]
    np.testing.assert_allclose(alphas, [5, 5, 3, 1], rtol=1e-6)
    strengths = [float(schedule.strength_at(tf.constant(s))) for s in (0, 50, 100)]
    np.testing.assert_allclose(strengths, [1, 0.7, 0.4], rtol=1e-6)


def test_a_single_step_has_a_schedule():
    schedule = Schedule(steps=1, alpha=5.0, alpha_final=1.0, strength_final=0.4)
    assert float(schedule.alpha_at(tf.constant(0))) == 5


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
    params = with_values(
        tiny_params,
        loss={"alpha": 3.0, "overclustering_weight": 0.25},
        train={"epochs": 1, "batch_size": 230, "learning_rate": 0.01},
    )
    result = train(data, params)

    keras.utils.set_random_seed(params.seed)
    network = build_network(params.model)
    batch = PairBatches(data, params.augment, params.train, params.seed)[0]
    transform = Transform(params.augment)

    @tf.function  # as Keras runs a step: eager mode rounds differently, and the start amplifies it
    def step(images, partners, views):
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
    for head, probabilities in zip(HEADS, soft, strict=True):
        np.testing.assert_array_equal(
            result.snapshots[f"{head}_test"][-1], probabilities.argmax(axis=1)
        )


def test_training_raises_the_mutual_information(digits, tiny_params):
    params = with_values(tiny_params, train={"epochs": 12, "batch_size": 80, "learning_rate": 0.01})
    history = train(training_data(digits, images=480, views=4), params).history
    assert history[-1]["cluster_mutual_information"] > 0.1
    assert history[-1]["cluster_mutual_information"] > 4 * history[0]["cluster_mutual_information"]


def test_training_repeats_bit_for_bit(data, tiny_params, result):
    again = train(data, tiny_params)
    assert result.history == again.history
    for a, b in zip(result.network.get_weights(), again.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_no_number_stops_with_a_remedy(data, tiny_params, monkeypatch):
    def diverged(z: tf.Tensor, z_t: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        return iic_loss(z, z_t, alpha) * float("nan")

    monkeypatch.setattr("iic.learner.iic_loss", diverged)
    with pytest.raises(InputError, match="no longer finite in epoch 1; lower train.learning_rate"):
        train(data, tiny_params)


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
