r"""The student: a network that is taught the clusters of finished ones, by cross-entropy alone.

Images in doubt (doubts.py) are not taught at first. A network that has learned the others says of
many of them, rightly, where they belong: it has never been told so. From GROWS_FROM of its training
on, at the start of each epoch, those of which it is sure are taught its own answer, which is
self-training with a threshold:

Sohn et al.: FixMatch, NeurIPS 2020 (https://arxiv.org/abs/2001.07685).

The overclustering head learns the overclusters of one teacher.
"""

import logging

import keras
import numpy as np
import tensorflow as tf

from iic.core.constants import UNTAUGHT
from iic.core.params import LossParams, Params
from iic.model.network import as_input, predict
from iic.pairs.augmentation import Draws, Transform
from iic.pairs.batches import Batch, PairBatches
from iic.pairs.schedule import first_epoch_from
from iic.training.learner import IICModel, taught

log = logging.getLogger(__name__)

# Share of the training after which the student's own answers are taught. After its first epoch it
# is often sure and wrong.
GROWS_FROM = 0.4
# Weight of the overclustering head's cross-entropy. With a weight of 1, the overclusters of images
# in a wrong cluster pull them there.
OVERCLUSTERING_WEIGHT = 0.1
# Pairs of the epoch's joint matrices.
_PAIRS = 5_000


def single_views(params: Params) -> Params:
    """Return the parameters for batches of single transformed images, instead of pairs."""
    return params.with_values(augment={"both_views": False, "neighbors": 0})


class StudentModel(IICModel):
    """The network with a training step that teaches it clusters and overclusters.

    Attributes:
        overclusters: (n,) int32 overcluster that each training image is taught, or UNTAUGHT.
    """

    def __init__(
        self, network: keras.Model, transform: Transform, loss: LossParams, images: int
    ) -> None:
        """Prepare for a training; the arguments are those of IICModel."""
        super().__init__(network, transform, loss, images)
        self.overclusters = self._nothing_taught(images, "overclusters")

    def train_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Take one optimisation step on the first images of a batch of PairBatches.

        Returns:
            Mean of each loss over the epoch so far, by name.
        """
        indices = data.indices[0]
        x = self.transform(as_input(data.images), Draws(*data.views[0]), data.strength)
        with tf.GradientTape() as tape:
            z, z_over = self.network(x, training=True)
            clustering = taught(self.targets, indices, z)
            overclustering = taught(self.overclusters, indices, z_over)
            loss = clustering + OVERCLUSTERING_WEIGHT * overclustering
        self._minimize(tape, loss)
        return self._averages(loss, clustering, overclustering)


class Lessons(keras.callbacks.Callback):
    """Decides what the student is taught in each epoch, and measures pairs after it."""

    def __init__(
        self, batches: PairBatches, params: Params, targets: np.ndarray, overclusters: np.ndarray
    ) -> None:
        """Prepare for a training.

        Args:
            batches: Batches of pairs, for the joint matrices and the images in doubt.
            params: Parameters of the run.
            targets: (n,) int32 cluster that each image is taught; UNTAUGHT for images in doubt.
            overclusters: (n,) int32 overcluster that each image is taught, or UNTAUGHT.
        """
        super().__init__()
        self._batches, self._sure = batches, params.student.sure
        self._targets, self._overclusters = targets, overclusters
        self._doubted = np.flatnonzero(targets == UNTAUGHT)
        self._first = first_epoch_from(GROWS_FROM, params.train.epochs)
        self._sample = batches.spaced(_PAIRS)
        self._count = tf.function(self._count_pairs, reduce_retracing=True)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Set what is taught at first."""
        self.model.targets.assign(self._targets)
        self.model.overclusters.assign(self._overclusters)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Teach images in doubt the student's own answer if it is sure of it."""
        if epoch < self._first or not len(self._doubted):
            return
        soft = predict(self.model.network, self._batches.images[self._doubted]).cluster
        sure = soft.max(axis=1) > self._sure
        log.info("the student is sure of %d of %d images in doubt", sure.sum(), len(sure))
        targets = self._targets.copy()
        targets[self._doubted[sure]] = soft.argmax(axis=1)[sure]
        self.model.targets.assign(targets)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Compute the joint matrices of pairs of transformed views under the current weights."""
        for batch in self._batches.in_order(epoch, self._sample):
            self._count(tf.nest.map_structure(tf.constant, batch))

    def _count_pairs(self, batch: Batch) -> None:
        """Count a batch of pairs in the joint matrices of both heads."""
        pairs = zip(*self.model.assign_pair(batch, training=False), strict=True)
        for joint, (z, z_t) in zip(self.model.joints.values(), pairs, strict=True):
            joint.update_state(z, z_t)
