"""The Keras model that is trained: the network with a training step that minimises the loss."""

import keras
import numpy as np
import tensorflow as tf

from iic.core.constants import UNTAUGHT, Head
from iic.core.params import LossParams
from iic.model.network import as_input
from iic.pairs.augmentation import Draws, Transform, make_pair
from iic.pairs.batches import Batch
from iic.training.loss import cross_entropy, iic_loss, normalize_joint


class JointMatrix(keras.metrics.Metric):
    """The joint matrix P of a head over all pairs of an epoch.

    The metric sums the counts zᵀz' over the batches, which gives exactly the P of all pairs.
    """

    def __init__(self, k: int, name: str) -> None:
        """Start with zero counts.

        Args:
            k: Number of outputs of the head.
            name: Name of the metric.
        """
        super().__init__(name=name)
        self._counts = self.add_weight(shape=(k, k), initializer="zeros", name="counts")

    def update_state(self, z: tf.Tensor, z_t: tf.Tensor) -> None:
        """Add the pairs of a batch, given the soft assignments (n, k) of both images."""
        self._counts.assign_add(tf.matmul(z, z_t, transpose_a=True))

    def replace(self, counts: np.ndarray) -> None:
        """Replace the counts, (k, k)."""
        self._counts.assign(counts)

    def result(self) -> tf.Tensor:
        """Return P, (k, k), symmetric, with sum 1."""
        return normalize_joint(tf.convert_to_tensor(self._counts))


def taught(targets: tf.Tensor, indices: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """Compute the cross-entropy of assignments to what their images are taught.

    Args:
        targets: (images,) int32 cluster that each training image is taught, or UNTAUGHT.
        indices: (n,) training images of the assignments.
        z: (n, k) float soft assignments.

    Returns:
        Scalar, in nats; the mean over all n, to which UNTAUGHT contributes 0.
    """
    # The one-hot row of UNTAUGHT is zero.
    return cross_entropy(tf.one_hot(tf.gather(targets, indices), z.shape[-1]), z)


class Learner(keras.Model):
    """A network in training; a subclass adds the training step.

    Attributes:
        network: The network, which maps images to the soft assignments of both heads.
        joints: Joint matrix of each head over the current epoch.
    """

    def __init__(self, network: keras.Model) -> None:
        """Prepare for the training of a network."""
        super().__init__()
        self.network = network
        self._losses_seen = {
            name: keras.metrics.Mean(name) for name in ("loss", *(f"{head}_loss" for head in Head))
        }
        self.joints = {
            head: JointMatrix(output.shape[-1], f"{head}_joint")
            for head, output in zip(Head, network.outputs, strict=True)
        }

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Metrics that Keras resets at the start of each epoch."""
        return [*self._losses_seen.values(), *self.joints.values()]

    @property
    def facts(self) -> dict[str, float]:
        """Values for the history besides the losses, by name."""
        return {}

    def call(self, images: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Compute the soft assignments of both heads for images (n, h, w, c) in [0, 1]."""
        return self.network(images, training=training)

    def _minimize(self, tape: tf.GradientTape, loss: tf.Tensor) -> None:
        """Let the optimiser take a step on a loss that the tape has recorded."""
        weights = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)

    def _averages(self, *losses: tf.Tensor) -> dict[str, tf.Tensor]:
        """Record the losses of a step, the sum and each head's; return the means of the epoch."""
        for metric, value in zip(self._losses_seen.values(), losses, strict=True):
            metric.update_state(value)
        return {name: metric.result() for name, metric in self._losses_seen.items()}


class IICModel(Learner):
    """The network with a training step that minimises the IIC loss of both heads.

    Attributes:
        transform: Augmentation of the training images.
        targets: (n,) int32 cluster that each training image is taught, or UNTAUGHT.
    """

    def __init__(
        self, network: keras.Model, transform: Transform, loss: LossParams, images: int
    ) -> None:
        """Prepare for a training.

        Args:
            network: Network to train.
            transform: Augmentation of the training images.
            loss: Weights in the loss.
            images: Number of training images.
        """
        super().__init__(network)
        self.transform, self._loss = transform, loss
        self.targets = self._nothing_taught(images, "targets")

    @property
    def facts(self) -> dict[str, float]:
        """The share of images that are taught."""
        return {"taught": float((self.targets.numpy() != UNTAUGHT).mean())}

    def assign_pair(self, batch: Batch, training: bool) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Transform a batch of pairs and compute the soft assignments.

        Args:
            batch: Batch of PairBatches.
            training: Whether BatchNorm uses the statistics of the batch.

        Returns:
            z and z', the soft assignments of the first and of the second images: a list with (n, k)
            of the clustering head and (n, k') of the overclustering head for each.
        """
        x, x_t = make_pair(
            as_input(batch.images),
            as_input(batch.partners),
            tuple(Draws(*view) for view in batch.views),
            self.transform,
            batch.strength,
        )
        return self.network(x, training=training), self.network(x_t, training=training)

    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Take one optimisation step on a batch of PairBatches.

        With w = `loss.overclustering_weight` and t = `loss.teaching_weight`, the loss is

            (1 - w)·L(clustering) + w·L(overclustering) + t·C

        where L is the IIC loss of a head and C the cross-entropy of the clustering head to the
        targets, averaged over both images of a pair.

        Returns:
            Mean of each loss over the epoch so far, by name.
        """
        w, t = self._loss.overclustering_weight, self._loss.teaching_weight
        with tf.GradientTape() as tape:
            z, z_t = self.assign_pair(data, training=True)
            losses = [iic_loss(a, b, data.alpha) for a, b in zip(z, z_t, strict=True)]
            clustering, overclustering = losses
            loss = (1 - w) * clustering + w * overclustering
            if t > 0:
                first, second = data.indices
                both = taught(self.targets, first, z[0]) + taught(self.targets, second, z_t[0])
                loss += t * both / 2
        self._minimize(tape, loss)
        for metric, a, b in zip(self.joints.values(), z, z_t, strict=True):
            metric.update_state(a, b)
        return self._averages(loss, *losses)

    def _nothing_taught(self, images: int, name: str) -> keras.Variable:
        """Create a variable of what each training image is taught, UNTAUGHT so far."""
        return self.add_weight(
            shape=(images,),
            dtype="int32",
            initializer=keras.initializers.Constant(UNTAUGHT),
            trainable=False,
            name=name,
        )
