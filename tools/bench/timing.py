"""Timing side by side: everything takes turns, so that a busy machine slows all of it alike."""

import statistics
import time
from collections.abc import Callable, Mapping


def take_turns(
    works: Mapping[str, Callable[[], object]], rounds: int, slot: float = 1.0
) -> dict[str, float]:
    """Median seconds of one call of each work.

    Args:
        works: by name; each returns only when its result is there.
        rounds: how often each gets its turn, after two untimed calls.
        slot: about the seconds of a turn; a short work is called several times in it.
    """
    calls = {}
    for name, work in works.items():
        work()
        calls[name] = max(1, round(slot / _seconds(work, 1)))
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(_seconds(work, calls[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def _seconds(work: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls
