"""The network with the IIC objective as its training step, a Keras model like any other."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from iic.augmentation import Draws, Transform, make_pair
from iic.diagnosis import HEADS
from iic.loss import iic_loss, normalize_joint
from iic.model import as_input


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
            name: keras.metrics.Mean(name) for name in ("loss", *(f"{head}_loss" for head in HEADS))
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

    def train_step(
        self, data: tuple[tf.Tensor, tf.Tensor, tuple[tuple[tf.Tensor, ...], ...]]
    ) -> dict[str, tf.Tensor]:
        """One step on a batch of PairBatches; returns the running means of the losses."""
        images, partners, views = data
        step = self.optimizer.iterations
        x, x_t = make_pair(
            as_input(images),
            as_input(partners),
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
