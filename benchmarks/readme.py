"""The generated parts of README.md: the result table and the pipeline graph.

`python -m benchmarks.readme` rewrites them; a test fails where they are stale.
"""

import statistics
import subprocess
from pathlib import Path

from benchmarks.recipes import recipe_names, recipe_params
from benchmarks.seeds import read_rows, recipe_of, table_of
from iic.files import write_text

README = Path("README.md")
NAMES = {
    "acc": "accuracy, clustering head, test",
    "train_acc": "accuracy, clustering head, train",
    "over_acc": "accuracy, overclustering head, test",
    "nmi": "NMI, test",
    "ari": "ARI, test",
}


def results() -> str:
    """Mean, standard deviation, minimum and maximum over all seeds of each recipe's table."""
    lines = [
        "| recipe, last epoch | what | mean ± std | lowest | highest |",
        "| --- | --- | --- | --- | --- |",
    ]
    for recipe in recipe_names():
        rows = read_rows(table_of(recipe), recipe_of(recipe_params(recipe)))
        if not rows:
            continue
        title = f"`{recipe}`, {len(rows)} seeds ({_ranges(sorted(rows))})"
        for column, name in NAMES.items():
            values = [float(row[column]) for row in rows.values()]
            summary = _summary(values, percent=column.endswith("acc"))
            lines.append(f"| {title} | {name} | {summary} |")
            title = ""
    return "\n".join(lines)


def _ranges(numbers: list[int]) -> str:
    """[0, 1, 2, 5] -> "0-2, 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)


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
