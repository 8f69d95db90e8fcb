"""What the pipeline costs: each stage of the default, and the training of each recipe."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.costs import Cost, read_costs
from benchmarks.recipes import DEFAULT, recipe_params
from iic.errors import InputError
from stages.common import COSTS, METRICS, PARAMS

# In the order of dvc.yaml.
STAGES = ("download", "augment", "neighbors", "train", "evaluate", "report")
ARTICLE_STEPS = 6000


def measure(recipes: list[str]) -> dict[str, object]:
    """Seconds and peak memory of each stage, and trainings against 6,000 steps of the article's.

    The article's step is timed before and after each training, so that both met the same machine.
    """
    with _scratch_copy() as folder:
        stages = {stage: _run_stage(folder, stage) for stage in STAGES[:3]}
        trainings: dict[str, object] = {}
        for recipe in [DEFAULT, *(name for name in recipes if name != DEFAULT)]:
            (folder / PARAMS).write_text(
                yaml.safe_dump(recipe_params(recipe).model_dump(mode="json"), sort_keys=False)
            )
            before = _article_step(folder)
            cost = _run_stage(folder, "train")
            article = ARTICLE_STEPS * statistics.fmean([before, _article_step(folder)])
            evaluation = _run_stage(folder, "evaluate")
            if recipe == DEFAULT:
                stages |= {"train": cost, "evaluate": evaluation}
                stages["report"] = _run_stage(folder, "report")
            trainings[recipe] = {
                "seconds": round(cost.seconds, 1),
                "article_seconds": round(article, 1),
                "times_faster_than_the_article": round(article / cost.seconds, 1),
                "peak_mb": round(cost.peak_mb),
                "acc": json.loads((folder / METRICS).read_text("utf-8"))["acc"],
            }
    return {
        "stages": {stage: stages[stage]._asdict() for stage in STAGES},
        "trainings": trainings,
    }


@contextmanager
def _scratch_copy() -> Iterator[Path]:
    """The working tree's files of Git in a folder of their own, without any result."""
    command = ["git", "ls-files", "-z", "--", "iic", "stages", "benchmarks", "recipes", str(PARAMS)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - a list
    with tempfile.TemporaryDirectory() as folder:
        for name in filter(None, listed.stdout.split("\0")):
            target = Path(folder) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, target)
        yield Path(folder)


def _run_stage(folder: Path, stage: str) -> Cost:
    file = folder / "costs"
    file.unlink(missing_ok=True)
    _python(folder, f"stages.{stage}", environment={COSTS: str(file)})
    return read_costs(file)[stage]


def _article_step(folder: Path) -> float:
    """Seconds of the article's step, in a process of its own as a training is."""
    kept = (folder / PARAMS).read_bytes()
    shutil.copyfile(PARAMS, folder / PARAMS)
    try:
        return float(_python(folder, "benchmarks.steps", "article").splitlines()[-1])
    finally:
        (folder / PARAMS).write_bytes(kept)


def _python(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-m", *arguments]
    # The folder's own modules come first, not those of an installed package.
    settings = os.environ | {"PYTHONPATH": str(folder)} | (environment or {})
    done = subprocess.run(  # noqa: S603 - a list, no shell
        command, cwd=folder, env=settings, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise InputError(f"{' '.join(arguments)}: failed, see above; other results are kept")
    return done.stdout
