"""Time of an epoch over the number of images, the overclusters, the width and the depth."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from iic.core.params import Params
from iic.experiments.recipes import recipe_params
from iic.pairs.batches import TrainingData
from iic.training.train import train
from tools.bench.steps import training_data, training_step
from tools.bench.timing import take_turns

ROUNDS = 5
IMAGE_COUNTS = (15_000, 30_000, 60_000)
OVERCLUSTERS = (10, 30, 100, 300, 1000)
WIDTHS = (0.25, 0.5, 1.0, 2.0)
HEAD_LAYERS = (1, 2, 3, 4)


def measure() -> dict[str, Any]:
    """Measure epochs of the recipe `fast` with one setting changed.

    Returns:
        Seconds of an epoch by setting, then by value.
    """
    data, params = training_data(), recipe_params("fast")
    return {"images": _whole_epochs(data, params), **_epochs_by_step(data, params)}


def _whole_epochs(data: TrainingData, params: Params) -> dict[str, float]:
    """Time trainings of one epoch; start, tracing and snapshot take constant time."""
    one_epoch = params.with_values(train={"epochs": 1})

    def training_on(images: int) -> Callable[[], object]:
        part = TrainingData(
            train_images=data.train_images[:images],
            test_images=data.test_images,
            draws=data.draws[:, :images],
            noise_seeds=data.noise_seeds[:, :images],
            neighbors=np.minimum(data.neighbors[:images], images - 1),
        )
        return lambda: train(part, one_epoch)

    trainings = {str(images): training_on(images) for images in IMAGE_COUNTS}
    return {name: round(s, 2) for name, s in take_turns(trainings, rounds=3).items()}


def _epochs_by_step(data: TrainingData, params: Params) -> dict[str, dict[str, float]]:
    """Time one step of each variant and multiply by the steps of an epoch."""
    steps = {name: training_step(data, changed) for name, changed in variants(params).items()}
    seconds: dict[str, dict[str, float]] = {}
    for name, step in take_turns(steps, ROUNDS).items():
        kind, value = name.split()
        epoch = step * len(data.train_images) / params.train.batch_size
        seconds.setdefault(kind, {})[value] = round(epoch, 2)
    return seconds


def variants(params: Params) -> dict[str, Params]:
    """Return variants of the parameters with one setting changed, by "setting value"."""
    widths = params.model.widths
    changes: Mapping[str, Mapping[str, object]] = (
        {f"overclusters {k}": {"overclusters": k} for k in OVERCLUSTERS}
        | {f"width {f}": {"widths": [round(f * width) for width in widths]} for f in WIDTHS}
        | {
            f"head_layers {depth}": {"head_widths": [128] * (depth - 1) + [64]}
            for depth in HEAD_LAYERS
        }
    )
    return {name: params.with_values(model=changed) for name, changed in changes.items()}
