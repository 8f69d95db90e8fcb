"""Batches of tiles with the random numbers of their views, the input of training. No masks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from iic.pairs.batches import stream
from iic.pairs.schedule import alpha_at
from iic.segmentation.mixing import draw_covers
from iic.segmentation.params import SegmentationLossParams, SegmentationParams
from iic.segmentation.poses import Poses, draw_poses


class TileBatch(NamedTuple):
    """The input of one training step.

    Attributes:
        images: (n, s, s) or (n, s, s, 3) uint8 tiles.
        valid: (n, s, s) bool, False for pixels that do not count, such as transparent ones.
        poses: Pose of the second view of each tile; the first view keeps the tile's.
        seeds: (2, n) uint32 seeds of colour changes and noise of both views.
        covered: (n, s, s) bool, True for pixels of the second view that show another tile.
        mixes: Whether tiles cover each other at this time of training, bool.
        alpha: Weight of the marginal entropies in the loss, float32.
        wide: Whether displacements reach as far as at the beginning, bool.
    """

    images: np.ndarray
    valid: np.ndarray
    poses: Poses
    seeds: np.ndarray
    covered: np.ndarray
    mixes: np.bool_
    alpha: np.float32
    wide: np.bool_


class SegmentationValues(NamedTuple):
    """The scheduled values of one step; the names are columns of the history.

    Attributes:
        alpha: Weight of the marginal entropies in the loss.
        reach: Largest displacement along each axis, in pixels of the outputs.
        mixes: Whether tiles cover each other in the second view, 0 or 1.
    """

    alpha: float
    reach: int
    mixes: int


@dataclass(frozen=True)
class SegmentationSchedule:
    """Scheduled values of every step of a training.

    Attributes:
        loss: Parameters of the loss.
        mix_from: Fraction of training at which tiles begin to cover each other.
        steps: Number of steps of the whole training.
    """

    loss: SegmentationLossParams
    mix_from: float
    steps: int

    def at(self, step: int) -> SegmentationValues:
        """Compute the values of a step, counted from 0: alpha falls linearly, the reach at once."""
        p, progress = self.loss, step / max(1, self.steps - 1)
        return SegmentationValues(
            alpha=alpha_at(p, progress),
            reach=p.reach if progress < p.reach_falls_at else p.reach_final,
            mixes=int(progress >= self.mix_from and self.mix_from < 1),
        )


class TileBatches:
    """Batches of tiles in a random order, with random views.

    Seed and epoch determine both. Tiles at the end of an epoch that do not fill a batch are left
    out, as in clustering.

    Attributes:
        images: (n, s, s) or (n, s, s, 3) uint8 tiles.
        schedule: Scheduled values of each step.
    """

    def __init__(self, images: np.ndarray, valid: np.ndarray, params: SegmentationParams) -> None:
        """Prepare the batches of a whole training.

        Args:
            images: (n, s, s) or (n, s, s, 3) uint8 tiles.
            valid: (n, s, s) bool, False for pixels that do not count.
            params: Parameters of the run.
        """
        self.images, self._valid, self._params = images, valid, params
        self._batch_size = min(params.train.batch_size, len(images))
        self.schedule = SegmentationSchedule(
            params.loss, params.views.mix_from, params.train.epochs * len(self)
        )

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return len(self.images) // self._batch_size

    def dataset(self, first_epoch: int = 0) -> tf.data.Dataset:
        """Stream the batches of all epochs from `first_epoch` on, counted from 0."""
        return stream(self.epoch, range(first_epoch, self._params.train.epochs))

    def epoch(self, epoch: int) -> Iterator[TileBatch]:
        """Yield the batches of an epoch, counted from 0."""
        random = np.random.default_rng([self._params.seed, epoch])
        order = random.permutation(len(self.images))
        views = self._params.views
        for index in range(len(self)):
            chosen = order[index * self._batch_size : (index + 1) * self._batch_size]
            scheduled = self.schedule.at(epoch * len(self) + index)
            yield TileBatch(
                images=self.images[chosen],
                valid=self._valid[chosen],
                poses=draw_poses(
                    random, len(chosen), symmetries=views.symmetries, rotation=views.rotation
                ),
                seeds=random.integers(2**32, size=(2, len(chosen)), dtype=np.uint32),
                covered=draw_covers(random, len(chosen), self.images.shape[1])
                & bool(scheduled.mixes),
                mixes=np.bool_(scheduled.mixes),
                alpha=np.float32(scheduled.alpha),
                wide=np.bool_(scheduled.reach == self._params.loss.reach),
            )
