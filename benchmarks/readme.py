"""The generated parts of README.md: the result table and the pipeline graph.

`python -m benchmarks.readme` rewrites them; a test fails where they are stale.
"""

import statistics
import subprocess
from pathlib import Path

from benchmarks.seeds import TABLE, read_rows, recipe_of
from iic.files import write_text
from stages.common import PARAMS, read_params

README = Path("README.md")


def results() -> str:
    """Mean, standard deviation, minimum and maximum over all seeds in the table."""
    rows = read_rows(TABLE, recipe_of(read_params(PARAMS)))
    if not rows:
        return "No seed has been run with these parameters yet: `make seeds N=3`."
    names = {
        "acc": "accuracy, clustering head, test",
        "train_acc": "accuracy, clustering head, train",
        "over_acc": "accuracy, overclustering head, test",
        "nmi": "NMI, test",
        "ari": "ARI, test",
    }
    seeds = ", ".join(str(seed) for seed in sorted(rows))
    lines = [
        f"| last epoch, {len(rows)} seeds ({seeds}) | mean ± std | lowest | highest |",
        "| --- | --- | --- | --- |",
    ]
    for column, name in names.items():
        values = [float(row[column]) for row in rows.values()]
        lines.append(f"| {name} | {_summary(values, percent=column.endswith('acc'))} |")
    return "\n".join(lines)


def _summary(values: list[float], *, percent: bool) -> str:
    scale, digits, unit = (100, 2, " %") if percent else (1, 4, "")
    mean, low, high = (scale * f(values) for f in (statistics.fmean, min, max))
    spread = scale * statistics.stdev(values) if len(values) > 1 else 0.0
    return (
        f"{mean:.{digits}f} ± {spread:.{digits}f}{unit} "
        f"| {low:.{digits}f}{unit} | {high:.{digits}f}{unit}"
    )


def graph() -> str:
    """The stages as `dvc dag` draws them in Mermaid."""
    command = ["dvc", "dag", "--md"]
    shown = subprocess.run(  # noqa: S603 - fixed words, no shell
        command, capture_output=True, text=True, check=True
    )
    return shown.stdout.strip()


def render(text: str) -> str:
    """Put each generated part between its markers."""
    for name, content in (("results", results()), ("graph", graph())):
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"error: {README}: expected one pair of markers for {name!r}")
        before, _, rest = text.partition(begin)
        text = before + begin + content + "\n" + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    write_text(README, render(README.read_text("utf-8")))
