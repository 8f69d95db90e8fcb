"""The generated parts of README.md: results, speed, other methods and the pipeline graph.

`python -m benchmarks.readme` rewrites them; a test fails where they are stale.
"""

import statistics
import subprocess
from pathlib import Path

from benchmarks.pipeline import ARTICLE_STEPS
from benchmarks.recipes import recipe_names, recipe_params
from benchmarks.results import read_benchmark
from benchmarks.seeds import read_rows, recipe_of, table_of
from iic.files import write_text

README = Path("README.md")
NOT_MEASURED = "Not measured yet: `make bench`."
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


def speed() -> str:
    """Training of each recipe against the article's, from the benchmark."""
    measured = read_benchmark()
    if not {"steps", "pipeline"} <= set(measured):
        return NOT_MEASURED
    lines = [
        "| recipe | training | against 6,000 steps of the article | pairs a second "
        "| of the float32 peak | peak memory |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    trainings = measured["pipeline"]["trainings"]
    for recipe, step in measured["steps"]["recipes"].items():
        row = trainings.get(recipe)
        training = (
            f"{row['seconds']:.0f} s | 1/{row['times_faster_than_the_article']:.0f}"
            if row
            else f"{ARTICLE_STEPS * step['seconds_per_step']:.0f} s, from its step | 1"
        )
        memory = f"{row['peak_mb']:,} MB" if row else ""
        lines.append(
            f"| `{recipe}` | {training} | {step['pairs_per_second']:,} "
            f"| {100 * step['share_of_float32_peak']:.0f} % | {memory} |"
        )
    return "\n".join(lines)


def methods() -> str:
    """What a user would get from other methods on the same images, from the benchmark."""
    measured = read_benchmark()
    if not {"pipeline", "alternatives"} <= set(measured):
        return NOT_MEASURED
    rows = {
        f"IIC, `{recipe}`": row for recipe, row in measured["pipeline"]["trainings"].items()
    } | measured["alternatives"]
    lines = ["| method | accuracy, test | time | peak memory |", "| --- | --- | --- | --- |"]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["acc"]):
        lines.append(
            f"| {name} | {100 * row['acc']:.2f} % | {row['seconds']:.0f} s "
            f"| {row['peak_mb']:,} MB |"
        )
    return "\n".join(lines)


def graph() -> str:
    """The stages as `dvc dag` draws them in Mermaid."""
    command = ["dvc", "dag", "--md"]
    shown = subprocess.run(  # noqa: S603 - fixed words, no shell
        command, capture_output=True, text=True, check=True
    )
    return shown.stdout.strip()


def render(text: str) -> str:
    """Put each generated part between its markers."""
    parts = {"results": results, "speed": speed, "methods": methods, "graph": graph}
    for name, make in parts.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"error: {README}: expected one pair of markers for {name!r}")
        before, _, rest = text.partition(begin)
        text = before + begin + make() + "\n" + end + rest.partition(end)[2]
    return text


if __name__ == "__main__":
    write_text(README, render(README.read_text("utf-8")))
