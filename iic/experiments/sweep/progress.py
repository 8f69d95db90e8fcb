"""What a sweep is at: one line a task at work, totals, and the time that is left."""

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
    """Shows what is at work and counts what has ended; on a pipe, only a line for each end."""

    def __init__(self, total: int, console: Console | None = None) -> None:
        """Of so many tasks, on stderr unless another console is given."""
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
        """Show it on the terminal while the block runs."""
        if not self._console.is_terminal:
            yield
            return
        with Live(self.lines(), console=self._console, transient=True) as self._live:
            yield

    def update(self, work: Work) -> None:
        """Take in what is at work now."""
        now = time.monotonic()
        # One that was lost begins anew on another machine.
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
        """Count a task that has ended, and say so in a line that stays."""
        self._ended += 1
        self._failed += outcome.status == "failed"
        if outcome.status == "done":
            self._seconds.append(outcome.seconds)
        self._console.print(
            f"{self._ended} of {self._total}: {outcome.name} {_SAID[outcome.status]}"
            + (f", {outcome.seconds:.0f} s on {outcome.machine}" if outcome.machine else ""),
            style="red" if outcome.status == "failed" else None,
            soft_wrap=True,
        )

    def lines(self) -> RenderableType:
        """The totals, then a line for each task at work, as many as the terminal has room for."""
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
        """How many have ended, and how long the rest will take."""
        failed = f", {self._failed} failed" if self._failed else ""
        ages = {name: now - began for name, began in self._began.items()}
        left = seconds_left(self._seconds, ages, self._total - self._ended)
        about = f", about {duration(left)} left" if left is not None else ""
        return (
            f"{self._ended} of {self._total} ended{failed}; {len(self._work)} at work, "
            f"{duration(now - self._start)} gone{about}"
        )


# Totals, what is hidden, and the prompt.
_OTHER_LINES = 3
_SAID = {"done": "done", "found": "had results already", "failed": "FAILED"}


def seconds_left(done: list[float], ages: Mapping[str, float], unfinished: int) -> float | None:
    """Seconds until all have ended, or None where nothing can be said yet.

    Args:
        done: seconds that finished tasks took.
        ages: seconds since each task at work began.
        unfinished: tasks that are at work or wait.
    """
    if not done or not ages:
        return None
    mean = sum(done) / len(done)
    running = sum(max(0.0, mean - age) for age in ages.values())
    return (running + mean * max(0, unfinished - len(ages))) / len(ages)


def duration(seconds: float) -> str:
    """3725 -> "1:02:05"; 65 -> "1:05"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
