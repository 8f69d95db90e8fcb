"""What the stages of a pipeline run cost, as they note it themselves."""

import os
import resource
import sys
from pathlib import Path
from typing import NamedTuple

# Environment variable that names the file to which stages append what they cost.
COSTS = "IIC_COSTS"


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


def note_cost(seconds: float) -> None:
    """Append stage, seconds and peak memory to the file that COSTS names, if any.

    The stages' own outputs hold none of it, since they are the same bytes in every run.
    """
    if COSTS in os.environ:
        with Path(os.environ[COSTS]).open("a", encoding="utf-8") as file:
            file.write(f"{Path(sys.argv[0]).stem} {seconds:.2f} {peak_memory():.0f}\n")


def peak_memory() -> float:
    """Largest memory in use by this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would also count the parent's memory at the fork.
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts in bytes
