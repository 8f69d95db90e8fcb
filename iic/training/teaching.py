"""Teaches the clustering head the clusters to which parts of overclusters move."""

import logging
import math
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from iic.core.params import Params
from iic.model.assignments import Assignments
from iic.model.network import predict
from iic.pairs.batches import Batch, PairBatches
from iic.training.learner import IICModel
from iic.training.moves import LEFT_OUT, best_moves, exact_joint, information, merged, parts_of

log = logging.getLogger(__name__)

# At most as many images are looked at, evenly spaced: moves among a third of MNIST's do as well as
# among all, in a third of the time (docs/recipe-log.md).
SAMPLE = 20_000
# Share of ln k, the most that clusters can know of a pair, which the clustering head has to reach:
# below it, clusters have not formed, and moves are chance.
LEAST_INFORMATION = 0.5


class Teaching(keras.callbacks.Callback):
    """Moves parts of overclusters before each epoch from `loss.teaching_from` on.

    For that epoch the loss includes a cross-entropy that teaches the sampled images of each moved
    part their new cluster, so that the network itself, not a table beside it, gives the final
    clusters. Once the clustering head has learned a move, there is nothing left to move, and it is
    taught no longer.
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
        images = len(batches.images)
        self._sample = np.arange(0, images, math.ceil(images / SAMPLE))
        # The first epoch that begins there or later; rounding may not push it by a whole one.
        self._first = math.ceil(params.loss.teaching_from * params.train.epochs - 1e-9)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Teach what is known before."""
        self.model.targets.assign(self._targets)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Find the moves with the weights as they are."""
        if epoch < self._first:
            return
        plain = self._parts(predict(self.model.network, self._batches.images[self._sample]))
        own, after = self._moves(*self._pairs(epoch, plain))
        moved = (plain != LEFT_OUT) & (after[plain] != own[plain])
        self.model.targets.assign(np.where(moved, after[plain], self._targets))

    def _moves(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(k'·k,) the cluster of each part before and after the moves, which are logged."""
        overclusters, clusters = self._params.model.overclusters, self._params.model.clusters
        p_ij = exact_joint(first, second, self._batches.partners, overclusters * clusters)
        # As parts_of counts them, the cluster changes fastest.
        own = np.tile(np.arange(clusters), overclusters)
        if information(merged(p_ij, own, clusters)) < LEAST_INFORMATION * math.log(clusters):
            return own, own
        after, moves = best_moves(p_ij, own, clusters, len(self._sample))
        for part, source, target, gain in moves:
            overcluster, cluster = divmod(part, clusters)
            log.info(
                "overcluster %d, part in cluster %d: moves from %d to %d (+%.4f nats)",
                *(overcluster, cluster, source, target, gain),
            )
        return own, after

    def _pairs(self, epoch: int, plain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parts of all images on either side of a pair.

        Neighbours are two different images already, so they stay untransformed and are assigned
        more surely; an image that is paired with itself needs two views.
        """
        if self._params.augment.neighbors:
            return plain, plain
        first, second = assign_views(self.model, self._batches.in_order(epoch, self._sample))
        return self._parts(first), self._parts(second)

    def _parts(self, soft: Assignments) -> np.ndarray:
        """(n,) the part in which each image most probably is; LEFT_OUT outside the sample."""
        parts = np.full(len(self._batches.images), LEFT_OUT)
        k = self._params.model.clusters
        parts[self._sample] = parts_of(soft.hard_overcluster, soft.hard_cluster, k)
        return parts


def assign_views(model: IICModel, batches: Iterable[Batch]) -> tuple[Assignments, Assignments]:
    """Soft assignments of the first and of the second images, with the weights as they are."""
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
