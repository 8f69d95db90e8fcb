"""Time and memory of each stage of the default recipe, of trainings, and of a whole command."""

import json
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from iic.evaluation.paths import METRICS
from iic.experiments.recipes import DEFAULT, recipe_params
from iic.experiments.scratch import STAGES, copy_code, copy_working_tree, write_params
from iic.experiments.seeds import run_with_costs
from iic.experiments.sweep.task import SHARED_STAGES
from iic.pipeline.costs import COSTS, Cost, read_costs
from tools.command import run_module

# 100 epochs of 60 batches of 1,000 images each.
ARTICLE_STEPS = 6000


def measure_stages() -> Iterator[dict[str, Any]]:
    """Run the stages of the default recipe.

    Yields:
        Seconds and peak memory in MB of each stage so far, by stage.
    """
    costs: dict[str, Any] = {}
    with scratch_copy() as folder:
        for stage in STAGES:
            costs[stage] = run_stage(folder, stage)._asdict()
            yield costs


def measure_trainings(repeats: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Train each recipe and compare with ARTICLE_STEPS steps of the article's recipe.

    Args:
        repeats: Number of trainings by name of the recipe; results are medians.

    Yields:
        Values of each recipe so far, by recipe.
    """
    rows: dict[str, Any] = {}
    with scratch_copy() as folder:
        prepared = {stage: run_stage(folder, stage) for stage in SHARED_STAGES}
        for recipe, count in repeats.items():
            params = recipe_params(recipe)
            used = ["augment", *(["neighbors"] if params.augment.neighbors else [])]
            rows[recipe] = {
                **_measure_trainings(folder, recipe, count),
                "preparing_seconds": round(sum(prepared[stage].seconds for stage in used), 1),
            }
            yield rows


def measure_command(recipe: str) -> dict[str, Any]:
    """Run a recipe as a DVC experiment, from the command to the prompt.

    Its seed is a new one, so that no training comes from DVC's run-cache.

    Args:
        recipe: Name of the recipe.

    Returns:
        The recipe, the seconds of the command, and those of each stage without its imports.
    """
    start = time.perf_counter()
    costs = run_with_costs(f"bench-{recipe}", recipe, secrets.randbelow(1 << 31))
    seconds = time.perf_counter() - start
    stages = {name: cost.seconds for name, cost in costs.items()}
    return {"recipe": recipe, "seconds": round(seconds, 1), "stages": stages}


def _measure_trainings(folder: Path, recipe: str, count: int) -> dict[str, float]:
    """Train a recipe; the article's step is timed before and after each training."""
    articles, costs = [_article_seconds(folder)], []
    for _ in range(count):
        _set_recipe(folder, recipe)
        costs.append(run_stage(folder, "train"))
        articles.append(_article_seconds(folder))
    _set_recipe(folder, recipe)
    run_stage(folder, "evaluate")
    metrics = json.loads((folder / METRICS).read_text("utf-8"))
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
        "acc": metrics["acc"],
        "nmi": metrics["nmi"],
    }


@contextmanager
def scratch_copy() -> Iterator[Path]:
    """Yield a temporary folder with a copy of the code and the default parameters."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_code(folder)
        # The article's step is measured by a module of this package.
        copy_working_tree(Path(), folder, "tools")
        _set_recipe(folder, DEFAULT)
        yield folder


def _set_recipe(folder: Path, recipe: str) -> None:
    write_params(folder, recipe_params(recipe))


def run_stage(folder: Path, stage: str) -> Cost:
    """Run a stage in a folder and measure its costs.

    Args:
        folder: Copy of the code with the inputs of the stage.
        stage: Name of the stage.

    Returns:
        Time and peak memory.
    """
    file = folder / "costs"
    file.unlink(missing_ok=True)
    _python(folder, f"stages.{stage}", environment={COSTS: str(file)})
    return read_costs(file)[stage]


def article_seconds(folder: Path = Path()) -> float:
    """Estimate the seconds of the article's training from its step, in a process of its own.

    Args:
        folder: Copy of the code with the default parameters and the data.
    """
    step = _python(folder, "tools.bench.steps", "article").splitlines()[-1]
    return ARTICLE_STEPS * float(step)


def _article_seconds(folder: Path) -> float:
    _set_recipe(folder, DEFAULT)
    return article_seconds(folder)


def _python(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    # Modules of the folder take precedence over those of an installed package.
    variables = {"PYTHONPATH": str(folder)} | (environment or {})
    return run_module(*arguments, folder=folder, environment=variables)
