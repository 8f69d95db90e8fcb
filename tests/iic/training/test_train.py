"""Whole trainings of small networks on real digits."""

import io
import re
from contextlib import redirect_stdout

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import make_training_data

from iic.core.constants import TEACH_ALL, UNTAUGHT, Head
from iic.core.errors import InputError
from iic.core.params import OPERATIONS, Params
from iic.core.shapes import array_shape
from iic.model.diagnosis import diagnose
from iic.model.network import predict
from iic.pairs.batches import TrainingData
from iic.pairs.draws import make_draws, views_of_epoch
from iic.pairs.neighbors import nearest_neighbors
from iic.training.fit import TrainingResult
from iic.training.loss import iic_loss
from iic.training.recorder import Recorder
from iic.training.train import teacher_params, teacher_seeds, train

EPOCH_LINE = re.compile(
    r"Epoch (\d/\d) - \d+s - loss: \S+ - cluster_mutual_information: \S+"
    r" - overcluster_mutual_information: \S+ - clusters_used: \d+ - overclusters_used: \d+"
)


@pytest.fixture(scope="module")
def tiny(tiny_params) -> Params:
    """With few layers, since most of the time of a short training is spent in tracing them."""
    return tiny_params.with_values(model={"widths": [8], "head_widths": []})


@pytest.fixture(scope="module")
def output() -> io.StringIO:
    """Output of the training of `result`."""
    return io.StringIO()


@pytest.fixture(scope="module")
def result(small_data, tiny, output) -> TrainingResult:
    with redirect_stdout(output):
        return train(small_data, tiny)


def epochs_printed(text: str) -> list[str]:
    """Check that there are only lines of epochs; return their numbers."""
    assert not set("\r\b\x1b") & set(text)
    return [EPOCH_LINE.fullmatch(line).group(1) for line in text.splitlines()]


@pytest.mark.parametrize("shape", [(16, 16, 1), (64, 64, 3), (128, 128, 1)])
def test_images_of_other_shapes_are_trained(tiny, random, shape):
    images = random.integers(0, 256, (30, *array_shape(shape)), np.uint8)
    data = TrainingData(
        images[:20],
        images[20:],
        **make_draws(0, 2, 20),
        neighbors=nearest_neighbors(images[:20], 3),
    )
    params = tiny.with_values(
        augment={"neighbors": 3, "ops": list(OPERATIONS)}, train={"epochs": 1, "batch_size": 10}
    )
    found = train(data, params)
    assert found.network.input_shape == (None, *shape)
    assert found.snapshots["cluster_test"].shape == (1, 10)
    assert np.isfinite(found.history[0]["loss"])


def test_history_and_snapshots_of_a_training(small_data, tiny, result):
    assert [row["epoch"] for row in result.history] == [1, 2]
    last = result.history[-1]
    assert last["alpha"] == pytest.approx(tiny.loss.alpha_final)
    assert last["strength"] == pytest.approx(tiny.augment.strength_final)
    assert [row["neighbor_share"] > 0 for row in result.history] == [True, False]
    assert last["learning_rate"] == pytest.approx(tiny.train.learning_rate_final)
    for head, k in tiny.model.head_sizes.items():
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
    soft = predict(result.network, small_data.test_images)
    for head, probabilities in zip(Head, soft, strict=True):
        np.testing.assert_array_equal(
            result.snapshots[f"{head}_test"][-1], probabilities.argmax(axis=1)
        )


def test_training_raises_the_mutual_information(digits, tiny_params):
    params = tiny_params.with_values(
        model={"widths": [8, 8, 16]},
        train={"epochs": 12, "batch_size": 80, "learning_rate": 0.01},
    )
    history = train(make_training_data(digits, images=480, views=4), params).history
    assert history[-1]["cluster_mutual_information"] > 0.1
    assert history[-1]["cluster_mutual_information"] > 4 * history[0]["cluster_mutual_information"]


def test_bfloat16_affects_the_steps_but_the_network_stays_float32(small_data, tiny, result):
    coarse = train(small_data, tiny.with_values(train={"precision": "mixed_bfloat16"}))
    assert coarse.network.dtype_policy.name == "float32"
    assert {weights.dtype for weights in coarse.network.get_weights()} == {np.dtype("float32")}
    mine, theirs = coarse.history[0]["loss"], result.history[0]["loss"]
    assert mine != theirs
    assert mine == pytest.approx(theirs, rel=0.02)
    assert keras.config.dtype_policy().name == "float32"


def test_auto_precision_is_bfloat16_where_the_processor_has_it(params, monkeypatch):
    chosen = params.with_values(train={"precision": "auto"})
    for found, precision in ((True, "mixed_bfloat16"), (False, "float32")):
        monkeypatch.setattr("iic.core.params.has_bfloat16", lambda found=found: found)
        assert chosen.train.used_precision == precision
        for fixed in ("float32", "mixed_bfloat16"):
            assert params.with_values(train={"precision": fixed}).train.used_precision == fixed


def test_teachers_teach_a_student(small_data, tiny, monkeypatch, capsys):
    seen, seeds = [], []

    def without_doubts(images, groupings, clustering, margin):
        assert len(images) == len(clustering) == 230
        assert [each.shape for each in groupings] == [(230,)] * 4
        assert margin == 0.25
        seen.append(clustering)
        return np.where(np.arange(230) < 207, clustering, UNTAUGHT).astype(np.int32)

    def set_random_seed(seed, original=keras.utils.set_random_seed):
        seeds.append(seed)
        original(seed)

    def record(network, test_images, scheduled):
        recorded.append(len(test_images))
        return Recorder(network, test_images, scheduled)

    def noting(epoch, views, *, both_views):
        used = views_of_epoch(epoch, views, both_views=both_views)
        if not both_views:
            alone.add((epoch, used))
        return used

    recorded, alone = [], set()
    monkeypatch.setattr("iic.training.train.Recorder", record)
    monkeypatch.setattr("iic.training.train._RECORDED", 7)
    monkeypatch.setattr("iic.pairs.batches.views_of_epoch", noting)
    monkeypatch.setattr("iic.training.train.without_doubts", without_doubts)
    monkeypatch.setattr(keras.utils, "set_random_seed", set_random_seed)
    params = tiny.with_values(
        student={"teachers": 2, "length": 3.0, "margin": 0.25, "sure": 0.0},
        train={"epochs": 1},
    )
    taught = train(small_data, params)
    # The student starts as a network without teachers.
    assert seeds == [*teacher_seeds(tiny.seed, 2), tiny.seed]
    # Nobody reads the records of the second teacher.
    assert recorded == [50, 7, 50]
    # In each epoch, the student sees a view that it has not seen before.
    assert alone == {(0, (0,)), (1, (1,)), (2, (2,))}
    assert epochs_printed(capsys.readouterr().out) == ["1/1", "1/1", "1/3", "2/3", "3/3"]
    assert [row["epoch"] for row in taught.history] == [1, 2, 3, 4]
    known = (seen[0][:207] != UNTAUGHT).sum() / 230
    # In its last epoch, the student is sure enough of all images to teach them to itself.
    assert [row["taught"] for row in taught.history] == pytest.approx([0, known, known, 1])
    assert taught.snapshots["cluster_joint"].shape == (4, 10, 10)
    assert taught.snapshots["overcluster_test"].shape == (4, 50)
    assert taught.network.count_params() > 0
    for epoch, joint in enumerate(taught.snapshots["overcluster_joint"]):
        assert joint.sum() == pytest.approx(1, abs=1e-5), epoch


def test_without_a_margin_no_style_is_looked_for(small_data, tiny, monkeypatch):
    monkeypatch.setattr("iic.training.train.group_styles", None)
    monkeypatch.setattr("iic.training.doubts.patch_features", None)
    student = {"teachers": 1, "length": 1.0, "margin": TEACH_ALL}
    result = train(small_data, tiny.with_values(student=student, train={"epochs": 1}))
    assert [row["taught"] for row in result.history] == [0, 1]


def test_teachers_have_scaled_widths_and_another_seed(params):
    changed = params.with_values(
        model={"widths": [3, 64]}, student={"teachers": 2, "teacher_width": 0.1}
    )
    teacher = teacher_params(changed, 5)
    assert teacher.seed == 5
    assert teacher.model.widths == [1, 6]
    restored = teacher.with_values(model={"widths": [3, 64]})
    assert restored.model_copy(update={"seed": changed.seed}) == changed


def test_seeds_of_teachers_differ_within_and_between_runs():
    seeds = [seed for run in range(50) for seed in [run, *teacher_seeds(run, 5)]]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert teacher_seeds(3, 2) == teacher_seeds(3, 4)[:2]


def test_training_with_moves_repeats_bit_for_bit_and_shows_a_bar_on_a_terminal(
    small_data, tiny, monkeypatch
):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("iic.training.teaching.LEAST_INFORMATION", 0.0)
    monkeypatch.setattr("iic.training.moves.MIN_GAIN", 0.1)
    params = tiny.with_values(train={"epochs": 4, "batch_size": 23})
    first = train(small_data, params)
    with redirect_stdout(Terminal()) as terminal:
        second = train(small_data, params)
    assert max(row["taught"] for row in first.history) > 0
    assert first.history == second.history
    for a, b in zip(first.network.get_weights(), second.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "━" in terminal.getvalue()
    assert not EPOCH_LINE.search(terminal.getvalue())


def test_training_prints_one_line_per_epoch_outside_a_terminal(result, output):
    assert epochs_printed(output.getvalue()) == ["1/2", "2/2"]


def test_loss_includes_the_cross_entropy_from_the_first_taught_epoch_on(
    small_data, tiny, result, monkeypatch
):
    def next_cluster(p_ij, mapping, clusters, images):
        return (mapping + 1) % clusters, []

    monkeypatch.setattr("iic.training.teaching.best_moves", next_cluster)
    monkeypatch.setattr("iic.training.teaching.LEAST_INFORMATION", 0.0)
    params = tiny.with_values(loss={"teaching_weight": 3.0, "teaching_from": 0.5})
    taught = train(small_data, params)
    # With their low mutual information, the clusters of `result` are not moved.
    assert [row["taught"] for row in result.history] == [0, 0]
    assert [row["taught"] for row in taught.history] == [0, 1]
    first, second = (
        mine["loss"] - theirs["loss"]
        for mine, theirs in zip(taught.history, result.history, strict=True)
    )
    # The graphs differ, and TensorFlow fuses and rounds them differently.
    assert first == pytest.approx(0, abs=0.1)
    assert second > 3


def test_nan_loss_stops_the_training_with_a_remedy(small_data, tiny, monkeypatch):
    def diverged(z: tf.Tensor, z_t: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        return iic_loss(z, z_t, alpha) * float("nan")

    monkeypatch.setattr("iic.training.learner.iic_loss", diverged)
    with pytest.raises(InputError, match="no longer finite in epoch 1; lower train.learning_rate"):
        train(small_data, tiny)


def test_nan_weights_after_the_last_step_stop_the_training_with_a_remedy(small_data, tiny):
    # With one step per epoch, the loss is computed before the weights change.
    diverging = {"batch_size": 230, "learning_rate": 1e38, "learning_rate_final": 1e38}
    with pytest.raises(InputError, match="output is no longer finite in epoch 1; lower train"):
        train(small_data, tiny.with_values(train=diverging))


def test_lack_of_memory_names_the_batch_size(small_data, tiny):
    class OutOfMemory(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    said = r"train\.batch_size: not enough memory for a training step; lower"
    with pytest.raises(InputError, match=said):
        train(small_data, tiny, [OutOfMemory()])


def test_collapsed_training_is_diagnosed(small_data, tiny):
    """Without BatchNorm before the softmax, the largest learning rate makes a head collapse."""
    collapsing = tiny.with_values(
        model={"normalize_logits": False},
        train={"epochs": 1, "learning_rate": 10.0, "learning_rate_final": 10.0},
    )
    result = train(small_data, collapsing)
    assert {len(np.unique(result.snapshots[f"{head}_test"])) for head in Head} == {1}
    findings = diagnose(result.history[-1], collapsing.model.head_sizes, normalizes_logits=False)
    for head in Head:
        assert f"{head.full_name}: collapsed, all test images are in one cluster" in findings
