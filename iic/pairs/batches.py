"""Batches of image pairs with their augmentation seeds, the input of training. No labels."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from iic.core.errors import InputError
from iic.core.params import Params
from iic.pairs.draws import DRAW_NAMES, views_of_epoch
from iic.pairs.schedule import Schedule, ScheduleValues, steps_per_epoch

_IS_NEIGHBOR, _NEIGHBOR = (DRAW_NAMES.index(name) for name in ("is_neighbor", "neighbor"))
# Batches to prepare in advance; with two, no training step waits for data.
_PREFETCH = 2


class Batch(NamedTuple):
    """The input of one training step.

    Attributes:
        images: (n, h, w) or (n, h, w, 3) uint8, first image of each pair.
        partners: (n, h, w) or (n, h, w, 3) uint8, second image of each pair.
        views: Draws, (n, len(DRAW_NAMES)) float32, and noise seeds, (n,) uint32, of one or two
            views.
        alpha: Weight of the marginal entropies in the loss, float32.
        strength: Share of the operations' ranges in use, float32.
        indices: (n,) indices of the images and (n,) of the partners in the training set.
    """

    images: np.ndarray
    partners: np.ndarray
    views: tuple[tuple[np.ndarray, np.ndarray], ...]
    alpha: np.float32
    strength: np.float32
    indices: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TrainingData:
    """Images, their augmentation seeds and their neighbours, without labels.

    Attributes:
        train_images: (n, h, w) or (n, h, w, 3) uint8 training images.
        test_images: (m, h, w) or (m, h, w, 3) uint8 test images; training only records their
            assignments.
        draws: (views, n, len(DRAW_NAMES)) float32 draws.
        noise_seeds: (views, n) uint32 seeds.
        neighbors: (n, k) int32 indices of the nearest neighbours of each training image, k >= 0.
    """

    train_images: np.ndarray
    test_images: np.ndarray
    draws: np.ndarray
    noise_seeds: np.ndarray
    neighbors: np.ndarray

    def __post_init__(self) -> None:
        """Raise InputError unless there are draws and neighbours for each training image."""
        if self.draws.shape[1] != len(self.train_images):
            raise InputError(
                f"the draws are for {self.draws.shape[1]} training images, but there are "
                f"{len(self.train_images)}; run `dvc repro augment`"
            )
        if len(self.neighbors) != len(self.train_images):
            raise InputError(
                f"the neighbours are for {len(self.neighbors)} training images, but there are "
                f"{len(self.train_images)}; run `dvc repro neighbors`"
            )


class PairBatches:
    """Batches of image pairs with the draws of the epoch's views.

    The second image of a pair is the first one again or, early in training, one of its neighbours.
    Seed and epoch determine the order. Images at the end of an epoch that do not fill a batch are
    left out, since a smaller batch would estimate the joint matrix worse. The order changes with
    each epoch, so different images are left out.

    Attributes:
        schedule: Scheduled values of each step.
    """

    def __init__(self, data: TrainingData, params: Params) -> None:
        """Prepare the batches of a whole training.

        Args:
            data: Images, draws and neighbours.
            params: Parameters of the run. A `train.batch_size` larger than the number of training
                images makes one batch of all of them.

        Raises:
            InputError: The data have fewer neighbours than `augment.neighbors`.
        """
        found, wanted = data.neighbors.shape[1], params.augment.neighbors
        if found < wanted:
            raise InputError(
                f"each image has {found} neighbours, but augment.neighbors is {wanted}; "
                "run `dvc repro neighbors`"
            )
        self._data, self._params = data, params
        self._batch_size = min(params.train.batch_size, len(data.train_images))
        self.schedule = Schedule(params, steps=params.train.epochs * len(self))

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return steps_per_epoch(len(self._data.train_images), self._params.train)

    @property
    def images(self) -> np.ndarray:
        """All training images, (n, h, w) or (n, h, w, 3) uint8."""
        return self._data.train_images

    def dataset(self, first_epoch: int = 0) -> tf.data.Dataset:
        """Stream the batches of all remaining epochs.

        Args:
            first_epoch: First epoch to train, counted from 0.

        Returns:
            A dataset of Batch tuples, epoch after epoch.
        """
        return stream(self.epoch, range(first_epoch, self._params.train.epochs))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, counted from 0."""
        random = np.random.default_rng([self._params.seed, epoch])
        order = random.permutation(len(self._data.train_images))
        views = self._views(epoch)
        for index in range(len(self)):
            chosen = order[index * self._batch_size : (index + 1) * self._batch_size]
            scheduled = self.schedule.at(epoch * len(self) + index)
            draws = self._data.draws[views[-1], chosen]
            partners = self._partners(chosen, draws, scheduled.neighbor_share)
            yield self._batch(chosen, partners, views, scheduled)

    def spaced(self, most: int) -> np.ndarray:
        """Return the indices of at most `most` training images, evenly spaced, in order."""
        images = len(self.images)
        return np.arange(0, images, math.ceil(images / most))

    def in_order(self, epoch: int, chosen: np.ndarray) -> Iterator[Batch]:
        """Yield batches of images paired with themselves, without shuffling.

        Args:
            epoch: Epoch, counted from 0, whose views and first scheduled values are used.
            chosen: (m,) indices of training images, in the order of the result.

        Yields:
            Batches of at most the batch size; the last one may be smaller.
        """
        views = self._views(epoch)
        scheduled = self.schedule.at(epoch * len(self))
        for start in range(0, len(chosen), self._batch_size):
            indices = chosen[start : start + self._batch_size]
            yield self._batch(indices, indices, views, scheduled)

    @property
    def partners(self) -> np.ndarray:
        """Candidate partners of each image, (n, k) indices.

        These are the nearest `augment.neighbors` images, or the image itself if that is 0.
        """
        used = self._params.augment.neighbors
        if used:
            return self._data.neighbors[:, :used]
        return np.arange(len(self._data.train_images))[:, None]

    def _views(self, epoch: int) -> tuple[int, ...]:
        both = self._params.augment.both_views
        return views_of_epoch(epoch, len(self._data.draws), both_views=both)

    def _batch(
        self,
        chosen: np.ndarray,
        partners: np.ndarray,
        views: tuple[int, ...],
        scheduled: ScheduleValues,
    ) -> Batch:
        data = self._data
        return Batch(
            images=data.train_images[chosen],
            partners=data.train_images[partners],
            views=tuple(
                (data.draws[view, chosen], data.noise_seeds[view, chosen]) for view in views
            ),
            alpha=np.float32(scheduled.alpha),
            strength=np.float32(scheduled.strength),
            indices=(chosen, partners),
        )

    def _partners(self, chosen: np.ndarray, draws: np.ndarray, share: float) -> np.ndarray:
        """Choose the second image of each pair: (n,) indices into the training set."""
        if share == 0:
            return chosen
        candidates = self.partners[chosen]
        # In float32, k times a draw just below 1 could round up to k.
        picked = (candidates.shape[1] * draws[:, _NEIGHBOR].astype(np.float64)).astype(int)
        neighbors = candidates[np.arange(len(chosen)), picked]
        return np.where(draws[:, _IS_NEIGHBOR] < share, neighbors, chosen)


def stream(epoch: Callable[[int], Iterator[tuple[object, ...]]], epochs: range) -> tf.data.Dataset:
    """Stream the batches of several epochs, prepared in advance.

    One stream serves the whole training, since Keras would wait for a new one in each epoch.

    Args:
        epoch: Function that yields the batches of an epoch, counted from 0.
        epochs: Epochs to stream.

    Returns:
        A dataset of the batches, epoch after epoch.
    """
    options = tf.data.Options()
    # Nothing here needs tuning, and the tuner's thread can delay the end by up to a minute.
    options.autotune.enabled = False
    return (
        tf.data.Dataset.from_generator(
            lambda: (batch for number in epochs for batch in epoch(number)),
            output_signature=tf.nest.map_structure(tf.type_spec_from_value, next(epoch(0))),
        )
        .prefetch(_PREFETCH)
        .with_options(options)
    )
