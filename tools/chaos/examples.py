"""Examples that Hypothesis makes: as many as are wanted, no two alike, all from one seed."""

import random
from collections.abc import Hashable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

Example = TypeVar("Example", bound=Hashable)

# So many are made for each that is wanted.
_SPARE = 20


def distinct(
    strategy: SearchStrategy[Example], number: int, numbers: random.Random
) -> list[Example]:
    """`number` different examples.

    Args:
        strategy: makes hashable ones.
        number: that are wanted.
        numbers: source of the seed.
    """
    found: dict[Example, None] = {}

    # Trials are counted one by one elsewhere, so nothing fails, shrinks or is remembered here.
    @seed(numbers.getrandbits(64))
    @settings(
        max_examples=number * _SPARE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: Example) -> None:
        found[example] = None

    collect()
    if len(found) < number:
        raise ValueError(f"no more than {len(found)} different examples")
    # Hypothesis varies what it has just made, so neighbours are alike.
    return numbers.sample(list(found), number)
