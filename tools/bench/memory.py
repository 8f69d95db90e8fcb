"""Peak memory of each stage as a line over the number of training images.

`python -m tools.bench.memory` measures it on the images in `data/`, without a network connection.
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
from iic.core.shapes import shape_of
from iic.experiments.recipes import recipe_params
from iic.experiments.scratch import write_params
from iic.pipeline.paths import IMAGES, LABELS, MEASUREMENTS
from tools.bench.stage_costs import run_stage, scratch_copy
from tools.command import run_main

MEMORY = MEASUREMENTS / "memory.json"
RECIPE = "fast"
SIZES = (30_000, 60_000, 120_000, 240_000)
TEST = 10_000  # test images


class StageRun(NamedTuple):
    """A stage to measure.

    Attributes:
        stage: Name of the stage.
        most: Largest number of images to measure, for which the stage takes minutes.
        values: Parameters that differ from those of the recipe, by section.
    """

    stage: str
    most: int = max(SIZES)
    values: Mapping[str, Mapping[str, object]] = {}


RUNS = {
    "download of your own NPZ file": StageRun("download"),
    "augment": StageRun("augment"),
    "neighbors": StageRun("neighbors", most=120_000),
    "train with teachers": StageRun("train", 120_000, {"student": {"teachers": 2}}),
    "train": StageRun("train", most=120_000),
    "evaluate": StageRun("evaluate"),
    "report": StageRun("report"),
}


def measure(
    folder: Path, params: Params, arrays: Mapping[str, np.ndarray], images: int, runs: Iterable[str]
) -> Iterator[tuple[str, float]]:
    """Run stages and measure their peak memory.

    Args:
        folder: Copy of the code with the outputs of earlier stages.
        params: Parameters of the pipeline; the source of the images is replaced.
        arrays: `images`, (n, side, side) or (n, side, side, 3) uint8, and `labels`, (n,); repeated
            or cut to the number of images.
        images: Number of training images.
        runs: Names in RUNS, in the order of the pipeline.

    Yields:
        Name of each run and its peak memory in MB.
    """
    own, total = folder / "own.npz", images + TEST
    write_arrays(
        own,
        {
            "images": different(arrays["images"], total),
            "labels": np.resize(arrays["labels"], total),
        },
    )
    side, _, channels = shape_of(arrays["images"])
    data = {
        "name": "custom",
        "path": str(own),
        "image_size": side,
        "channels": channels,
        "test_share": TEST / total,
        "max_images": total,
    }
    for name in runs:
        write_params(folder, params.with_values(data=data, **RUNS[name].values))
        yield name, run_stage(folder, RUNS[name].stage).peak_mb


def different(images: np.ndarray, n: int) -> np.ndarray:
    """Return n different images: each repetition of the images is shifted by another pixel.

    Copies would need less memory, since the search for neighbours leaves them out.

    Args:
        images: Different images (m, side, side) or (m, side, side, 3), uint8.
        n: Number of images, less than side times m.
    """
    m = len(images)
    parts = [np.roll(images[: n - start], start // m, axis=2) for start in range(0, n, m)]
    return np.concatenate(parts)


def growth(peaks: Mapping[int, float], image_bytes: int = IMAGE_SIZE**2) -> dict[str, Any]:
    """Return the line above all peaks that has the slope of the last two.

    A stage peaks in the phase that needs the most memory. Each phase needs a fixed part and a part
    per image, so the slope never falls as the number of images grows.

    Args:
        peaks: Peak memory in MB by number of images, in ascending order.
        image_bytes: Pixels times channels of an image.

    Returns:
        Peaks, fixed part and slope of the line, as in the file.
    """
    (before, lower), (last, upper) = list(peaks.items())[-2:]
    slope = max(0.0, (upper - lower) / (last - before))
    return {
        "peak_mb": {str(images): round(peak) for images, peak in peaks.items()},
        "fixed_mb": math.ceil(max(peak - slope * images for images, peak in peaks.items())),
        "bytes_per_image": round(1e6 * slope),
        "times_the_data": round(1e6 * slope / image_bytes, 2),
    }


def bounds() -> dict[str, tuple[int, float]]:
    """Return the documented bounds of each run: fixed part in MB and multiple of the data.

    Both are rounded up. The result is empty if nothing has been measured.
    """
    runs = read_json(MEMORY, f"git restore {MEMORY}")["runs"] if MEMORY.exists() else {}
    return {
        name: (10 * math.ceil(row["fixed_mb"] / 10), math.ceil(10 * row["times_the_data"]) / 10)
        for name, row in runs.items()
    }


def main(arguments: list[str]) -> None:
    """Measure all sizes and replace the file."""
    if arguments:
        raise InputError("python -m tools.bench.memory takes no arguments")
    arrays = {
        kind: np.concatenate(list(read_arrays(path, [f"train_{kind}", f"test_{kind}"]).values()))
        for kind, path in (("images", IMAGES), ("labels", LABELS))
    }
    # A single epoch that includes reassigned overclusters, which normally start in the second.
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
