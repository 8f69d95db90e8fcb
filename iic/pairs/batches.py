"""What training reads: images and augmentation seeds, in batches of pairs. No labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from iic.core.errors import InputError
from iic.core.params import Params
from iic.pairs.draws import DRAWS, views_of_epoch
from iic.pairs.schedule import Schedule, Settings

_IS_NEIGHBOR, _NEIGHBOR = (DRAWS.index(name) for name in ("is_neighbor", "neighbor"))
# Batches made ahead; two keep the step from waiting.
_PREFETCH = 2


class Batch(NamedTuple):
    """What one step reads.

    Attributes:
        images: (n, 28, 28) uint8, the first of each pair.
        partners: (n, 28, 28) uint8, the second.
        views: one or two views' draws (n, draws) float32 and noise seeds (n,) uint32.
        alpha: float32, weight of the marginal entropies.
        strength: float32, share of the operations' ranges in use.
        places: (n,) of the images and of the partners, their indices among all training images.
    """

    images: np.ndarray
    partners: np.ndarray
    views: tuple[tuple[np.ndarray, np.ndarray], ...]
    alpha: np.float32
    strength: np.float32
    places: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TrainingData:
    """Images and their augmentation seeds; labels have no place here.

    Attributes:
        train_images: (n, 28, 28) uint8.
        test_images: (m, 28, 28) uint8, never trained on; their assignments are recorded.
        draws: (views, n, draws) float32.
        noise_seeds: (views, n) uint32.
        neighbors: (n, k) int32, indices of each training image's nearest ones; k may be 0.
    """

    train_images: np.ndarray
    test_images: np.ndarray
    draws: np.ndarray
    noise_seeds: np.ndarray
    neighbors: np.ndarray

    def __post_init__(self) -> None:
        """Raise InputError unless each training image has its draws and its neighbours."""
        if self.draws.shape[1] != len(self.train_images):
            raise InputError(
                f"draws are for {self.draws.shape[1]} images, there are {len(self.train_images)}; "
                "run `dvc repro augment`"
            )
        if len(self.neighbors) != len(self.train_images):
            raise InputError(
                f"neighbours are of {len(self.neighbors)} images, there are "
                f"{len(self.train_images)}; run `dvc repro neighbors`"
            )


class PairBatches:
    """Batches of pairs with the draws of the epoch's views, in an order that seed and epoch give.

    The second image of a pair is the first one again or, early in training, one of its neighbours.
    The last images of an epoch that fill no batch are left out: a smaller batch would estimate
    the joint matrix worse. The order changes each epoch, so other images are left out next time.
    """

    def __init__(self, data: TrainingData, params: Params) -> None:
        """See TrainingData; a batch size beyond the number of images means all of them.

        Raises:
            InputError: there are fewer neighbours than `augment.neighbors`.
        """
        found, wanted = data.neighbors.shape[1], params.augment.neighbors
        if found < wanted:
            raise InputError(
                f"each image has {found} neighbours, augment.neighbors is {wanted}; "
                "run `dvc repro neighbors`"
            )
        self._data, self._params = data, params
        self._batch_size = min(params.train.batch_size, len(data.train_images))
        self.schedule = Schedule(params, steps=params.train.epochs * len(self))

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self._data.train_images) // self._batch_size

    @property
    def images(self) -> np.ndarray:
        """The training images (n, 28, 28) uint8 in their order."""
        return self._data.train_images

    def dataset(self, first_epoch: int = 0) -> tf.data.Dataset:
        """The batches of all epochs, one after the other, made while the step before computes.

        One stream for the whole training: Keras would open another one for each epoch, and wait.

        Args:
            first_epoch: counted from 0; those before it are finished.
        """
        epochs = range(first_epoch, self._params.train.epochs)
        first = next(self.epoch(0))
        options = tf.data.Options()
        # There is nothing to tune, and at the end the tuner sleeps on for up to a minute.
        options.autotune.enabled = False
        return (
            tf.data.Dataset.from_generator(
                lambda: (batch for epoch in epochs for batch in self.epoch(epoch)),
                output_signature=tf.nest.map_structure(tf.type_spec_from_value, first),
            )
            .prefetch(_PREFETCH)
            .with_options(options)
        )

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0."""
        random = np.random.default_rng([self._params.seed, epoch])
        order = random.permutation(len(self._data.train_images))
        views = self._views(epoch)
        for index in range(len(self)):
            chosen = order[index * self._batch_size : (index + 1) * self._batch_size]
            settings = self.schedule.at(epoch * len(self) + index)
            draws = self._data.draws[views[-1], chosen]
            partners = self._partners(chosen, draws, settings.neighbor_share)
            yield self._batch(chosen, partners, views, settings)

    def in_order(self, epoch: int, chosen: np.ndarray) -> Iterator[Batch]:
        """The chosen images, paired with themselves, as transformed at an epoch's start."""
        views = self._views(epoch)
        settings = self.schedule.at(epoch * len(self))
        for start in range(0, len(chosen), self._batch_size):
            places = chosen[start : start + self._batch_size]
            yield self._batch(places, places, views, settings)

    @property
    def partners(self) -> np.ndarray:
        """(n, k) images that each may be paired with: its neighbours, or itself without any."""
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
        settings: Settings,
    ) -> Batch:
        data = self._data
        return Batch(
            images=data.train_images[chosen],
            partners=data.train_images[partners],
            views=tuple(
                (data.draws[view, chosen], data.noise_seeds[view, chosen]) for view in views
            ),
            alpha=np.float32(settings.alpha),
            strength=np.float32(settings.strength),
            places=(chosen, partners),
        )

    def _partners(self, chosen: np.ndarray, draws: np.ndarray, share: float) -> np.ndarray:
        """Index of the second image of each pair."""
        if share == 0:
            return chosen
        candidates = self.partners[chosen]
        # In float64: rounded to float32, a draw just below 1 times k could give k.
        picked = (candidates.shape[1] * draws[:, _NEIGHBOR].astype(np.float64)).astype(int)
        neighbors = candidates[np.arange(len(chosen)), picked]
        return np.where(draws[:, _IS_NEIGHBOR] < share, neighbors, chosen)
