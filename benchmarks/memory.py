"""How the peak memory of each stage grows with the training images: a fixed part and a slope.

`python -m benchmarks.memory` measures it on the images that `dvc repro` left in `data/`, each stage
in a process of its own. They are read as somebody's own images, so it needs no network.
"""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.pipeline import run_stage, scratch_copy
from experiments.cli import run_main
from experiments.machine import machine
from experiments.recipes import recipe_params
from experiments.scratch import write_params
from iic.datasets import IMAGE_SIZE
from iic.errors import InputError
from iic.files import read_arrays, read_json, write_arrays, write_text
from iic.params import Params
from stages.common import IMAGES, LABELS, REPORTS

MEMORY = REPORTS / "memory.json"
RECIPE = "fast"
IMAGE_BYTES = IMAGE_SIZE**2
SIZES = (30_000, 60_000, 120_000, 240_000)


class Run(NamedTuple):
    """A stage, the most images for which it takes but minutes, and settings of its own."""

    stage: str
    most: int = max(SIZES)
    values: Mapping[str, Mapping[str, object]] = {}


RUNS = {
    "download of your own NPZ file": Run("download"),
    "augment": Run("augment"),
    "neighbors": Run("neighbors", most=120_000),
    "train with a committee": Run("train", 60_000, {"committee": {"members": 2, "epochs": 1}}),
    "train": Run("train", most=120_000),
    "evaluate": Run("evaluate"),
    "report": Run("report"),
}


def measure(
    folder: Path, params: Params, arrays: Mapping[str, np.ndarray], images: int, runs: Iterable[str]
) -> Iterator[tuple[str, float]]:
    """Names of runs and their peak memory in MB.

    Args:
        folder: with the code, and with what the runs before have left.
        params: of the pipeline; where its images come from is set here.
        arrays: images and labels, named as in an NPZ file of one's own.
        images: training images: the first, or all over and over, since what is in them needs none.
        runs: of RUNS, in their order.
    """
    own = folder / "own.npz"
    write_arrays(own, {name: _resized(name, array, images) for name, array in arrays.items()})
    params = params.with_values(data={"name": "custom", "path": str(own)})
    for name in runs:
        write_params(folder, params.with_values(**RUNS[name].values))
        yield name, run_stage(folder, RUNS[name].stage).peak_mb


def _resized(name: str, array: np.ndarray, images: int) -> np.ndarray:
    return np.resize(array, (images, *array.shape[1:])) if name.startswith("train_") else array


def growth(peaks: Mapping[int, float]) -> dict[str, Any]:
    """A line above all peaks (MB, by number of images) with the slope of the last two.

    A stage peaks in the phase that needs most, and each phase needs a fixed part and so much an
    image. So the slope never falls with more images, and the last is the steepest.
    """
    (before, lower), (last, upper) = list(peaks.items())[-2:]
    slope = max(0.0, (upper - lower) / (last - before))
    return {
        "peak_mb": {str(images): round(peak) for images, peak in peaks.items()},
        "fixed_mb": math.ceil(max(peak - slope * images for images, peak in peaks.items())),
        "bytes_per_image": round(1e6 * slope),
        "times_the_data": round(1e6 * slope / IMAGE_BYTES, 2),
    }


def bounds() -> dict[str, tuple[int, int]]:
    """What is stated of each run, rounded up: the fixed part in MB, the multiple of the data."""
    rows = read_json(MEMORY, f"git restore {MEMORY}")["runs"] if MEMORY.exists() else {}
    return {
        name: (10 * math.ceil(row["fixed_mb"] / 10), math.ceil(row["times_the_data"]))
        for name, row in rows.items()
    }


def main(arguments: list[str]) -> None:
    """Measure all sizes and replace the file."""
    if arguments:
        raise InputError("python -m benchmarks.memory takes no argument")
    arrays = read_arrays(IMAGES, ["train_images", "test_images"])
    arrays |= read_arrays(LABELS, ["train_labels", "test_labels"])
    # One epoch with all that an epoch may do: moves would else begin with the second.
    params = recipe_params(RECIPE).with_values(train={"epochs": 1}, loss={"teaching_from": 0.0})
    peaks: dict[str, dict[int, float]] = {name: {} for name in RUNS}
    with scratch_copy() as folder:
        for images in SIZES:
            runs = [name for name, run in RUNS.items() if images <= run.most]
            for name, peak in measure(folder, params, arrays, images, runs):
                sys.stderr.write(f"{images:,} images, {name}: {peak:,.0f} MB\n")
                peaks[name][images] = peak
    head = {"machine": machine(), "recipe": RECIPE, "image_bytes": IMAGE_BYTES}
    rows = {name: growth(found) for name, found in peaks.items()}
    write_text(MEMORY, json.dumps({**head, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
