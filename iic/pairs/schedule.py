"""Values that change linearly from step to step, besides the learning rate."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from iic.core.params import ObjectiveParams, Params, TrainParams

# With the recipe tour, seeds 0 and 1 reach 24 and 18 % in 70 steps and 65 and 67 % in 280; seed 0
# reaches 96 % in 420, as in the recipe's 840. All recipes take more than twice as many as this.
_FEW_STEPS = 300


class ScheduleValues(NamedTuple):
    """The scheduled values of one step; the names are columns of the history.

    Attributes:
        alpha: Weight of the marginal entropies in the loss.
        strength: Share of the operations' ranges in use, 0 to 1.
        neighbor_share: Share of the pairs that consist of two neighbours, 0 to 1.
    """

    alpha: float
    strength: float
    neighbor_share: float


@dataclass(frozen=True)
class Schedule:
    """Scheduled values of every step of a training.

    Attributes:
        params: Parameters of the run.
        steps: Number of steps of the whole training.
    """

    params: Params
    steps: int

    def at(self, step: int) -> ScheduleValues:
        """Compute the values of a step, counted from 0.

        alpha goes from `alpha` to `alpha_final` between the parts `alpha_falls_from` and
        `alpha_falls_until` of the training. The strength goes from 1 to `strength_final` over the
        whole training. The share of neighbours falls from `neighbor_share` in the first step to 0
        at the part `neighbor_until`.
        """
        augment = self.params.augment
        progress = step / max(1, self.steps - 1)
        return ScheduleValues(
            alpha=alpha_at(self.params.loss, progress),
            strength=float(np.interp(progress, [0, 1], [1, augment.strength_final])),
            neighbor_share=self._neighbor_share(step),
        )

    def _neighbor_share(self, step: int) -> float:
        augment = self.params.augment
        end = augment.neighbor_until * self.steps
        if augment.neighbors == 0 or step >= end:
            return 0.0
        return augment.neighbor_share * (1 - step / end)


def alpha_at(loss: ObjectiveParams, progress: float) -> float:
    """Return alpha at a share of the training, 0 to 1: constant, falling linearly, constant."""
    final = loss.alpha if loss.alpha_final is None else loss.alpha_final
    falls = [loss.alpha_falls_from, loss.alpha_falls_until]
    return float(np.interp(progress, falls, [loss.alpha, final]))


def first_epoch_from(share: float, epochs: int) -> int:
    """Return the first epoch, counted from 0, that begins at a share of a training or later.

    Args:
        share: Share of the training, 0 to 1.
        epochs: Number of epochs of the training.
    """
    # Subtract a little, so that rounding does not delay it by an epoch.
    return math.ceil(share * epochs - 1e-9)


def steps_per_epoch(images: int, train: TrainParams) -> int:
    """Count the batches of an epoch.

    Args:
        images: Number of training images; fewer than a batch make one smaller batch.
        train: Parameters of the training.

    Returns:
        Number of full batches.
    """
    return images // min(train.batch_size, images)


def warn_of_few_steps(images: int, train: TrainParams) -> str | None:
    """Return a warning if a training has far too few steps to form clusters, else None.

    Args:
        images: Number of training images.
        train: Parameters of the training.
    """
    steps = train.epochs * steps_per_epoch(images, train)
    if steps >= _FEW_STEPS:
        return None
    return (
        f"{images:,} training images make {steps:,} steps in {train.epochs:,} epochs, with "
        f"{min(train.batch_size, images):,} images a step; MNIST's recipe has 1,440: raise "
        "train.epochs or lower train.batch_size"
    )
