"""What training reads: images and augmentation seeds, in batches of pairs. No labels."""

from dataclasses import dataclass

import keras
import numpy as np

from iic.draws import views_of_epoch
from iic.errors import InputError


@dataclass(frozen=True)
class TrainingData:
    """Images and their augmentation seeds; labels have no place here.

    Attributes:
        train_images: (n, 28, 28) uint8.
        test_images: (m, 28, 28) uint8, never trained on; their assignments are recorded.
        draws: (views, n, draws) float32.
        noise_seeds: (views, n) uint32.
    """

    train_images: np.ndarray
    test_images: np.ndarray
    draws: np.ndarray
    noise_seeds: np.ndarray

    def __post_init__(self) -> None:
        """Raise InputError unless each view has a draw for each training image."""
        if self.draws.shape[1] != len(self.train_images):
            raise InputError(
                f"draws are for {self.draws.shape[1]} images, there are {len(self.train_images)}; "
                "run `dvc repro augment`"
            )


class PairBatches(keras.utils.PyDataset):
    """Batches of images with the draws of the epoch's views, in an order that seed and epoch give.

    The last images of an epoch that fill no batch are left out: a smaller batch would estimate
    the joint matrix worse. The order changes each epoch, so other images are left out next time.
    """

    def __init__(self, data: TrainingData, *, batch_size: int, both_views: bool, seed: int) -> None:
        """See TrainingData; `batch_size` beyond the number of images means all of them."""
        super().__init__()
        self._data, self._both_views, self._seed = data, both_views, seed
        self._batch_size = min(batch_size, len(data.train_images))
        self._start_epoch(0)

    def _start_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        random = np.random.default_rng([self._seed, epoch])
        self._order = random.permutation(len(self._data.train_images))

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self._order) // self._batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, tuple[tuple[np.ndarray, ...], ...]]:
        """Batch `index`: images, and per view its draws and noise seeds."""
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        views = views_of_epoch(self._epoch, len(self._data.draws), both_views=self._both_views)
        return self._data.train_images[chosen], tuple(
            (self._data.draws[view, chosen], self._data.noise_seeds[view, chosen]) for view in views
        )

    def on_epoch_end(self) -> None:
        """Move on to the next epoch's order and views."""
        self._start_epoch(self._epoch + 1)
