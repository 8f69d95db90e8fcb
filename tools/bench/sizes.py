"""Time and memory of training and prediction over the size and the channels of the images.

`python -m tools.bench.sizes` measures all of them, `python -m tools.bench.sizes SIDE CHANNELS` only
prints the peak memory of one. The images are noise, since their content changes no cost.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from iic.core.errors import InputError
from iic.core.files import read_json, write_bytes, write_text
from iic.core.machine import machine
from iic.core.params import Params
from iic.core.shapes import GREY_SHAPE, ImageShape, array_shape
from iic.experiments.recipes import recipe_params
from iic.pairs.draws import make_draws
from iic.pipeline.costs import peak_memory
from iic.pipeline.paths import MEASUREMENTS
from iic.render import figures
from iic.render.pictures import sharp_png
from tools.bench.timing import take_turns
from tools.command import run_main, run_module

if TYPE_CHECKING:
    from iic.pairs.batches import TrainingData

SIZES, FIGURE = MEASUREMENTS / "sizes.json", MEASUREMENTS / "sizes.png"
RECIPE = "fast"
SHAPES: tuple[ImageShape, ...] = tuple((s, s, c) for s in (16, 28, 64, 128) for c in (1, 3))
ROUNDS, SLOT = 5, 0.2
# Steps after which the memory no longer grows.
_STEPS = 2


def measure() -> dict[str, Any]:
    """Measure a training step, predictions and the peak memory for each of SHAPES.

    Returns:
        For each shape, by name: the medians of `step_seconds`, for a batch of the recipe, and of
        `predict_seconds`, for as many images; both relative to 28×28 grey images as `step_times`
        and `predict_times`; and the peak memory of a process that trains, in MB, `peak_mb`.
    """
    # Not needed to read the values, which the pages do without TensorFlow.
    from iic.model.network import build_network, predict
    from tools.bench.steps import training_step

    params = recipe_params(RECIPE)
    works: dict[str, Callable[[], object]] = {}
    for shape in SHAPES:
        data = noise_data(shape, params)
        network = build_network(params.model, shape)
        works[f"step {name_of(shape)}"] = training_step(data, params)
        works[f"predict {name_of(shape)}"] = partial(predict, network, data.train_images)
    seconds = take_turns(works, ROUNDS, SLOT)
    return {
        name: {
            "step_seconds": round(seconds[f"step {name}"], 4),
            "predict_seconds": round(seconds[f"predict {name}"], 4),
            "step_times": _times(seconds, "step", name),
            "predict_times": _times(seconds, "predict", name),
            "peak_mb": float(
                run_module("tools.bench.sizes", str(shape[0]), str(shape[2])).splitlines()[-1]
            ),
        }
        for shape, name in ((shape, name_of(shape)) for shape in SHAPES)
    }


def name_of(shape: ImageShape) -> str:
    """Return the name of a shape in the file, such as "64×3" for 64×64 pixels in colour."""
    return f"{shape[0]}×{shape[2]}"


def _times(seconds: dict[str, float], kind: str, name: str) -> float:
    return round(seconds[f"{kind} {name}"] / seconds[f"{kind} {name_of(GREY_SHAPE)}"], 2)


def noise_data(shape: ImageShape, params: Params) -> "TrainingData":
    """Return a batch of random images of a shape, with draws and random neighbours."""
    from iic.pairs.batches import TrainingData

    random, n = np.random.default_rng(0), params.train.batch_size
    images = random.integers(0, 256, (n, *array_shape(shape)), np.uint8)
    return TrainingData(
        images,
        images[:1],
        **make_draws(0, params.augment.views, n),
        neighbors=random.integers(0, n, (n, params.augment.neighbors), np.int32),
    )


def read_sizes() -> dict[str, Any]:
    """Return the measured values; empty if nothing has been measured."""
    return read_json(SIZES, f"git restore {SIZES}") if SIZES.exists() else {}


def draw(rows: dict[str, Any]) -> bytes:
    """Draw time and memory against the side of the images, grey and in colour, as PNG."""
    panels = []
    for title, key in (
        ("Time of a training step (28×28 grey = 1)", "step_times"),
        ("Time of a prediction (28×28 grey = 1)", "predict_times"),
        ("Peak memory of the training, MB", "peak_mb"),
    ):
        curves = {
            name: np.array([rows[name_of(s)][key] for s in SHAPES if s[2] == channels])
            for channels, name in ((1, "grey"), (3, "colour"))
        }
        panels.append((title, "", curves))
    sides = np.array([side for side, _, channels in SHAPES if channels == 1])
    figure = figures.curves_figure(sides, panels)
    for axis in figure.axes:
        axis.set(xlabel="pixels a side", ylim=(0, None))
        axis.set_xticks(sides)
    return sharp_png(figure)


def main(arguments: list[str]) -> None:
    """Measure all shapes and replace the file and the figure, or print the memory of one shape."""
    if not arguments:
        rows = measure()
        head = {"machine": machine(), "recipe": RECIPE, "rounds": ROUNDS}
        write_text(SIZES, json.dumps({**head, "shapes": rows}, indent=2, ensure_ascii=False) + "\n")
        write_bytes(FIGURE, draw(rows))
        return
    shapes = {(str(side), str(channels)): (side, _, channels) for side, _, channels in SHAPES}
    if (given := tuple(arguments)) not in shapes:
        raise InputError(
            f"{' '.join(arguments)}: give no arguments, or side and channels, such as 64 3"
        )
    from tools.bench.steps import training_step

    params = recipe_params(RECIPE)
    step = training_step(noise_data(shapes[given], params), params)
    for _ in range(_STEPS):
        step()
    sys.stdout.write(f"{peak_memory():.0f}\n")


if __name__ == "__main__":
    run_main(main)
