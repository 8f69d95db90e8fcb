"""What the pipeline costs: each stage of the default, and the training of each recipe."""

import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from iic.evaluation.paths import METRICS
from iic.experiments.recipes import DEFAULT, recipe_params
from iic.experiments.scratch import STAGES, copy_code, write_params
from iic.pipeline.costs import COSTS, Cost, read_costs
from tools.command import run_module

PREPARING = STAGES[:3]
# 100 epochs of 60 batches of 1,000 images.
ARTICLE_STEPS = 6000


def measure_stages() -> Iterator[dict[str, Any]]:
    """Seconds and peak memory of each stage of the default, one more with each that ends."""
    costs: dict[str, Any] = {}
    with scratch_copy() as folder:
        for stage in STAGES:
            costs[stage] = run_stage(folder, stage)._asdict()
            yield costs


def measure_trainings(repeats: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Trainings against 6,000 steps of the article's, one more recipe with each that ends.

    Args:
        repeats: how often each recipe is trained, by its name; medians count.
    """
    rows: dict[str, Any] = {}
    with scratch_copy() as folder:
        prepared = {stage: run_stage(folder, stage) for stage in PREPARING}
        for recipe, count in repeats.items():
            params = recipe_params(recipe)
            used = ["augment", *(["neighbors"] if params.augment.neighbors else [])]
            rows[recipe] = {
                **_measure_trainings(folder, recipe, count),
                "preparing_seconds": round(sum(prepared[stage].seconds for stage in used), 1),
            }
            yield rows


def _measure_trainings(folder: Path, recipe: str, count: int) -> dict[str, float]:
    """The article's step is timed around each training, so that both meet the same machine."""
    articles, costs = [_article_seconds(folder)], []
    for _ in range(count):
        _set_recipe(folder, recipe)
        costs.append(run_stage(folder, "train"))
        articles.append(_article_seconds(folder))
    _set_recipe(folder, recipe)
    run_stage(folder, "evaluate")
    times = [
        (before + after) / 2 / cost.seconds
        for (before, after), cost in zip(pairwise(articles), costs, strict=True)
    ]
    return {
        "trainings": count,
        "seconds": round(statistics.median(cost.seconds for cost in costs), 1),
        "article_seconds": round(statistics.median(articles), 1),
        "times_faster_than_the_article": round(statistics.median(times), 1),
        "peak_mb": round(max(cost.peak_mb for cost in costs)),
        "acc": json.loads((folder / METRICS).read_text("utf-8"))["acc"],
    }


@contextmanager
def scratch_copy() -> Iterator[Path]:
    """The working tree's code in a folder of its own, with the default's parameters."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_code(folder)
        _set_recipe(folder, DEFAULT)
        yield folder


def _set_recipe(folder: Path, recipe: str) -> None:
    write_params(folder, recipe_params(recipe))


def run_stage(folder: Path, stage: str) -> Cost:
    """Run a stage in this folder and return what it cost."""
    file = folder / "costs"
    file.unlink(missing_ok=True)
    _python(folder, f"stages.{stage}", environment={COSTS: str(file)})
    return read_costs(file)[stage]


def _article_seconds(folder: Path) -> float:
    """Of the article's training by its step, in a process of its own as a training is."""
    _set_recipe(folder, DEFAULT)
    step = _python(folder, "tools.bench.steps", "article").splitlines()[-1]
    return ARTICLE_STEPS * float(step)


def _python(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    # The folder's own modules come first, not those of an installed package.
    variables = {"PYTHONPATH": str(folder)} | (environment or {})
    return run_module(*arguments, folder=folder, environment=variables)
