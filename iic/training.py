"""Training without labels: a Keras model with its own step, and the schedules of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from iic.augmentation import Draws, Transform, make_pair
from iic.batches import PairBatches, TrainingData
from iic.diagnosis import HEADS
from iic.loss import iic_loss, normalize_joint
from iic.model import as_input, build_network
from iic.params import Params
from iic.recording import Recorder


@dataclass(frozen=True)
class TrainingResult:
    """The trained network, one history row per epoch, and per-epoch snapshots."""

    network: keras.Model
    history: list[dict[str, float]]
    snapshots: dict[str, np.ndarray]


@dataclass(frozen=True)
class Schedule:
    """What changes over training, each linear in the step.

    Attributes:
        steps: steps of the whole training.
        alpha: entropy weight of the first half of training.
        alpha_final: entropy weight of the last step, reached over the second half.
        strength_final: share of the operations' ranges left in the last step; all in the first.
    """

    steps: int
    alpha: float
    alpha_final: float
    strength_final: float

    def progress(self, step: tf.Tensor) -> tf.Tensor:
        """0 in the first step, 1 in the last."""
        return tf.cast(step, tf.float32) / max(1, self.steps - 1)

    def alpha_at(self, step: tf.Tensor) -> tf.Tensor:
        """Entropy weight of a step."""
        fallen = tf.maximum(0.0, 2 * self.progress(step) - 1)
        return self.alpha + (self.alpha_final - self.alpha) * fallen

    def strength_at(self, step: tf.Tensor) -> tf.Tensor:
        """Strength of the operations in a step."""
        return 1 + (self.strength_final - 1) * self.progress(step)


class JointMatrix(keras.metrics.Metric):
    """The joint matrix of a head, summed over the batches of an epoch.

    P is a mean over pairs, so the sum over batches is exactly the P of all pairs together.
    """

    def __init__(self, k: int, name: str) -> None:
        """A (k, k) matrix of zeros."""
        super().__init__(name=name)
        self._counts = self.add_weight(shape=(k, k), initializer="zeros", name="counts")

    def update_state(self, z: tf.Tensor, z_t: tf.Tensor) -> None:
        """Add the pairs of a batch: soft assignments (n, k) of either view."""
        self._counts.assign_add(tf.matmul(z, z_t, transpose_a=True))

    def result(self) -> tf.Tensor:
        """P (k, k), symmetric, sums to 1."""
        return normalize_joint(tf.convert_to_tensor(self._counts))


class IICModel(keras.Model):
    """The network with the IIC objective as its training step."""

    def __init__(
        self,
        network: keras.Model,
        transform: Transform,
        schedule: Schedule,
        overclustering_weight: float,
    ) -> None:
        """`overclustering_weight`: share of the overclustering head's loss in the mean of both."""
        super().__init__()
        self.network = network
        self.schedule = schedule
        self._transform = transform
        self._weight = overclustering_weight
        self._losses_seen = {
            name: keras.metrics.Mean(name)
            for name in ("loss", *(f"{head}_loss" for head in HEADS))
        }
        self.joints = {
            head: JointMatrix(output.shape[-1], f"{head}_joint")
            for head, output in zip(HEADS, network.outputs, strict=True)
        }

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What Keras resets at the start of each epoch."""
        return [*self._losses_seen.values(), *self.joints.values()]

    def call(self, images: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Soft assignments of both heads; images (n, 28, 28, 1) in [0, 1]."""
        return self.network(images, training=training)

    def train_step(self, data: tuple[tf.Tensor, tuple[tuple[tf.Tensor, ...], ...]]) -> dict[str, tf.Tensor]:
        """One step on a batch of PairBatches; returns the running means of the losses."""
        images, views = data
        step = self.optimizer.iterations
        x, x_t = make_pair(
            as_input(images),
            tuple(Draws(*view) for view in views),
            self._transform,
            self.schedule.strength_at(step),
        )
        alpha = self.schedule.alpha_at(step)
        with tf.GradientTape() as tape:
            z, z_t = self.network(x, training=True), self.network(x_t, training=True)
            losses = [iic_loss(a, b, alpha) for a, b in zip(z, z_t, strict=True)]
            loss = (1 - self._weight) * losses[0] + self._weight * losses[1]
        weights = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)

        for metric, value in zip(self._losses_seen.values(), [loss, *losses], strict=True):
            metric.update_state(value)
        for metric, a, b in zip(self.joints.values(), z, z_t, strict=True):
            metric.update_state(a, b)
        return {name: metric.result() for name, metric in self._losses_seen.items()}


def train(
    data: TrainingData, params: Params, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> TrainingResult:
    """Train both heads; the same data and parameters give the same result, bit for bit.

    Raises:
        InputError: the data do not fit each other, or the loss is no longer finite.
    """
    keras.utils.set_random_seed(params.seed)
    tf.config.experimental.enable_op_determinism()
    batches = PairBatches(
        data,
        batch_size=params.train.batch_size,
        both_views=params.augment.both_views,
        seed=params.seed,
    )
    model = _build_model(params, steps=params.train.epochs * len(batches))
    recorder = Recorder(data.test_images)
    # The recorder comes first: it adds to the logs that the other callbacks read.
    model.fit(
        batches,
        epochs=params.train.epochs,
        shuffle=False,
        callbacks=[recorder, *callbacks],
    )
    return TrainingResult(model.network, recorder.history, recorder.snapshots())


def _build_model(params: Params, steps: int) -> IICModel:
    final = params.loss.alpha_final
    schedule = Schedule(
        steps=steps,
        alpha=params.loss.alpha,
        alpha_final=params.loss.alpha if final is None else final,
        strength_final=params.augment.strength_final,
    )
    model = IICModel(
        build_network(params.model),
        Transform(params.augment),
        schedule,
        params.loss.overclustering_weight,
    )
    rate = keras.optimizers.schedules.PolynomialDecay(
        params.train.learning_rate, max(1, steps - 1), params.train.learning_rate_final
    )
    # The loss is a custom step's own business, so none is given here.
    model.compile(optimizer=keras.optimizers.Adam(rate))
    return model
