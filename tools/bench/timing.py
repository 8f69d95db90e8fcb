"""Timing of alternatives in turns, so that a busy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping


def take_turns(
    works: Mapping[str, Callable[[], object]], rounds: int, slot: float = 1.0
) -> dict[str, float]:
    """Measure the median time of one call of each function.

    Args:
        works: Functions by name; each returns when its result is complete.
        rounds: Number of turns of each function, after two untimed calls.
        slot: Approximate length of a turn, in seconds; short functions are called repeatedly.

    Returns:
        Seconds by name.
    """
    calls = {}
    for name, work in works.items():
        work()
        calls[name] = max(1, round(slot / _seconds_per_call(work, 1)))
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(_seconds_per_call(work, calls[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def _seconds_per_call(work: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls
