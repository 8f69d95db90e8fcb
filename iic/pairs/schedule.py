"""What changes from step to step besides the learning rate, each linearly."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from iic.core.params import Params


class Settings(NamedTuple):
    """The settings of one step.

    Attributes:
        alpha: weight of the marginal entropies in the loss.
        strength: share of the operations' ranges in use.
        neighbor_share: share of pairs that are made of two neighbours.
    """

    alpha: float
    strength: float
    neighbor_share: float


@dataclass(frozen=True)
class Schedule:
    """Settings from the first to the last step of a training."""

    params: Params
    steps: int

    def at(self, step: int) -> Settings:
        """Settings of a step, counted from 0.

        alpha falls from `alpha_falls_from` to `alpha_falls_until`, the strength over the whole
        training, and the share of neighbours is gone at `neighbor_until`.
        """
        loss, augment = self.params.loss, self.params.augment
        progress = step / max(1, self.steps - 1)
        final = loss.alpha if loss.alpha_final is None else loss.alpha_final
        falls = [loss.alpha_falls_from, loss.alpha_falls_until]
        return Settings(
            alpha=float(np.interp(progress, falls, [loss.alpha, final])),
            strength=float(np.interp(progress, [0, 1], [1, augment.strength_final])),
            neighbor_share=self._neighbor_share(step),
        )

    def _neighbor_share(self, step: int) -> float:
        augment = self.params.augment
        last = augment.neighbor_until * self.steps
        if augment.neighbors == 0 or step >= last:
            return 0.0
        return augment.neighbor_share * (1 - step / last)
