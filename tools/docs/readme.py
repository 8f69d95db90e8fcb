"""The generated parts of the pages: results, targets, speed, other methods, the pipeline graph.

`python -m tools.docs.readme` rewrites them; a test fails where they are stale.
"""

import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from iic.core.constants import IMAGE_SIZE
from iic.core.errors import InputError
from iic.core.files import write_text
from iic.experiments.recipes import DEFAULT, recipe_names, recipe_params
from iic.experiments.seeds import rows_of
from tools.bench import estimate
from tools.bench.estimate import NOT_MEASURED
from tools.bench.memory import bounds
from tools.bench.results import read_benchmark
from tools.chaos.campaigns import CAMPAIGNS, read_counts
from tools.command import run_main
from tools.docs import reproducibility

# Of a figure: scale, digits and unit.
_Format = tuple[float, int, str]
_PERCENT: _Format = (100, 2, " %")
_SHARE: _Format = (100, 1, " %")
_INDEX: _Format = (1, 4, "")
_SECONDS: _Format = (1, 0, " s")
COLUMNS = {
    "acc": ("accuracy, clustering head, test", _PERCENT),
    "train_acc": ("accuracy, clustering head, train", _PERCENT),
    "over_acc": ("accuracy, overclustering head, test", _PERCENT),
    "nmi": ("NMI, test", _INDEX),
    "ari": ("ARI, test", _INDEX),
    "seconds": ("training, two cores", _SECONDS),
}


class Target(NamedTuple):
    """What a recipe was made for: accuracy, and training in 1/times of the article's time."""

    mean: float
    lowest: float
    times: int


# Set before the recipes were made.
TARGETS = {
    "fast": Target(0.98, 0.97, 80),
    "default": Target(0.989, 0.985, 20),
    "best": Target(0.994, 0.992, 4),
}


def results() -> str:
    """Mean, standard deviation, minimum and maximum over all seeds of each recipe's table."""
    lines = [
        "| recipe, last epoch | what | mean ± std | lowest | highest |",
        "| --- | --- | --- | --- | --- |",
    ]
    for recipe in recipe_names():
        rows = rows_of(recipe)
        title = f"`{recipe}`, {_seeds(len(rows))} ({_ranges(sorted(rows))})"
        for column, (name, form) in COLUMNS.items():
            # Results from the run-cache have no training time.
            values = [float(row[column]) for row in rows.values() if row[column]]
            if values:
                low, high = (_figure(value, form) for value in (min(values), max(values)))
                lines.append(f"| {title} | {name} | {_mean(values, form)} | {low} | {high} |")
                title = ""
    return "\n".join(lines)


def targets() -> str:
    """What was aimed at and what was reached, from the seeds and the benchmark."""
    lines = ["| recipe | what | target | reached | |", "| --- | --- | --- | --- | --- |"]
    measured = read_benchmark()
    for recipe, target in TARGETS.items():
        goals = [*_accuracy(recipe, target), *_costs(recipe, target, measured)]
        for what, wanted, reached, met in goals:
            verdict = "met" if met else "**missed**"
            lines.append(f"| `{recipe}` | {what} | {wanted} | {reached} | {verdict} |")
    return "\n".join(lines)


# What, the target, what was reached, and whether that is enough.
_Goal = tuple[str, str, str, bool]


def _accuracy(recipe: str, target: Target) -> Iterator[_Goal]:
    values = _accuracies(recipe)
    if values:
        for what, wanted, value in (
            ("mean accuracy", target.mean, statistics.fmean(values)),
            ("lowest accuracy", target.lowest, min(values)),
        ):
            reached = f"{_figure(value, _PERCENT)}, {_seeds(len(values))}"
            yield what, f"at least {_figure(wanted, _PERCENT)}", reached, value >= wanted


def _costs(recipe: str, target: Target, measured: dict[str, Any]) -> Iterator[_Goal]:
    steps, training = measured.get("steps"), measured.get("trainings", {}).get(recipe)
    if not steps or not training:
        return
    times = training["times_faster_than_the_article"]
    wanted = f"at most 1/{target.times}"
    yield "training, of the article's time", wanted, f"1/{times:.1f}", times >= target.times
    if recipe == DEFAULT:
        step = steps["recipes"][recipe]
        peak, augmentation = step["share_of_float32_peak"], step["augmentation_share"]
        snapshots = steps["snapshot_seconds"] * recipe_params(recipe).train.epochs
        yield "step, of the float32 peak", "at least 75 %", _figure(peak, _SHARE), peak >= 0.75
        for what, most, share in (
            ("augmentation, of a step", 0.05, augmentation),
            ("snapshots, of the training", 0.03, snapshots / training["seconds"]),
        ):
            yield what, f"at most {100 * most:.0f} %", _figure(share, _SHARE), share <= most


def _accuracies(recipe: str) -> list[float]:
    return [float(row["acc"]) for row in rows_of(recipe).values()]


def accuracy_of(recipe: str) -> str | None:
    """Mean ± standard deviation of a recipe's accuracy and its seeds, as the recipe's comment."""
    values = _accuracies(recipe)
    return f"{_mean(values, _PERCENT)} over {_seeds(len(values))}" if values else None


def _seeds(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"


def _figure(value: float, form: _Format) -> str:
    scale, digits, unit = form
    return f"{scale * value:.{digits}f}{unit}"


def _mean(values: list[float], form: _Format) -> str:
    """Mean ± standard deviation; a single value has none."""
    if len(values) == 1:
        return _figure(values[0], form)
    scale, digits, _ = form
    mean = f"{scale * statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {_figure(statistics.stdev(values), form)}"


def _ranges(numbers: list[int]) -> str:
    """[0, 1, 2, 5] -> "0-2, 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)


def speed() -> str:
    """Training of each recipe against the article's, from the benchmark."""
    measured = read_benchmark()
    if not {"steps", "trainings"} <= set(measured):
        return NOT_MEASURED
    steps, trainings = measured["steps"]["recipes"], measured["trainings"]
    article = statistics.fmean(row["article_seconds"] for row in trainings.values())
    lines = [
        "| recipe | training | of the article's time | before it | pairs a second "
        "| of the float32 peak | peak memory |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        f"| `article` | {article:,.0f} s, by its step | 1 |  | {_cells(steps['article'])} |  |",
    ]
    for recipe, row in trainings.items():
        count = row["trainings"]
        median = f", median of {count}" if count > 1 else ""
        lines.append(
            f"| `{recipe}` | {row['seconds']:,.0f} s{median} "
            f"| 1/{row['times_faster_than_the_article']:.1f} | {row['preparing_seconds']:.0f} s "
            f"| {_cells(steps[recipe])} | {row['peak_mb']:,} MB |"
        )
    return "\n".join(lines)


def details() -> str:
    """What lies beside the steps, and what each stage takes, from the benchmark."""
    measured = read_benchmark()
    if not {"steps", "stages"} <= set(measured):
        return NOT_MEASURED
    steps, stages = measured["steps"], measured["stages"]
    own = steps["recipes"][DEFAULT]
    share = 100 * own["augmentation_share"]
    lines = [
        f"In `{DEFAULT}`, augmentation takes {share:.1f} % of a step and the snapshot of the test "
        f"images {steps['snapshot_seconds']:.1f} s an epoch; the float32 peak is "
        f"{steps['peak_gflops']['float32']:,.0f} GFLOP/s.",
        "",
        f"| stage of `{DEFAULT}` | time | peak memory |",
        "| --- | --- | --- |",
    ]
    for stage, cost in stages.items():
        lines.append(f"| `{stage}` | {cost['seconds']:,.0f} s | {cost['peak_mb']:,.0f} MB |")
    return "\n".join(lines)


def memory() -> str:
    """What each stage needs at most: a fixed part, and a multiple of the training images."""
    stated = bounds()
    if not stated:
        return "Not measured yet: `python -m tools.bench.memory`."
    lines = ["| stage | fixed part | of the training images |", "| --- | --- | --- |"]
    for name, (fixed, times) in stated.items():
        stage, *rest = name.split(" ", 1)
        lines.append(f"| {' '.join([f'`{stage}`', *rest])} | {fixed:,} MB | {times:.1f} × |")
    # A million images have as many MB as one has bytes.
    needs = {fixed + times * IMAGE_SIZE**2: name for name, (fixed, times) in stated.items()}
    most = max(needs)
    return "\n".join(
        [*lines, "", f"So a million images need {most / 1000:.1f} GB, for `{needs[most]}`."]
    )


def _cells(step: dict[str, float]) -> str:
    return f"{step['pairs_per_second']:,} | {100 * step['share_of_float32_peak']:.0f} %"


def methods() -> str:
    """What a user would get from other methods on the same images, from the benchmark."""
    measured = read_benchmark()
    if not {"trainings", "alternatives"} <= set(measured):
        return NOT_MEASURED
    rows = dict(measured["alternatives"])
    for recipe, row in measured["trainings"].items():
        seconds = row["seconds"] + row["preparing_seconds"]
        rows[f"IIC, `{recipe}`, seed 0"] = row | {"seconds": seconds}
    lines = ["| method | accuracy, test | time | peak memory |", "| --- | --- | --- | --- |"]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["acc"]):
        lines.append(
            f"| {name} | {100 * row['acc']:.2f} % | {row['seconds']:,.0f} s "
            f"| {row['peak_mb']:,} MB |"
        )
    return "\n".join(lines)


def prediction() -> str:
    """What `iic predict` costs beside the network, from the benchmark."""
    measured = read_benchmark()
    if "predict" not in measured:
        return NOT_MEASURED
    cost = measured["predict"]
    npz, png = ((cost[kind] - cost["start"]) / cost["network"] for kind in ("npz", "png"))
    return (
        f"A call takes {cost['start']:.1f} s to start. {cost['images']:,} images then take "
        f"{npz:.2f} times as long as the network alone ({cost['network']:.1f} s) from an NPZ file, "
        f"{png:.2f} times from PNG files."
    )


def reliability() -> str:
    """What was tried to break the pipeline, how often, and what was lost."""
    counts = read_counts()
    lines = ["| what is tried | trials | lost | seen on the way |", "| --- | --- | --- | --- |"]
    for name, campaign in CAMPAIGNS.items():
        if name in counts:
            tried, lost = counts[name]["tried"], len(counts[name]["lost"])
            seen = ", ".join(f"{what}: {times}" for what, times in counts[name]["details"].items())
            lines.append(f"| {campaign.what} | {tried:,} | {lost or 'nothing'} | {seen} |")
    return "\n".join(lines)


def graph() -> str:
    """The stages as `dvc dag` draws them in Mermaid."""
    command = ["dvc", "dag", "--md"]
    shown = subprocess.run(  # noqa: S603 - fixed words, no shell
        command, capture_output=True, text=True, check=True
    )
    return shown.stdout.strip()


PAGES: Mapping[Path, Mapping[str, Callable[[], str]]] = {
    Path("README.md"): {
        "results": results,
        "targets": targets,
        "speed": speed,
        "details": details,
        "memory": memory,
        "methods": methods,
        "graph": graph,
        "predict": prediction,
        "reliability": reliability,
    },
    Path("docs/scaling.md"): {
        "costs": estimate.costs,
        "sweep": estimate.sweep,
        "estimate": estimate.estimate,
    },
    Path("docs/reproducibility.md"): {
        "conditions": reproducibility.conditions,
        "moves": reproducibility.moves,
        "training time": reproducibility.costs,
    },
}


def render(page: Path, text: str) -> str:
    """Put each generated part of a page between its markers."""
    for name, make in PAGES[page].items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise InputError(f"{page}: expected one pair of markers for {name!r}")
        before, _, rest = text.partition(begin)
        text = before + begin + make() + "\n" + end + rest.partition(end)[2]
    return text


def main(arguments: list[str]) -> None:
    """Rewrite the generated parts."""
    if arguments:
        raise InputError("python -m tools.docs.readme takes no argument")
    for page in PAGES:
        write_text(page, render(page, page.read_text("utf-8")))


if __name__ == "__main__":
    run_main(main)
