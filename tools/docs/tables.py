"""Markdown tables and the format of their numbers."""

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class NumberFormat(NamedTuple):
    """Format of a number.

    Attributes:
        scale: Factor by which the number is multiplied.
        digits: Number of digits after the point.
        unit: Text after the number.
    """

    scale: float
    digits: int
    unit: str

    def __call__(self, value: float) -> str:
        """Format a number with its unit."""
        return f"{self.scale * value:.{self.digits}f}{self.unit}"

    def mean(self, values: Sequence[float]) -> str:
        """Format mean ± standard deviation; only the value if there is a single one."""
        if len(values) == 1:
            return self(values[0])
        mean = f"{self.scale * statistics.fmean(values):.{self.digits}f}"
        return f"{mean} ± {self(statistics.stdev(values))}"


PERCENT = NumberFormat(100, 2, " %")
SHARE = NumberFormat(100, 1, " %")
INDEX = NumberFormat(1, 4, "")
SECONDS = NumberFormat(1, 0, " s")
MINUTES = NumberFormat(1 / 60, 1, "")
# Text in place of a table without measurements.
NOT_MEASURED = "Not measured yet: `make bench`."


def markdown_table(titles: str, rows: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table.

    Args:
        titles: Titles of the columns, separated by " | ".
        rows: Cells of each row, as many as there are titles.

    Returns:
        The lines of the table, without a line break at the end.
    """
    rule = " | ".join("---" for _ in titles.split(" | "))
    return "\n".join(f"| {line} |" for line in (titles, rule, *map(" | ".join, rows)))
