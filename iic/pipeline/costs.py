"""Time and memory of stages, which the stages record themselves."""

import os
import resource
import sys
from pathlib import Path
from typing import NamedTuple

# Environment variable with the path of the file to which stages append their costs.
COSTS = "IIC_COSTS"


class Cost(NamedTuple):
    """Seconds of a stage without its imports, and the peak memory of its process in MB."""

    seconds: float
    peak_mb: float


def read_costs(path: Path) -> dict[str, Cost]:
    """Read the last cost of each stage; empty if the file does not exist."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    costs = {}
    for line in lines:
        stage, seconds, peak = line.split()
        costs[stage] = Cost(float(seconds), float(peak))
    return costs


def note_cost(seconds: float) -> None:
    """Append stage, seconds and peak memory to the file that COSTS names, if it is set.

    Costs differ from run to run, so the reproducible outputs of the stages do not contain them.
    """
    if COSTS in os.environ:
        with Path(os.environ[COSTS]).open("a", encoding="utf-8") as file:
            file.write(f"{Path(sys.argv[0]).stem} {seconds:.2f} {peak_memory():.0f}\n")


def peak_memory() -> float:
    """Return the peak memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would include the parent's memory at the fork.
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS
