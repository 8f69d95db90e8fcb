"""The network with the IIC objective as its training step, a Keras model like any other."""

import keras
import tensorflow as tf

from iic.core.constants import UNTAUGHT, Head
from iic.core.params import LossParams
from iic.model.network import as_input
from iic.pairs.augmentation import Draws, Transform, make_pair
from iic.pairs.batches import Batch
from iic.training.loss import cross_entropy, iic_loss, normalize_joint


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
        self, network: keras.Model, transform: Transform, loss: LossParams, images: int
    ) -> None:
        """Prepare for a training.

        Args:
            network: maps images to the soft assignments of both heads.
            transform: of the training images.
            loss: weights.
            images: number of training images.
        """
        super().__init__()
        self.network = network
        self._transform, self._loss = transform, loss
        self._losses_seen = {
            name: keras.metrics.Mean(name) for name in ("loss", *(f"{head}_loss" for head in Head))
        }
        self.joints = {
            head: JointMatrix(output.shape[-1], f"{head}_joint")
            for head, output in zip(Head, network.outputs, strict=True)
        }
        # The cluster that each training image is taught, UNTAUGHT for none.
        self.targets = self.add_weight(
            shape=(images,),
            dtype="int32",
            initializer=keras.initializers.Constant(UNTAUGHT),
            trainable=False,
            name="targets",
        )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What Keras resets at the start of each epoch."""
        return [*self._losses_seen.values(), *self.joints.values()]

    def call(self, images: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Soft assignments of both heads; images (n, 28, 28, 1) in [0, 1]."""
        return self.network(images, training=training)

    def assign_pair(self, batch: Batch, training: bool) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Soft assignments of both heads for the first and the second images of a batch."""
        x, x_t = make_pair(
            as_input(batch.images),
            as_input(batch.partners),
            tuple(Draws(*view) for view in batch.views),
            self._transform,
            batch.strength,
        )
        return self.network(x, training=training), self.network(x_t, training=training)

    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """One step on a batch of PairBatches; returns the running means of the losses."""
        share = self._loss.overclustering_weight
        with tf.GradientTape() as tape:
            z, z_t = self.assign_pair(data, training=True)
            losses = [iic_loss(a, b, data.alpha) for a, b in zip(z, z_t, strict=True)]
            loss = (1 - share) * losses[0] + share * losses[1]
            if self._loss.teaching_weight > 0:
                first, second = data.indices
                taught = (self._teach(z[0], first) + self._teach(z_t[0], second)) / 2
                loss += self._loss.teaching_weight * taught
        weights = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)

        for metric, value in zip(self._losses_seen.values(), [loss, *losses], strict=True):
            metric.update_state(value)
        for metric, a, b in zip(self.joints.values(), z, z_t, strict=True):
            metric.update_state(a, b)
        return {name: metric.result() for name, metric in self._losses_seen.items()}

    def _teach(self, z: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """Cross-entropy of the clusters to those that the images at these places are taught."""
        # One-hot of UNTAUGHT is a row of zeros.
        return cross_entropy(tf.one_hot(tf.gather(self.targets, places), z.shape[-1]), z)
