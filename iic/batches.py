"""What training reads: images and augmentation seeds, in batches of pairs. No labels."""

from dataclasses import dataclass

import keras
import numpy as np

from iic.draws import DRAWS, views_of_epoch
from iic.errors import InputError
from iic.params import AugmentParams, TrainParams

_IS_NEIGHBOR, _NEIGHBOR = (DRAWS.index(name) for name in ("is_neighbor", "neighbor"))

# First images, second images, and per view its draws and noise seeds.
Batch = tuple[np.ndarray, np.ndarray, tuple[tuple[np.ndarray, np.ndarray], ...]]


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


class PairBatches(keras.utils.PyDataset):
    """Batches of pairs with the draws of the epoch's views, in an order that seed and epoch give.

    The second image of a pair is the first one again or, early in training, one of its neighbours.
    The last images of an epoch that fill no batch are left out: a smaller batch would estimate
    the joint matrix worse. The order changes each epoch, so other images are left out next time.
    """

    def __init__(
        self, data: TrainingData, augment: AugmentParams, train: TrainParams, seed: int
    ) -> None:
        """See TrainingData; a batch size beyond the number of images means all of them."""
        super().__init__()
        self._data, self._augment, self._seed = data, augment, seed
        self._batch_size = min(train.batch_size, len(data.train_images))
        self._neighbor_steps = augment.neighbor_until * train.epochs * len(self)
        self._epochs_begun = 0
        self._start_epoch(0)

    def _start_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        random = np.random.default_rng([self._seed, epoch])
        self._order = random.permutation(len(self._data.train_images))

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self._data.train_images) // self._batch_size

    def __getitem__(self, index: int) -> Batch:
        """Batch `index` of the epoch."""
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        views = views_of_epoch(
            self._epoch, len(self._data.draws), both_views=self._augment.both_views
        )
        images = self._data.train_images
        share = self.neighbor_share(self._epoch * len(self) + index)
        partners = self._partners(chosen, self._data.draws[views[-1], chosen], share)
        return (
            images[chosen],
            images[partners],
            tuple((self._data.draws[v, chosen], self._data.noise_seeds[v, chosen]) for v in views),
        )

    def neighbor_share(self, step: int) -> float:
        """Share of the pairs of a step that are made of two neighbours; falls linearly to 0."""
        if step >= self._neighbor_steps or self._data.neighbors.shape[1] == 0:
            return 0.0
        return self._augment.neighbor_share * (1 - step / self._neighbor_steps)

    def _partners(self, chosen: np.ndarray, draws: np.ndarray, share: float) -> np.ndarray:
        """Index of the second image of each pair."""
        if share == 0:
            return chosen
        candidates = self._data.neighbors[chosen]
        # In float64: rounded to float32, a draw just below 1 times k could give k.
        picked = (candidates.shape[1] * draws[:, _NEIGHBOR].astype(np.float64)).astype(int)
        neighbors = candidates[np.arange(len(chosen)), picked]
        return np.where(draws[:, _IS_NEIGHBOR] < share, neighbors, chosen)

    def on_epoch_begin(self) -> None:
        """Move on to the next epoch's order and views.

        Keras calls this once an epoch, but `on_epoch_end` also before the first one.
        """
        self._start_epoch(self._epochs_begun)
        self._epochs_begun += 1
