"""How the peak memory of each stage grows with the training images: a fixed part and a slope.

`python -m tools.bench.memory` measures it, without a network, on the images in `data/`.
"""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from iic.core.constants import IMAGE_SIZE
from iic.core.errors import InputError
from iic.core.files import read_arrays, read_json, write_arrays, write_text
from iic.core.machine import machine
from iic.core.params import Params
from iic.experiments.recipes import recipe_params
from iic.experiments.scratch import write_params
from iic.pipeline.paths import IMAGES, LABELS, MEASUREMENTS
from tools.bench.stage_costs import run_stage, scratch_copy
from tools.command import run_main

MEMORY = MEASUREMENTS / "memory.json"
RECIPE = "fast"
SIZES = (30_000, 60_000, 120_000, 240_000)
TEST = 10_000  # images that are not trained on


class Run(NamedTuple):
    """A stage, the most images for which it takes but minutes, and settings of its own."""

    stage: str
    most: int = max(SIZES)
    values: Mapping[str, Mapping[str, object]] = {}


RUNS = {
    "download of your own NPZ file": Run("download"),
    "augment": Run("augment"),
    "neighbors": Run("neighbors", most=120_000),
    "train with a committee": Run("train", 120_000, {"committee": {"members": 2, "epochs": 1}}),
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
        arrays: `images` and `labels`, repeated as often as needed.
        images: number to train on.
        runs: of RUNS, in their order.
    """
    own, total = folder / "own.npz", images + TEST
    write_arrays(own, {name: np.resize(a, (total, *a.shape[1:])) for name, a in arrays.items()})
    data = {"name": "custom", "path": str(own), "test_share": TEST / total, "max_images": total}
    for name in runs:
        write_params(folder, params.with_values(data=data, **RUNS[name].values))
        yield name, run_stage(folder, RUNS[name].stage).peak_mb


def growth(peaks: Mapping[int, float]) -> dict[str, Any]:
    """A line above all peaks (MB, by number of images) with the slope of the last two.

    A stage peaks in the phase that needs most; each phase needs a fixed part and so much an image.
    So the slope never falls with more images.
    """
    (before, lower), (last, upper) = list(peaks.items())[-2:]
    slope = max(0.0, (upper - lower) / (last - before))
    return {
        "peak_mb": {str(images): round(peak) for images, peak in peaks.items()},
        "fixed_mb": math.ceil(max(peak - slope * images for images, peak in peaks.items())),
        "bytes_per_image": round(1e6 * slope),
        "times_the_data": round(1e6 * slope / IMAGE_SIZE**2, 2),
    }


def bounds() -> dict[str, tuple[int, float]]:
    """What is stated of each run, rounded up: the fixed part in MB, the multiple of the data."""
    runs = read_json(MEMORY, f"git restore {MEMORY}")["runs"] if MEMORY.exists() else {}
    return {
        name: (10 * math.ceil(row["fixed_mb"] / 10), math.ceil(10 * row["times_the_data"]) / 10)
        for name, row in runs.items()
    }


def main(arguments: list[str]) -> None:
    """Measure all sizes and replace the file."""
    if arguments:
        raise InputError("python -m tools.bench.memory takes no argument")
    arrays = {
        kind: np.concatenate(list(read_arrays(path, [f"train_{kind}", f"test_{kind}"]).values()))
        for kind, path in (("images", IMAGES), ("labels", LABELS))
    }
    # One epoch with all that an epoch may do: moves would else begin with the second.
    params = recipe_params(RECIPE).with_values(train={"epochs": 1}, loss={"teaching_from": 0.0})
    peaks: dict[str, dict[int, float]] = {name: {} for name in RUNS}
    with scratch_copy() as folder:
        for images in SIZES:
            runs = [name for name, run in RUNS.items() if images <= run.most]
            for name, peak in measure(folder, params, arrays, images, runs):
                sys.stderr.write(f"{images:,} images, {name}: {peak:,.0f} MB\n")
                peaks[name][images] = peak
    head = {"machine": machine(), "recipe": RECIPE, "image_bytes": IMAGE_SIZE**2}
    rows = {name: growth(found) for name, found in peaks.items()}
    write_text(MEMORY, json.dumps({**head, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
