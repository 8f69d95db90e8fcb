"""The clustering head taught by overclusters that were moved to where the objective is higher."""

import logging
import math
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from iic.batches import Batch, PairBatches
from iic.learner import IICModel, JointMatrix
from iic.moves import best_moves, indicator
from iic.params import Params

log = logging.getLogger(__name__)


class Teaching(keras.callbacks.Callback):
    """Once, at `loss.teaching_from` of training, moves overclusters and lets them teach.

    From then on the cross-entropy to the cluster of an image's overclusters is part of the loss,
    so that the network itself, not a table beside it, gives the final clusters.
    """

    def __init__(self, batches: PairBatches, params: Params) -> None:
        """`batches`: of the training, whose pairs give the joint matrix."""
        super().__init__()
        self._batches, self._params = batches, params
        # The first epoch that begins there or later; rounding may not push it by a whole one.
        self._first = math.ceil(params.loss.teaching_from * params.train.epochs - 1e-9)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Find the moves where the first taught epoch begins."""
        if self._params.loss.teaching_weight == 0 or epoch != self._first:
            return
        alpha = self._batches.schedule.at(epoch * len(self._batches)).alpha
        model: IICModel = self.model
        p_ij, overlap = exact_joint(model, self._batches.epoch(epoch))
        mapping, moves = best_moves(
            p_ij, overlap.argmax(axis=1), self._params.model.clusters, alpha
        )
        log.info("%d overclusters move to another cluster", len(moves))
        for move in moves:
            log.info("overcluster %d moves from cluster %d to %d (+%.4f nats)", *move)
        model.taught.assign(indicator(mapping, self._params.model.clusters))


def exact_joint(model: IICModel, batches: Iterable[Batch]) -> tuple[np.ndarray, np.ndarray]:
    """The overclustering head on all pairs of an epoch, with the weights as they are.

    Returns:
        Its joint matrix (k', k'), and its co-occurrence (k', k) with the clustering head.
    """
    overclusters, clusters = model.taught.shape
    joint = JointMatrix(overclusters, "exact_joint")
    overlap = np.zeros((overclusters, clusters))
    assign = tf.function(lambda batch: model.assign_pair(batch, training=False))
    for batch in batches:
        first, second = assign(tf.nest.map_structure(tf.constant, batch))
        joint.update_state(first[1], second[1])
        for cluster, overcluster in (first, second):
            overlap += tf.matmul(overcluster, cluster, transpose_a=True).numpy()
    return joint.result().numpy().astype(np.float64), overlap
