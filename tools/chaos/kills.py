"""The pipeline killed at random moments.

A trial empties DVC's cache in a finished clone, starts `dvc repro --force`, kills all of its
processes at a random moment of a stage and runs what `make repro` runs. Nothing is lost if that
ends with the same dvc.lock and outputs, Git and DVC see no change, and no resume state is left.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from iic.experiments.scratch import STAGES
from iic.pipeline.paths import LOCK
from tools.chaos.clones import CACHE, Count, finished_clone, lost, make_repro
from tools.command import start

# What the next run has to repair, by what it says then.
_REPAIRS = {"resuming after epoch": "training went on", "half-written": "lock file repaired"}


def on_digits(numbers: random.Random) -> Iterator[Count]:
    """Kill each stage five times, on 1,797 digits."""
    return _killed("tour", ["train.epochs=24"], STAGES * 5, numbers)


def on_mnist(numbers: random.Random) -> Iterator[Count]:
    """Kill the training of the recipe `fast` five times, on 60,000 images."""
    return _killed("fast", [], ["train"] * 5, numbers)


def _killed(
    recipe: str, settings: Sequence[str], stages: Sequence[str], numbers: random.Random
) -> Iterator[Count]:
    count = Count()
    with finished_clone(recipe, settings) as clone:
        lock, seconds = (clone / LOCK).read_bytes(), _durations(clone)
        for stage in stages:
            # DVC would restore every output from its cache, and no stage would run.
            shutil.rmtree(clone / CACHE, ignore_errors=True)
            with _forced_repro(clone) as process:
                next(line for line in process.stdout or () if stage_of(line) == stage)
                time.sleep(numbers.uniform(0, seconds[stage]))
                os.killpg(process.pid, signal.SIGKILL)
            ending = make_repro(clone)
            repairs = [what for said, what in _REPAIRS.items() if said in ending.said]
            count.add(lost(clone, lock, ending), f"killed in {stage}", *repairs)
            yield count


def _durations(clone: Path) -> Mapping[str, float]:
    """Seconds from the beginning of each stage to that of the next, with DVC's own work."""
    begins = {}
    with _forced_repro(clone) as process:
        for line in process.stdout or ():
            if stage := stage_of(line):
                begins[stage] = time.monotonic()
    ends = [*begins.values(), time.monotonic()][1:]
    return {stage: end - begins[stage] for stage, end in zip(begins, ends, strict=True)}


def _forced_repro(clone: Path) -> subprocess.Popen[str]:
    variables = os.environ | {"PYTHONUNBUFFERED": "1"}
    return start("dvc", "repro", "--force", cwd=clone, env=variables, start_new_session=True)


def stage_of(line: str) -> str:
    """Return the stage that a line of DVC's output announces, or "" for other lines."""
    return line.split("'")[1] if line.startswith("Running stage '") else ""
