"""Teaching: the clustering head learns the clusters of reassigned parts of overclusters."""

import logging
import math
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from iic.core.constants import UNTAUGHT
from iic.core.params import Params
from iic.model.assignments import Assignments
from iic.model.network import predict
from iic.pairs.batches import Batch, PairBatches
from iic.pairs.schedule import first_epoch_from
from iic.training.learner import IICModel
from iic.training.moves import LEFT_OUT, best_moves, exact_joint, information, merged, parts_of

log = logging.getLogger(__name__)

# Largest number of images to search for moves, evenly spaced. A third of MNIST gives results as
# good as all of it, in a third of the time (docs/recipe-log.md).
SAMPLE = 20_000
# Share of ln k, the largest mutual information, that the clustering head has to reach. Below it,
# clusters have not formed yet and moves would be chance.
LEAST_INFORMATION = 0.5


class Teaching(keras.callbacks.Callback):
    """Reassigns parts of overclusters before each epoch from `loss.teaching_from` on.

    During the epoch, a cross-entropy in the loss teaches the sampled images of each moved part
    their new cluster, so that the network itself gives the final clusters, without a table of
    moves. Once the clustering head has learned a move, the part needs no move any more and is no
    longer taught.
    """

    def __init__(self, batches: PairBatches, params: Params) -> None:
        """Prepare for a training.

        Args:
            batches: Batches of the training, whose images and partners give the joint matrix.
            params: Parameters of the run.
        """
        super().__init__()
        self._batches, self._params = batches, params
        self._sample = batches.spaced(SAMPLE)
        self._first = first_epoch_from(params.loss.teaching_from, params.train.epochs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Find the moves under the current weights and set the targets of the epoch."""
        if epoch < self._first:
            return
        plain = self._parts(predict(self.model.network, self._batches.images[self._sample]))
        own, after = self._moves(*self._pairs(epoch, plain))
        moved = (plain != LEFT_OUT) & (after[plain] != own[plain])
        self.model.targets.assign(np.where(moved, after[plain], UNTAUGHT))

    def _moves(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find and log the moves: the cluster of each part before and after, both (k'·k,)."""
        overclusters, clusters = self._params.model.overclusters, self._params.model.clusters
        p_ij = exact_joint(first, second, self._batches.partners, overclusters * clusters)
        # In the numbering of parts_of, the cluster varies fastest.
        own = np.tile(np.arange(clusters), overclusters)
        if information(merged(p_ij, own, clusters)) < LEAST_INFORMATION * math.log(clusters):
            return own, own
        after, moves = best_moves(p_ij, own, clusters, len(self._sample))
        for part, source, target, gain in moves:
            overcluster, cluster = divmod(part, clusters)
            log.info(
                "overcluster %d, part in cluster %d: reassigned from cluster %d to %d, +%.4f nats",
                *(overcluster, cluster, source, target, gain),
            )
        return own, after

    def _pairs(self, epoch: int, plain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the parts of all images as the first and as the second of a pair.

        Neighbours are different images, so they stay untransformed, which makes their assignments
        more certain. An image that is paired with itself needs two views.
        """
        if self._params.augment.neighbors:
            return plain, plain
        first, second = assign_views(self.model, self._batches.in_order(epoch, self._sample))
        return self._parts(first), self._parts(second)

    def _parts(self, soft: Assignments) -> np.ndarray:
        """Return the most probable part of each image, (n,); LEFT_OUT outside the sample."""
        parts = np.full(len(self._batches.images), LEFT_OUT)
        k = self._params.model.clusters
        parts[self._sample] = parts_of(soft.hard_overcluster, soft.hard_cluster, k)
        return parts


def assign_views(model: IICModel, batches: Iterable[Batch]) -> tuple[Assignments, Assignments]:
    """Compute the soft assignments of all pairs under the current weights.

    Args:
        model: Model in training.
        batches: Batches of pairs.

    Returns:
        Assignments of the first and of the second images, in the order of the batches.
    """
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
