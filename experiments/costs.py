"""What the stages of a pipeline run cost, as they note it themselves."""

from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """Seconds of a stage, imports apart, and the peak memory of its process in MB."""

    seconds: float
    peak_mb: float


def read_costs(path: Path) -> dict[str, Cost]:
    """Cost of each stage that ran; none where the file is missing."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    costs = {}
    for line in lines:
        stage, seconds, peak = line.split()
        costs[stage] = Cost(float(seconds), float(peak))
    return costs
