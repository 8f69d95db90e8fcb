"""The clustering head taught by overclusters that were moved where information is higher."""

import logging
import math
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from iic.batches import Batch, PairBatches
from iic.learner import IICModel
from iic.matching import contingency_table
from iic.model import Assignments, predict
from iic.moves import best_moves, exact_joint, indicator
from iic.params import Params

log = logging.getLogger(__name__)


class Teaching(keras.callbacks.Callback):
    """Moves overclusters before each epoch from `loss.teaching_from` on; those moved teach in it.

    The cross-entropy to the new cluster of an image's overcluster is then part of the loss, so
    that the network itself, not a table beside it, gives the final clusters. Once the clustering
    head has learned a move, there is nothing left to move, and it is taught no longer.
    """

    def __init__(self, batches: PairBatches, params: Params) -> None:
        """`batches`: of the training; its images and their partners give the joint matrix."""
        super().__init__()
        self._batches, self._params = batches, params
        # The first epoch that begins there or later; rounding may not push it by a whole one.
        self._first = math.ceil(params.loss.teaching_from * params.train.epochs - 1e-9)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Find the moves with the weights as they are."""
        if self._params.loss.teaching_weight == 0 or epoch < self._first:
            return
        overclusters, clusters = self._params.model.overclusters, self._params.model.clusters
        first, second = (
            Assignments(*(z.argmax(axis=1) for z in view)) for view in self._assign(epoch)
        )
        before = majority(first, second, overclusters, clusters)
        p_ij = exact_joint(
            first.overcluster, second.overcluster, self._batches.partners, overclusters
        )
        after, moves = best_moves(p_ij, before, clusters)
        for move in moves:
            log.info("overcluster %d moves from cluster %d to %d (+%.4f nats)", *move)
        # An overcluster that stays teaches nothing: it is coarser than the clustering head, which
        # may well split it.
        self.model.taught.assign(indicator(after, clusters) * (after != before)[:, None])

    def _assign(self, epoch: int) -> tuple[Assignments, Assignments]:
        """Soft assignments of all images on either side of a pair.

        Neighbours differ as they are, and untransformed images are assigned more surely.
        """
        if self._params.augment.neighbors:
            plain = predict(self.model.network, self._batches.images)
            return plain, plain
        return assign_views(self.model, self._batches.in_order(epoch))


def majority(
    first: Assignments, second: Assignments, overclusters: int, clusters: int
) -> np.ndarray:
    """(k',) the cluster in which most images of an overcluster are."""
    counts = [
        contingency_table(view.overcluster, view.cluster, overclusters, clusters)
        for view in (first, second)
    ]
    return (counts[0] + counts[1]).argmax(axis=1)


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
