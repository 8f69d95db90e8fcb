"""The Keras model that is trained: the trunk with a training step that minimises the loss."""

import keras
import tensorflow as tf

from iic.core.constants import Head
from iic.model.network import as_input
from iic.pairs.augmentation import Draws, add_noise, change_colors
from iic.segmentation.batches import TileBatch
from iic.segmentation.loss import masked, segmentation_loss
from iic.segmentation.mixing import coarse, inside_segments, mixed
from iic.segmentation.params import SegmentationLossParams, ViewParams
from iic.segmentation.poses import apply, visible
from iic.training.learner import Learner


class SegmentationModel(Learner):
    """The trunk with a training step that minimises the loss of both heads over all displacements.

    Everything else is as in clustering, with pixels of the coarse map in place of images. If the
    segments are groups of overclusters, the loss is that of the overclusters alone.
    """

    def __init__(
        self,
        network: keras.Model,
        views: ViewParams,
        loss: SegmentationLossParams,
        *,
        grouped: bool = False,
    ) -> None:
        """Prepare for a training.

        Args:
            network: Network from build_trunk.
            views: Operations of the views and their ranges.
            loss: Weights and displacements of the loss.
            grouped: Whether the segments are groups of overclusters.
        """
        super().__init__(network)
        self._views, self._loss = views, loss
        self._weight = 1.0 if grouped else loss.overclustering_weight

    def assign_views(
        self, batch: TileBatch, training: bool
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Compute the soft assignments of both views, those of the first in the second's pose.

        Args:
            batch: Batch of TileBatches.
            training: Whether BatchNorm uses the statistics of the batch.

        Returns:
            z and z' of each head, (n, h, w, k); cells that do not count are zero. Where a tile
            covers another in the second view, z is that of the covering tile.
        """
        # Without rotation, poses are exact and need no interpolation.
        poses = batch.poses if self._views.rotation else batch.poses._replace(degrees=None)
        images = as_input(batch.images)
        first = self._recolored(images, batch.seeds[0])
        second = self._recolored(mixed(apply(images, poses), batch.covered), batch.seeds[1])
        z, z_t = self.network(first, training=training), self.network(second, training=training)
        side, covered = z[0].shape[1], tf.cast(batch.covered, tf.float32)
        inside, outside = coarse(covered, side), coarse(1 - covered, side)
        counts = coarse(visible(batch.valid, poses), side)
        if_mixed = counts * visible(inside_segments(z[0]), poses)
        counts = tf.where(batch.mixes, if_mixed, counts)
        # Cells on the edge of the cover show both tiles.
        valid = mixed(counts, inside > 0) * (inside + outside)
        return (
            [masked(mixed(apply(one, poses), inside > 0), valid) for one in z],
            [masked(one, valid) for one in z_t],
        )

    def train_step(self, data: TileBatch) -> dict[str, tf.Tensor]:
        """Take one optimisation step on a batch of TileBatches.

        With w = `loss.overclustering_weight`, or 1 for groups of overclusters, the loss is
        (1 - w)·L(clustering) + w·L(overclustering), where L is the segmentation loss of a head.

        Returns:
            Mean of each loss over the epoch so far, by name.
        """
        p, w = self._loss, self._weight
        with tf.GradientTape() as tape:
            z, z_t = self.assign_views(data, training=True)
            losses = [
                tf.cond(
                    data.wide,
                    lambda a=a, b=b: segmentation_loss(a, b, data.alpha, p.reach),
                    lambda a=a, b=b: segmentation_loss(a, b, data.alpha, p.reach_final),
                )
                for a, b in zip(z, z_t, strict=True)
            ]
            loss = (1 - w) * losses[0] + w * losses[1]
        self._minimize(tape, loss)
        for head, a, b in zip(Head, z, z_t, strict=True):
            k = a.shape[-1]
            self.joints[head].update_state(tf.reshape(a, [-1, k]), tf.reshape(b, [-1, k]))
        return self._averages(loss, *losses)

    def _recolored(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Change brightness, contrast and colours, and add noise, by one seed per tile."""
        p = self._views
        draws = Draws(unit=tf.zeros([tf.shape(images)[0], 0]), noise_seeds=seeds)
        images = change_colors(images, draws, [p.brightness, p.contrast, p.saturation, p.hue])
        return add_noise(images, seeds, p.noise)
