"""Markdown tables and the format of their numbers."""

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Format(NamedTuple):
    """How a number is written: a factor, the digits after the point, and the unit."""

    scale: float
    digits: int
    unit: str

    def __call__(self, value: float) -> str:
        """The number as text, with its unit."""
        return f"{self.scale * value:.{self.digits}f}{self.unit}"

    def mean(self, values: Sequence[float]) -> str:
        """Mean ± standard deviation; a single value stands alone."""
        if len(values) == 1:
            return self(values[0])
        mean = f"{self.scale * statistics.fmean(values):.{self.digits}f}"
        return f"{mean} ± {self(statistics.stdev(values))}"


PERCENT = Format(100, 2, " %")
SHARE = Format(100, 1, " %")
INDEX = Format(1, 4, "")
SECONDS = Format(1, 0, " s")
MINUTES = Format(1 / 60, 1, "")


def markdown_table(titles: str, rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    Args:
        titles: Titles of the columns, separated by " | ".
        rows: Cells of each row, as many as there are titles.

    Returns:
        The lines of the table, without a line break at the end.
    """
    rule = " | ".join("---" for _ in titles.split(" | "))
    return "\n".join(f"| {line} |" for line in (titles, rule, *map(" | ".join, rows)))
