"""The clustering head taught by parts of overclusters that moved where information is higher."""

import logging
import math
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from iic.batches import Batch, PairBatches
from iic.learner import IICModel
from iic.model import Assignments, predict
from iic.moves import best_moves, exact_joint, parts_of
from iic.params import Params

log = logging.getLogger(__name__)


class Teaching(keras.callbacks.Callback):
    """Moves parts of overclusters before each epoch from `loss.teaching_from` on.

    In that epoch, the cross-entropy of their images to the new cluster is part of the loss, so that
    the network itself, not a table beside it, gives the final clusters. Once the clustering head
    has learned a move, there is nothing left to move, and it is taught no longer.
    """

    def __init__(self, batches: PairBatches, params: Params, targets: np.ndarray) -> None:
        """Prepare for a training.

        Args:
            batches: of the training; its images and their partners give the joint matrix.
            params: of the run.
            targets: (n,) int32 cluster that images are taught unless they move, -1 for none.
        """
        super().__init__()
        self._batches, self._params, self._targets = batches, params, targets
        # The first epoch that begins there or later; rounding may not push it by a whole one.
        self._first = math.ceil(params.loss.teaching_from * params.train.epochs - 1e-9)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Teach what is known before."""
        self.model.targets.assign(self._targets)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Find the moves with the weights as they are."""
        if epoch < self._first:
            return
        overclusters, clusters = self._params.model.overclusters, self._params.model.clusters
        plain = surest(predict(self.model.network, self._batches.images))
        first, second = (
            parts_of(view.overcluster, view.cluster, clusters) for view in self._views(epoch, plain)
        )
        p_ij = exact_joint(first, second, self._batches.partners, overclusters * clusters)
        # As parts_of counts them, the cluster changes fastest.
        own = np.tile(np.arange(clusters), overclusters)
        after, moves = best_moves(p_ij, own, clusters, len(self._batches.images))
        for part, _, target, gain in moves:
            overcluster, cluster = divmod(part, clusters)
            log.info(
                "overcluster %d: its part in cluster %d moves to %d (+%.4f nats)",
                *(overcluster, cluster, target, gain),
            )
        cluster = after[parts_of(plain.overcluster, plain.cluster, clusters)]
        self.model.targets.assign(np.where(cluster != plain.cluster, cluster, self._targets))

    def _views(self, epoch: int, plain: Assignments) -> tuple[Assignments, Assignments]:
        """Surest assignments of all images on either side of a pair.

        Neighbours differ as they are, and untransformed images are assigned more surely.
        """
        if self._params.augment.neighbors:
            return plain, plain
        first, second = assign_views(self.model, self._batches.in_order(epoch))
        return surest(first), surest(second)


def surest(soft: Assignments) -> Assignments:
    """The most probable cluster and overcluster of each image, both (n,) integers."""
    return Assignments(*(z.argmax(axis=1) for z in soft))


def assign_views(model: IICModel, batches: Iterable[Batch]) -> tuple[Assignments, Assignments]:
    """Soft assignments of the first and of the second images, with the weights as they are."""
    # Retraced once at most, for the last batch, which may be smaller.
    assign = tf.function(lambda batch: model.assign_pair(batch, training=False))
    pairs = [
        tf.nest.map_structure(np.asarray, assign(tf.nest.map_structure(tf.constant, batch)))
        for batch in batches
    ]
    first, second = (
        Assignments(*map(np.concatenate, zip(*view, strict=True)))
        for view in zip(*pairs, strict=True)
    )
    return first, second
