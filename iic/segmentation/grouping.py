r"""Grouping: segments as groups of overclusters whose pairs share the most information.

Overclusters are small enough to be pure: each shows one kind of surface. A head of few segments, if
these differ much in size, rather divides the largest one. With the joint matrix of the overclusters
over the displacements |t| ≤ T of the loss,

    P = Σ over t of P(t)

and the indicator matrix C (k', k) of a grouping, M = CᵀPC is the joint matrix of the groups. Of all
pairs of groups, those are joined that lose least of the objective of the loss,

    I = 2·alpha·H(Mᵢ) - H(M)

until k groups are left. With alpha < 1, groups need not be of equal size; with alpha = 1, this is
the agglomerative information bottleneck.

Slonim, Tishby: Agglomerative Information Bottleneck, NIPS 1999.
"""

import logging
from itertools import islice

import keras
import numpy as np
import tensorflow as tf
from scipy.special import entr

from iic.core.constants import Head
from iic.model.matching import hungarian_match
from iic.segmentation.batches import TileBatch, TileBatches
from iic.segmentation.loss import displaced_counts
from iic.segmentation.network import get_groups, set_groups
from iic.segmentation.params import SegmentationParams
from iic.training.learner import Learner
from iic.training.moves import indicator, information, merged

log = logging.getLogger(__name__)

# Batches of which the pairs are counted after each epoch, at most.
BATCHES = 100


class Grouping(keras.callbacks.Callback):
    """Groups the overclusters of a grouped network after each epoch."""

    def __init__(self, batches: TileBatches, params: SegmentationParams) -> None:
        """Prepare for a training.

        Args:
            batches: Batches of the training.
            params: Parameters of the run.
        """
        super().__init__()
        self._batches, self._params = batches, params
        self._count = tf.function(self._count_pairs, reduce_retracing=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Group the overclusters under the current weights, also in the epoch's joint matrix."""
        model: Learner = self.model
        k, pairs = self._params.model.clusters, self._pairs(epoch)
        p_ij = (pairs + pairs.T) / (2 * pairs.sum())
        groups = joined(p_ij, k, self._params.loss.grouping_alpha)
        # Segments keep their numbers from epoch to epoch.
        before = indicator(get_groups(model.network), k)
        shared = before.T @ (p_ij.sum(axis=1)[:, None] * indicator(groups, k))
        groups = hungarian_match(shared)[groups]
        set_groups(model.network, groups)
        own = np.asarray(model.joints[Head.OVERCLUSTER].result(), np.float64)
        model.joints[Head.CLUSTER].replace(merged(own, groups, k))
        log.info("segments share %.4f nats", information(merged(p_ij, groups, k)))

    def _pairs(self, epoch: int) -> np.ndarray:
        """Count the pairs of overclusters of an epoch under the current weights, (k', k')."""
        pairs = np.zeros((self._params.model.overclusters,) * 2)
        for batch in islice(self._batches.epoch(epoch), BATCHES):
            pairs += np.asarray(self._count(tf.nest.map_structure(tf.constant, batch)))
        return pairs

    def _count_pairs(self, batch: TileBatch) -> tf.Tensor:
        # Without other tiles in the views, so that all cells count.
        alone = batch._replace(
            covered=tf.zeros_like(batch.covered), mixes=tf.zeros_like(batch.mixes)
        )
        (_, z), (_, z_t) = self.model.assign_views(alone, training=False)
        return tf.reduce_sum(displaced_counts(z, z_t, self._params.loss.reach), axis=[0, 1])


def joined(p_ij: np.ndarray, groups: int, alpha: float) -> np.ndarray:
    """Join overclusters, each time the two groups whose union loses least of the objective.

    Args:
        p_ij: (k', k') joint matrix of the overclusters, symmetric, with sum 1.
        groups: Number of groups that are left.
        alpha: Weight of both marginal entropies.

    Returns:
        (k',) integer group of each overcluster, 0 to groups - 1.
    """
    mapping = np.arange(len(p_ij))
    for last in range(len(p_ij) - 1, groups - 1, -1):
        losses = _losses(merged(p_ij, mapping, last + 1), alpha)
        into, gone = sorted(divmod(int(losses.argmin()), last + 1))
        mapping[mapping == gone] = into
        mapping[mapping == last] = gone
    return mapping


def _losses(p_ij: np.ndarray, alpha: float) -> np.ndarray:
    """Compute how much of the objective each union of two groups would lose, (n, n)."""
    sizes, cells, same = entr(p_ij.sum(axis=0)), entr(p_ij), np.diag(p_ij)
    losses = np.full(p_ij.shape, np.inf)
    for i, row in enumerate(p_ij):
        # The rows of the unions of group i with each group j; columns i and j become one, too.
        union = entr(row + p_ij)
        before = cells[i] + cells
        around = (union - before).sum(axis=1) * 2
        crossing = union[:, i] - before[:, i] + np.diag(union) - np.diag(before)
        block = entr(same[i] + 2 * row + same) - cells[i, i] - np.diag(cells) - 2 * cells[i]
        joint = around - 2 * crossing + block
        marginal = entr((row + p_ij).sum(axis=1)) - sizes[i] - sizes
        losses[i] = joint - 2 * alpha * marginal
        losses[i, i] = np.inf
    return losses
