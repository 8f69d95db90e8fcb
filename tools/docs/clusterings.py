"""Table and code of docs/scikit-learn.md: IIC beside clusterers of scikit-learn."""

import statistics
from collections.abc import Mapping
from typing import Any

from iic.core.plurals import counted
from tools.bench.clusterings import METHODS, read_clusterings
from tools.docs.tables import INDEX, SHARE, markdown_table

_NOT_MEASURED = "Not measured yet: `python -m tools.bench.clusterings`."
# The method whose time is 1.
_UNIT = "k-means"
# Ratio from which a decimal would be more exact than the measurement.
_WHOLE = 10


def clusterings() -> str:
    """Return a table of scores and times of each method, mean ± deviation over the seeds."""
    runs: Mapping[str, Any] = read_clusterings().get("runs", {})
    if not METHODS.keys() <= runs.keys():
        return _NOT_MEASURED
    # Seeds that an interrupted measurement has for some methods only are left out.
    seeds = [seed for seed in runs[_UNIT] if all(seed in runs[name] for name in METHODS)]
    columns = {name: _columns([runs[name][seed] for seed in seeds]) for name in METHODS}
    unit = statistics.median(columns[_UNIT]["cpu_seconds"])
    rows = [
        (
            METHODS[name].title,
            SHARE.mean(found["acc"]),
            INDEX.mean(found["nmi"]),
            INDEX.mean(found["ari"]),
            _counts(found["clusters"]),
            SHARE(statistics.fmean(found["left_out"])),
            _times(statistics.median(found["cpu_seconds"]) / unit),
        )
        for name, found in columns.items()
    ]
    titles = (
        "method | accuracy | NMI | ARI | clusters | images left out | CPU time, relative to KMeans"
    )
    over = counted(len(seeds), "seed")
    return f"{markdown_table(titles, rows)}\n\nMean ± standard deviation over {over}."


def _columns(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def _times(ratio: float) -> str:
    return f"{ratio:,.{0 if ratio >= _WHOLE else 1}f} ×"


def _counts(clusters: list[float]) -> str:
    low, high = int(min(clusters)), int(max(clusters))
    return str(low) if low == high else f"{low} to {high}"


def calls() -> str:
    """Return the call of each method as Python code."""
    lines = [f"# {method.title}\n{method.code}" for method in METHODS.values()]
    return "\n".join(["```python", *lines, "```"])
