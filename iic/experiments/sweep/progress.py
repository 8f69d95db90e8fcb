"""Progress of a sweep: totals, the remaining time, and a line for each running task."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from iic.experiments.sweep.cluster import Work
from iic.experiments.sweep.task import Outcome


class Progress:
    """Live display of running tasks on a terminal; elsewhere, only one line for each ended task."""

    def __init__(self, total: int, console: Console | None = None) -> None:
        """Start with no task running.

        Args:
            total: Number of tasks in the sweep.
            console: Console to print on; by default standard error.
        """
        self._total = total
        self._console = console or Console(stderr=True, highlight=False)
        self._start = time.monotonic()
        self._began: dict[str, float] = {}
        self._work: Work = {}
        self._seconds: list[float] = []
        self._ended = self._failed = 0
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the live display while the block runs, if the console is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(self.lines(), console=self._console, transient=True) as self._live:
            yield

    def update(self, work: Work) -> None:
        """Show the tasks that are running now."""
        now = time.monotonic()
        # The time of a lost task starts again on another machine.
        self._began = {
            name: self._began[name]
            if name in self._began and self._work[name][0] == machine
            else now
            for name, (machine, _) in work.items()
        }
        self._work = dict(work)
        if self._live is not None:
            self._live.update(self.lines())

    def end(self, outcome: Outcome) -> None:
        """Count an ended task and print a line for it."""
        self._ended += 1
        self._failed += outcome.status == "failed"
        if outcome.status == "done":
            self._seconds.append(outcome.seconds)
        self._console.print(
            f"{self._ended} of {self._total}: {outcome.name} {_STATUS[outcome.status]}"
            + (f", {outcome.seconds:.0f} s on {outcome.machine}" if outcome.machine else ""),
            style="red" if outcome.status == "failed" else None,
            soft_wrap=True,
        )

    def lines(self) -> RenderableType:
        """Return the totals and a line for each running task, as many as fit on the terminal."""
        now = time.monotonic()
        room = max(1, self._console.height - _OTHER_LINES)
        ordered = sorted(self._work.items(), key=lambda item: item[1][0])
        table = Table.grid(padding=(0, 2))
        for name, (machine, step) in ordered[:room]:
            table.add_row(machine, name, step, duration(now - self._began[name]))
        hidden = len(ordered) - room
        return Group(
            Text(self.totals(now)), table, *([Text(f"and {hidden} more")] if hidden > 0 else [])
        )

    def totals(self, now: float) -> str:
        """Describe how many tasks have ended and how long the others will take.

        Args:
            now: Value of time.monotonic(), in seconds.
        """
        failed = f", {self._failed} failed" if self._failed else ""
        ages = {name: now - began for name, began in self._began.items()}
        left = seconds_left(self._seconds, ages, self._total - self._ended)
        about = f", about {duration(left)} left" if left is not None else ""
        return (
            f"{self._ended} of {self._total} ended{failed}; {len(self._work)} running, "
            f"{duration(now - self._start)} elapsed{about}"
        )


# Lines of the totals, of the number of hidden tasks, and of the prompt.
_OTHER_LINES = 3
_STATUS = {"done": "done", "found": "already had results", "failed": "FAILED"}


def seconds_left(done: list[float], ages: Mapping[str, float], unfinished: int) -> float | None:
    """Estimate the seconds until all tasks have ended.

    Args:
        done: Durations of the finished tasks, in seconds.
        ages: Seconds since the start of each running task, by name.
        unfinished: Number of running and waiting tasks.

    Returns:
        Seconds, or None if no task has finished or none is running.
    """
    if not done or not ages:
        return None
    mean = sum(done) / len(done)
    running = sum(max(0.0, mean - age) for age in ages.values())
    return (running + mean * max(0, unfinished - len(ages))) / len(ages)


def duration(seconds: float) -> str:
    """Format seconds: 3725 as "1:02:05", 65 as "1:05"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
