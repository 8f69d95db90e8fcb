"""How the peak memory of each stage grows with the training images: a fixed part and a slope.

`python -m benchmarks.memory` measures it on parts of what `dvc repro` left in `data/`, each stage
in a process of its own, and needs no network.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pipeline import run_stage, scratch_copy
from experiments.cli import run_main
from experiments.machine import machine
from experiments.recipes import recipe_params
from experiments.scratch import STAGES, write_params
from iic.datasets import IMAGE_SIZE
from iic.errors import InputError
from iic.files import read_arrays, read_json, write_arrays, write_text
from iic.params import Params
from stages.common import IMAGES, LABELS, REPORTS

MEMORY = REPORTS / "memory.json"
COMMAND = "python -m benchmarks.memory"
# `download` reads one format for each source of data, and needs the network for most.
MEASURED = STAGES[1:]
SIZES = (15_000, 30_000, 60_000)
RECIPE = "fast"
# Moves of overclusters, which look at the images too, begin with the second epoch of two.
EPOCHS = 2
IMAGE_BYTES = IMAGE_SIZE**2

# Arrays by file and by name.
Data = Mapping[Path, Mapping[str, np.ndarray]]


def read_data() -> Data:
    """Images and labels of the pipeline; raises InputError if there are too few images."""
    images = read_arrays(IMAGES, ["train_images", "test_images"])
    if (found := len(images["train_images"])) < max(SIZES):
        raise InputError(
            f"{IMAGES}: {found:,} training images, {max(SIZES):,} are measured; "
            "set data.name to mnist and run `dvc repro`"
        )
    names = ["train_labels", "test_labels", "names", "train_paths", "test_paths"]
    return {IMAGES: images, LABELS: read_arrays(LABELS, names)}


def measure_part(data: Data, params: Params, images: int) -> Iterator[tuple[str, float]]:
    """Each stage and its peak memory in MB, with the first `images` training images."""
    with scratch_copy() as folder:
        write_params(folder, params)
        for path, arrays in data.items():
            write_arrays(folder / path, {name: part(name, arrays, images) for name in arrays})
        for stage in MEASURED:
            yield stage, run_stage(folder, stage).peak_mb


def part(name: str, arrays: Mapping[str, np.ndarray], images: int) -> np.ndarray:
    """An array, of the training split cut to its first images."""
    return arrays[name][:images] if name.startswith("train_") else arrays[name]


def growth(peaks: Mapping[int, float]) -> dict[str, Any]:
    """The line through peaks (MB, by number of images), raised so that it is below none of them.

    Returns:
        `peak_mb` by number of images, `fixed_mb`, `bytes_per_image` (not below 0) and
        `times_the_data`, the slope in images of 784 bytes.
    """
    images, megabytes = np.array(list(peaks)), np.array(list(peaks.values()))
    slope = max(0.0, float(np.polyfit(images, megabytes, 1)[0]))
    return {
        "peak_mb": {str(count): round(peak) for count, peak in peaks.items()},
        "fixed_mb": round(float((megabytes - slope * images).max())),
        "bytes_per_image": round(1e6 * slope),
        "times_the_data": round(1e6 * slope / IMAGE_BYTES, 2),
    }


def stated() -> dict[str, tuple[int, int]]:
    """Of each measured stage the fixed part in MB and the times of the data, both rounded up."""
    stages = read_json(MEMORY, f"git restore {MEMORY}")["stages"] if MEMORY.exists() else {}
    return {
        stage: (10 * math.ceil(row["fixed_mb"] / 10), math.ceil(row["times_the_data"]))
        for stage, row in stages.items()
    }


def main(arguments: list[str]) -> None:
    """Measure all sizes and replace the file."""
    if arguments:
        raise InputError(f"{COMMAND} takes no argument")
    params = recipe_params(RECIPE).with_values(train={"epochs": EPOCHS})
    data, peaks = read_data(), {stage: dict[int, float]() for stage in MEASURED}
    for images in SIZES:
        for stage, peak in measure_part(data, params, images):
            sys.stderr.write(f"{images:,} images, {stage}: {peak:,.0f} MB\n")
            peaks[stage][images] = peak
    figures = {stage: growth(found) for stage, found in peaks.items()}
    head = {"machine": machine(), "recipe": RECIPE, "epochs": EPOCHS, "image_bytes": IMAGE_BYTES}
    write_text(MEMORY, json.dumps({**head, "stages": figures}, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
