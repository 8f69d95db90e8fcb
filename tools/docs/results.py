"""Tables of results: an overview of the recipes, all metrics, and the targets."""

import csv
import statistics
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

from iic.core.plurals import counted
from iic.experiments.recipes import DEFAULT, recipe_names, recipe_params
from iic.experiments.seeds import rows_of
from iic.pipeline.paths import STUDIES
from tools.bench.results import read_benchmark
from tools.docs.tables import INDEX, MINUTES, PERCENT, SECONDS, SHARE, markdown_table

# This recipe was run by a study, so it has no table of seeds.
ARTICLE = "article"
ARTICLE_STUDY = STUDIES / "article-recipe.csv"
METRIC_FORMATS = {
    "acc": ("accuracy, clustering head, test", PERCENT),
    "train_acc": ("accuracy, clustering head, train", PERCENT),
    "over_acc": ("accuracy, overclustering head, test", PERCENT),
    "nmi": ("NMI, test", INDEX),
    "ari": ("ARI, test", INDEX),
    "seconds": ("training, two cores", SECONDS),
}


class RecipeTarget(NamedTuple):
    """Target of a recipe.

    Attributes:
        mean: Lowest acceptable mean of the test accuracy, 0 to 1.
        lowest: Lowest acceptable test accuracy of a seed, 0 to 1.
        times: Smallest acceptable training time of the article over that of the recipe.
    """

    mean: float
    lowest: float
    times: int


# Set before the recipes had their present form.
TARGETS = {
    "fast": RecipeTarget(0.987, 0.984, 150),
    "default": RecipeTarget(0.991, 0.989, 22),
    "best": RecipeTarget(0.994, 0.992, 4),
}
# Longest acceptable time of `iic predict` for one image, in seconds.
PREDICT_SECONDS = 2.0
# Recipes in the overview; the table of all metrics also has those that leave parts of `fast` out.
OVERVIEW = (DEFAULT, "best", "fast", "authors")


def recipes() -> str:
    """Return a table of the main recipes, accuracy, seeds and training time, and the article's."""
    titles = (
        "recipe | test accuracy, mean ± std | lowest | seeds "
        "| training, share of the article's time | minutes, two cores"
    )
    rows = []
    trainings = read_benchmark().get("trainings", {})
    for recipe in OVERVIEW:
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
                    MINUTES(statistics.median(seconds)) if seconds else "–",
                )
            )
    table = markdown_table(titles, rows)
    if not (ARTICLE_STUDY.exists() and trainings):
        return table
    return f"{table}\n\n{_article(article_seconds(trainings))}"


def _article(seconds: float) -> str:
    """Describe the article's recipe, which was run once with earlier code, so it is no row."""
    with ARTICLE_STUDY.open(newline="", encoding="utf-8") as file:
        (accuracy,) = (float(row["acc_100"]) for row in csv.DictReader(file))
    said = (
        "Shares are measured side by side, minutes are the median of the seeds that were timed. "
        f"The article's time is computed from its step: {seconds / 60:.0f} minutes. Its recipe, "
        f"`{ARTICLE}`, had {PERCENT(accuracy)} after 100 epochs (one run of an [earlier "
        f"version]({ARTICLE_STUDY.with_suffix('.md')}))."
    )
    return textwrap.fill(said, 120, break_long_words=False, break_on_hyphens=False)


def article_seconds(trainings: dict[str, Any]) -> float:
    """Return the seconds of the article's training, the mean of the benchmark's estimates."""
    return statistics.fmean(row["article_seconds"] for row in trainings.values())


def results() -> str:
    """Return a table of mean, deviation, minimum and maximum of each metric over the seeds."""
    rows = []
    for recipe in recipe_names():
        seeds = sorted(rows_of(recipe))
        title = f"`{recipe}`, {counted(len(seeds), 'seed')} ({_ranges(seeds)})"
        for column, (metric, form) in METRIC_FORMATS.items():
            values = _values(recipe, column)
            if values:
                timed = f", {counted(len(values), 'seed')}" if len(values) < len(seeds) else ""
                spread = form.mean(values), form(min(values)), form(max(values))
                rows.append((title, metric + timed, *spread))
                title = ""
    return markdown_table("recipe, last epoch | metric | mean ± std | lowest | highest", rows)


def targets() -> str:
    """Return a table of the targets and the values that the recipes reach."""
    measured = read_benchmark()
    goals = [
        (recipe, goal)
        for recipe, target in TARGETS.items()
        for goal in (*_accuracy_goals(recipe, target), *_cost_goals(recipe, target, measured))
    ]
    goals += [("iic predict", goal) for goal in _predict_goals(measured)]
    rows = [
        (f"`{name}`", what, wanted, reached, "met" if is_met else "**missed**")
        for name, (what, wanted, reached, is_met) in goals
    ]
    return markdown_table("recipe | what | target | reached | verdict", rows)


# Name, target, value reached, and whether that is enough.
_Goal = tuple[str, str, str, bool]


def _accuracy_goals(recipe: str, target: RecipeTarget) -> Iterator[_Goal]:
    values = _values(recipe, "acc")
    if values:
        for what, wanted, value in (
            ("mean accuracy", target.mean, statistics.fmean(values)),
            ("lowest accuracy", target.lowest, min(values)),
        ):
            reached = f"{PERCENT(value)}, {counted(len(values), 'seed')}"
            yield what, f"at least {PERCENT(wanted)}", reached, value >= wanted


def _cost_goals(recipe: str, target: RecipeTarget, measured: dict[str, Any]) -> Iterator[_Goal]:
    steps, training = measured.get("steps"), measured.get("trainings", {}).get(recipe)
    if not steps or not training:
        return
    times = training["times_faster_than_the_article"]
    wanted = f"at most 1/{target.times}"
    yield "training time, share of the article's", wanted, f"1/{times:.1f}", times >= target.times
    if recipe == DEFAULT:
        step = steps["recipes"][recipe]
        peak, augmentation = step["share_of_float32_peak"], step["augmentation_share"]
        snapshots = steps["snapshot_seconds"] * recipe_params(recipe).epochs
        yield "step, share of the float32 peak", "at least 75 %", SHARE(peak), peak >= 0.75
        for what, most, share in (
            ("augmentation, share of a step", 0.05, augmentation),
            ("snapshots, share of the training", 0.03, snapshots / training["seconds"]),
        ):
            yield what, f"at most {100 * most:.0f} %", SHARE(share), share <= most


def _predict_goals(measured: dict[str, Any]) -> Iterator[_Goal]:
    if "predict" in measured:
        seconds = measured["predict"]["one"]
        wanted = f"at most {PREDICT_SECONDS:.1f} s"
        yield "time for one image", wanted, f"{seconds:.1f} s", seconds <= PREDICT_SECONDS


def accuracy_of(recipe: str) -> str | None:
    """Return a recipe's accuracy as its file quotes it; None if the recipe was not run."""
    values = _values(recipe, "acc")
    return f"{PERCENT.mean(values)} over {counted(len(values), 'seed')}" if values else None


def _values(recipe: str, column: str) -> list[float]:
    """Return a column of a recipe's seed table; results from the run-cache lack the time."""
    return [float(row[column]) for row in rows_of(recipe).values() if row[column]]


def _ranges(numbers: list[int]) -> str:
    """Format numbers as ranges: [0, 1, 2, 5] -> "0-2, 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)
