"""Memory of the stages per training image, compared with the documented bounds."""

import json
import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from iic.core.files import write_arrays
from iic.core.shapes import GREY_SHAPE, array_shape
from iic.data import custom
from iic.experiments.recipes import recipe_params
from iic.pipeline.costs import Cost
from iic.pipeline.paths import IMAGES, LABELS, NEIGHBORS
from iic.pipeline.stage import read_params
from tools.bench import memory
from tools.bench.stage_costs import scratch_copy
from tools.docs import readme

# A network so small that the images take nearly all time and memory.
SMALL = {
    "augment": {"ops": []},
    "model": {"widths": [2], "head_widths": [4]},
    "loss": {"teaching_from": 0.0},
    "train": {"epochs": 1, "batch_size": 2000},
}
DOWNLOAD = "download of your own NPZ file"
# Variation between runs, as a multiple of the images. A copy as float32 would be 4.
NOISE = 1.0
# Memory that the C library keeps of arrays smaller than 32 MB.
SMALL_ARRAYS = 2.0


def peaks_of(monkeypatch, random, shape, sizes, runs) -> dict[str, dict[int, float]]:
    """Peak memory of each run by number of random images; each stage runs in its own process."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(memory, "TEST", 100)
    params = recipe_params(memory.RECIPE).with_values(**SMALL)
    arrays = {
        "images": random.integers(0, 256, (max(sizes), *array_shape(shape)), np.uint8),
        "labels": random.integers(0, 10, max(sizes)),
    }
    peaks = {name: {} for name in runs}
    with scratch_copy() as folder:
        for images in sizes:
            drawn = random.integers(0, images, (images, params.augment.neighbors), np.int32)
            write_arrays(folder / NEIGHBORS, {"neighbors": drawn})
            for name, peak in memory.measure(folder, params, arrays, images, runs):
                peaks[name][images] = peak
    return peaks


@pytest.mark.long
@pytest.mark.parametrize(
    ("sizes", "noise", "runs"),
    [
        # The time of the stage grows with the square of the images.
        ((5_000, 15_000), NOISE + SMALL_ARRAYS, [DOWNLOAD, "neighbors"]),
        # Both numbers are above the 20,000 images from which overclusters are reassigned.
        ((20_000, 60_000), NOISE, [DOWNLOAD, "augment", "train", "evaluate"]),
    ],
)
def test_stage_memory_per_image_is_within_the_bound(monkeypatch, random, sizes, noise, runs):
    peaks = peaks_of(monkeypatch, random, GREY_SHAPE, sizes, runs)
    for name, (_, stated) in memory.bounds().items():
        if name in runs:
            assert memory.growth(peaks[name])["times_the_data"] < stated + noise, name


@pytest.mark.long
def test_memory_of_other_sizes_is_within_what_is_checked_beforehand(monkeypatch, random):
    shape = (64, 64, 3)
    pixels = math.prod(shape)
    peaks = peaks_of(
        monkeypatch, random, shape, (2_000, 6_000), [DOWNLOAD, "augment", "train", "evaluate"]
    )
    for name, found in peaks.items():
        grown = memory.growth(found, pixels)["bytes_per_image"]
        assert grown < allowed_per_image(pixels) + NOISE * pixels, name


def allowed_per_image(pixels: int) -> float:
    return custom._PER_PIXEL * pixels + custom._PER_IMAGE


def test_the_check_before_images_are_read_covers_the_measured_stages():
    rows = json.loads((ROOT / memory.MEMORY).read_text("utf-8"))
    for name, row in rows["runs"].items():
        assert row["bytes_per_image"] <= allowed_per_image(rows["image_bytes"]), name
        assert 1e6 * row["fixed_mb"] <= custom._FIXED, name


def test_growth_is_a_line_above_all_peaks_with_the_last_slope():
    # A phase of 300 MB and one of 100 MB plus 2 kB per image.
    peaks = {50_000: 301.2, 100_000: 300.0, 200_000: 500.0}
    assert memory.growth(peaks) == {
        "peak_mb": {"50000": 301, "100000": 300, "200000": 500},
        "fixed_mb": 202,
        "bytes_per_image": 2000,
        "times_the_data": 2.55,
    }
    assert memory.growth({1000: 80.0, 2000: 79.0})["bytes_per_image"] == 0


@pytest.mark.parametrize("n", [7, 10, 25])
def test_repeated_images_differ(random, n):
    images = random.integers(0, 256, (10, 28, 28), np.uint8)
    found = memory.different(images, n)
    assert len({image.tobytes() for image in found}) == len(found) == n
    np.testing.assert_array_equal(found[:10], images[:n])


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "memory.json"
    monkeypatch.setattr(memory, "MEMORY", path)
    return path


def test_memory_table_rounds_up(file):
    rows = {
        "neighbors": {"fixed_mb": 141, "times_the_data": 8.02},
        "train with teachers": {"fixed_mb": 1200, "times_the_data": 4.0},
    }
    file.write_text(json.dumps({"runs": rows}))
    assert readme.memory().splitlines()[2:] == [
        "| `neighbors` | 150 MB | 8.1 × |",
        "| `train` with teachers | 1,200 MB | 4.0 × |",
        "",
        "So a million images need 6.5 GB, in `neighbors`.",
    ]


def test_missing_measurement_is_reported(file):
    assert readme.memory() == "Not measured yet: `python -m tools.bench.memory`."


def test_sizes_are_measured_up_to_the_limit_of_each_run(file, tmp_path, monkeypatch, params):
    """The images in `data/` are cut or repeated; the stages are made up."""
    monkeypatch.chdir(tmp_path)
    images = np.arange(5 * 28 * 28, dtype=np.uint8).reshape(5, 28, 28)
    write_arrays(IMAGES, {"train_images": images[:3], "test_images": images[3:]})
    write_arrays(LABELS, {"train_labels": np.arange(3), "test_labels": np.arange(3, 5)})
    seen = []

    def run_stage(folder: Path, stage: str) -> Cost:
        chosen = read_params(folder / "params.yaml")
        own = np.load(chosen.data.path)
        total = len(own["images"])
        assert own["labels"].tolist() == [n % 5 for n in range(total)]
        assert (own["images"] == memory.different(images, total)).all()
        trained = total - round(total * chosen.data.test_share)
        seen.append((trained, stage, chosen.student.teachers))
        return Cost(1.0, 100 + trained * (1 + chosen.student.teachers))

    monkeypatch.setattr(memory, "TEST", 2)
    monkeypatch.setattr(memory, "SIZES", (2, 3, 12))
    runs = {
        "a": memory.StageRun("augment", 12),
        "b": memory.StageRun("train", 3, {"student": {"teachers": 2}}),
        "c": memory.StageRun("train", 12),
    }
    monkeypatch.setattr(memory, "RUNS", runs)
    monkeypatch.setattr(memory, "run_stage", run_stage)
    monkeypatch.setattr(memory, "recipe_params", lambda recipe: params)
    monkeypatch.setattr(memory, "scratch_copy", lambda: nullcontext(tmp_path))
    memory.main([])
    few = [("augment", 0), ("train", 2), ("train", 0)]
    runs_by_size = {2: few, 3: few, 12: [few[0], few[2]]}
    assert seen == [(size, *run) for size, runs in runs_by_size.items() for run in runs]
    measured = json.loads(file.read_text())["runs"]
    assert measured["b"]["peak_mb"] == {"2": 106, "3": 109}
    assert measured["c"]["peak_mb"] == {"2": 102, "3": 103, "12": 112}
