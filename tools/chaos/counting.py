"""What a campaign counts."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Count:
    """What was tried and what was lost.

    Attributes:
        tried: number of trials.
        lost: one line for each trial that did not end as it should.
        details: how often what happened in the trials, by a few words.
    """

    tried: int = 0
    lost: list[str] = field(default_factory=list)
    details: Counter[str] = field(default_factory=Counter)

    def add(self, lost: str = "", *details: str) -> None:
        """Count one more trial; `lost` says what was lost, nothing if it is empty."""
        self.tried += 1
        self.details.update(details)
        if lost:
            self.lost.append(lost)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, in an order that does not depend on what happened first."""
        return {
            "tried": self.tried,
            "lost": list(self.lost),
            "details": dict(sorted(self.details.items())),
        }
