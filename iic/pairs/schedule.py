"""Values that change linearly from step to step, besides the learning rate."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from iic.core.params import Params


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
        loss, augment = self.params.loss, self.params.augment
        progress = step / max(1, self.steps - 1)
        final = loss.alpha if loss.alpha_final is None else loss.alpha_final
        falls = [loss.alpha_falls_from, loss.alpha_falls_until]
        return ScheduleValues(
            alpha=float(np.interp(progress, falls, [loss.alpha, final])),
            strength=float(np.interp(progress, [0, 1], [1, augment.strength_final])),
            neighbor_share=self._neighbor_share(step),
        )

    def _neighbor_share(self, step: int) -> float:
        augment = self.params.augment
        end = augment.neighbor_until * self.steps
        if augment.neighbors == 0 or step >= end:
            return 0.0
        return augment.neighbor_share * (1 - step / end)
