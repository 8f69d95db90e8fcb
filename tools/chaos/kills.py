"""The pipeline killed at random moments, over and over.

A trial empties DVC's cache in a finished clone, runs `dvc repro --force`, kills all of its
processes at a random moment of a stage and runs what `make repro` runs. Nothing is lost if that
ends with the same dvc.lock, neither Git nor DVC sees a change, and no state of a training is left.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from iic.core.errors import InputError
from tools.chaos.clones import empty_cache, finished_clone, lost, repro
from tools.chaos.counting import Count

STAGES = ("download", "augment", "neighbors", "train", "evaluate", "report")


def on_digits(moments: random.Random) -> Iterator[Count]:
    """Each of the six stages five times, on 1,797 digits."""
    return _killed("tour", ["train.epochs=24"], STAGES * 5, moments)


def on_mnist(moments: random.Random) -> Iterator[Count]:
    """The training of the recipe `fast` five times, on the 60,000 images."""
    return _killed("fast", [], ["train"] * 5, moments)


def _killed(
    recipe: str, settings: Sequence[str], stages: Sequence[str], moments: random.Random
) -> Iterator[Count]:
    count = Count()
    with finished_clone(recipe, settings) as clone:
        seconds = _durations(clone)
        for stage in stages:
            what, *details = _trial(clone, stage, moments.uniform(0, seconds[stage]))
            count.add(what, f"killed in {stage}", *details)
            yield count


def _durations(clone: Path) -> Mapping[str, float]:
    """Seconds from the begin of each stage to that of the next, DVC's own work included."""
    begins = {}
    with _forced_repro(clone) as process, _output(process) as lines:
        for line in lines:
            if stage := stage_of(line):
                begins[stage] = time.monotonic()
    ends = [*begins.values(), time.monotonic()][1:]
    return {stage: end - begins[stage] for stage, end in zip(begins, ends, strict=True)}


def _trial(clone: Path, stage: str, moment: float) -> tuple[str, ...]:
    """What was lost, then what else there is to say."""
    lock = (clone / "dvc.lock").read_bytes()
    empty_cache(clone)
    with _forced_repro(clone) as process, _output(process) as lines:
        next(line for line in lines if stage_of(line) == stage)
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
    try:
        said = repro(clone)
    except InputError as error:
        return (str(error),)
    details = {
        "training went on": "resuming after epoch" in said.stderr,
        "lock file mended": "half-written" in said.stderr,
    }
    return (lost(clone, lock), *(what for what, is_so in details.items() if is_so))


def _forced_repro(clone: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["dvc", "repro", "--force"],  # noqa: S607 - first on PATH
        cwd=clone,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None  # noqa: S101 - for the type checker
    return process.stdout


def stage_of(line: str) -> str:
    """The stage that DVC says it is about to run; empty in other lines."""
    return line.split("'")[1] if line.startswith("Running stage '") else ""
