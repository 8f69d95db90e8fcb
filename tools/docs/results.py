"""Tables of results: recipes at a glance, all metrics, and the targets."""

import csv
import statistics
from collections.abc import Iterator
from typing import Any, NamedTuple

from iic.experiments.recipes import DEFAULT, recipe_names, recipe_params
from iic.experiments.seeds import rows_of
from iic.pipeline.paths import STUDIES
from tools.bench.results import read_benchmark
from tools.docs.tables import INDEX, MINUTES, PERCENT, SECONDS, SHARE, markdown_table

# Run once, by a study of its own; no seed table has it.
ARTICLE = "article"
ARTICLE_STUDY = STUDIES / "article-recipe.csv"
METRICS = {
    "acc": ("accuracy, clustering head, test", PERCENT),
    "train_acc": ("accuracy, clustering head, train", PERCENT),
    "over_acc": ("accuracy, overclustering head, test", PERCENT),
    "nmi": ("NMI, test", INDEX),
    "ari": ("ARI, test", INDEX),
    "seconds": ("training, two cores", SECONDS),
}


class Target(NamedTuple):
    """Lowest acceptable mean and minimum of the accuracy, and how many times faster to train."""

    mean: float
    lowest: float
    times: int


# Set before the recipes were made.
TARGETS = {
    "fast": Target(0.98, 0.97, 80),
    "default": Target(0.989, 0.985, 20),
    "best": Target(0.994, 0.992, 4),
}


def recipes() -> str:
    """One row for each recipe that has been run: accuracy, seeds and training time."""
    titles = (
        "recipe | test accuracy, mean ± std | lowest | seeds "
        "| training, share of the article's time | minutes, two cores"
    )
    rows = []
    trainings = read_benchmark().get("trainings", {})
    for recipe in recipe_names():
        accuracy = _values(recipe, "acc")
        if accuracy:
            times = trainings.get(recipe, {}).get("times_faster_than_the_article")
            seconds = _values(recipe, "seconds")
            rows.append(
                (
                    f"`{recipe}`",
                    PERCENT.mean(accuracy),
                    PERCENT(min(accuracy)),
                    str(len(accuracy)),
                    f"1/{times:.1f}" if times else "–",
                    MINUTES(statistics.fmean(seconds)) if seconds else "–",
                )
            )
    return markdown_table(titles, [*rows, *_article_row(trainings)])


def _article_row(trainings: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The article's recipe: accuracy after its 100 epochs, time as the benchmark estimates it."""
    if not (ARTICLE_STUDY.exists() and trainings):
        return
    with ARTICLE_STUDY.open(newline="", encoding="utf-8") as file:
        accuracy = [float(row["acc_100"]) for row in csv.DictReader(file)]
    minutes = f"{article_seconds(trainings) / 60:.0f}"
    yield (
        f"`{ARTICLE}`",
        PERCENT.mean(accuracy),
        PERCENT(min(accuracy)),
        str(len(accuracy)),
        "1",
        minutes,
    )


def article_seconds(trainings: dict[str, Any]) -> float:
    """Seconds that the article's training takes, mean over the benchmark's estimates."""
    return statistics.fmean(row["article_seconds"] for row in trainings.values())


def results() -> str:
    """Mean, standard deviation, minimum and maximum of each metric over the seeds of a recipe."""
    rows = []
    for recipe in recipe_names():
        seeds = sorted(rows_of(recipe))
        title = f"`{recipe}`, {_count(len(seeds))} ({_ranges(seeds)})"
        for column, (name, form) in METRICS.items():
            values = _values(recipe, column)
            if values:
                rows.append((title, name, form.mean(values), form(min(values)), form(max(values))))
                title = ""
    return markdown_table("recipe, last epoch | metric | mean ± std | lowest | highest", rows)


def targets() -> str:
    """Each target beside what the seed tables and the benchmark show."""
    measured = read_benchmark()
    rows = [
        (f"`{recipe}`", what, wanted, reached, "met" if is_met else "**missed**")
        for recipe, target in TARGETS.items()
        for what, wanted, reached, is_met in (
            *_accuracy_goals(recipe, target),
            *_cost_goals(recipe, target, measured),
        )
    ]
    return markdown_table("recipe | what | target | reached | verdict", rows)


# Name, target, value reached, and whether that is enough.
_Goal = tuple[str, str, str, bool]


def _accuracy_goals(recipe: str, target: Target) -> Iterator[_Goal]:
    values = _values(recipe, "acc")
    if values:
        for what, wanted, value in (
            ("mean accuracy", target.mean, statistics.fmean(values)),
            ("lowest accuracy", target.lowest, min(values)),
        ):
            reached = f"{PERCENT(value)}, {_count(len(values))}"
            yield what, f"at least {PERCENT(wanted)}", reached, value >= wanted


def _cost_goals(recipe: str, target: Target, measured: dict[str, Any]) -> Iterator[_Goal]:
    steps, training = measured.get("steps"), measured.get("trainings", {}).get(recipe)
    if not steps or not training:
        return
    times = training["times_faster_than_the_article"]
    wanted = f"at most 1/{target.times}"
    yield "training time, share of the article's", wanted, f"1/{times:.1f}", times >= target.times
    if recipe == DEFAULT:
        step = steps["recipes"][recipe]
        peak, augmentation = step["share_of_float32_peak"], step["augmentation_share"]
        snapshots = steps["snapshot_seconds"] * recipe_params(recipe).train.epochs
        yield "step, share of the float32 peak", "at least 75 %", SHARE(peak), peak >= 0.75
        for what, most, share in (
            ("augmentation, share of a step", 0.05, augmentation),
            ("snapshots, share of the training", 0.03, snapshots / training["seconds"]),
        ):
            yield what, f"at most {100 * most:.0f} %", SHARE(share), share <= most


def accuracy_of(recipe: str) -> str | None:
    """Mean ± standard deviation of a recipe's accuracy, as its file quotes it; None if not run."""
    values = _values(recipe, "acc")
    return f"{PERCENT.mean(values)} over {_count(len(values))}" if values else None


def _values(recipe: str, column: str) -> list[float]:
    """A column of the recipe's seed table; results from the run-cache have no training time."""
    return [float(row[column]) for row in rows_of(recipe).values() if row[column]]


def _count(seeds: int) -> str:
    return f"{seeds} seed" if seeds == 1 else f"{seeds} seeds"


def _ranges(numbers: list[int]) -> str:
    """[0, 1, 2, 5] -> "0-2, 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)
