"""Time of one training step of each recipe, compared with the peak of a matrix product.

`python -m tools.bench.steps RECIPE` prints the seconds of one recipe's step.
"""

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from iic.core.errors import InputError
from iic.core.params import Params
from iic.core.shapes import shape_of
from iic.experiments.recipes import recipe_params
from iic.model.network import as_input, build_network, predict
from iic.pairs.augmentation import Draws, Transform
from iic.pairs.batches import PairBatches, TrainingData
from iic.pipeline.paths import IMAGES
from iic.training.train import build_learner
from stages.train import read_data
from tools.bench.timing import take_turns
from tools.command import run_main

ROUNDS = 7
MNIST_IMAGES = 60_000
PEAK_SIZE = 2048


def training_data() -> TrainingData:
    """Return the inputs of the stage `train`.

    Raises:
        InputError: The data in `data/` are not of MNIST's size.
    """
    data = read_data()
    if len(data.train_images) != MNIST_IMAGES:
        raise InputError(
            f"{IMAGES}: {len(data.train_images)} training images, but the benchmark needs MNIST; "
            "set data.name to mnist and run `dvc repro`"
        )
    return data


def training_step(data: TrainingData, params: Params) -> Callable[[], object]:
    """Return a function that runs one step of a training, including batches and augmentation."""
    keras.utils.set_random_seed(params.seed)
    tf.config.experimental.enable_op_determinism()
    batches = PairBatches(data, params)
    network = build_network(params.model, shape_of(data.train_images))
    model = build_learner(network, params, batches)
    model.make_train_function()
    stream = iter(batches.dataset().repeat())
    # Reading the losses waits for the step to end.
    return lambda: {name: float(value) for name, value in model.train_function(stream).items()}


def useful_flops(network: keras.Model) -> int:
    """Count the floating-point operations of the multiply-adds of one pair in training.

    Each of the two views passes convolutions and dense layers three times: forward, backward to the
    weights and, except for the first layer, backward to the inputs. A multiply-add counts as two
    operations.
    """
    multiply_adds = [
        int(np.prod(layer.output.shape[1:-1])) * int(np.prod(layer.kernel.shape))
        for layer in network.layers
        if hasattr(layer, "kernel")
    ]
    return 2 * 2 * (3 * sum(multiply_adds) - multiply_adds[0])


def augmentation(data: TrainingData, params: Params) -> Callable[[], object]:
    """Return a function that transforms one batch of images at full strength."""
    operations = Transform(params.augment)
    transform = tf.function(lambda *arguments: operations(*arguments))
    n = params.train.batch_size
    images = as_input(tf.constant(data.train_images[:n]))
    draws = Draws(tf.constant(data.draws[0, :n]), tf.constant(data.noise_seeds[0, :n]))
    strength = tf.constant(1.0)
    return lambda: transform(images, draws, strength).numpy()


def matrix_product(dtype: str) -> Callable[[], object]:
    """Return a function that multiplies two square matrices of size PEAK_SIZE."""
    matrix = tf.cast(tf.random.stateless_uniform([PEAK_SIZE, PEAK_SIZE], [0, 0]), dtype)
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    return lambda: product().numpy()


def measure(recipes: list[str]) -> dict[str, Any]:
    """Measure steps, augmentation, snapshots and matrix products.

    Args:
        recipes: Names of recipes; must include `article` and `default`.

    Returns:
        Pairs per second and share of the float32 peak of each recipe, and the values that they are
        compared with.
    """
    data, params = training_data(), {name: recipe_params(name) for name in recipes}
    network = build_network(params["default"].model)
    seconds = take_turns(
        {name: training_step(data, params[name]) for name in recipes}
        | {
            "augmentation": augmentation(data, params["default"]),
            "snapshot": lambda: predict(network, data.test_images),
            "float32 product": matrix_product("float32"),
            "bfloat16 product": matrix_product("bfloat16"),
        },
        ROUNDS,
    )
    peaks = {
        name: 2 * PEAK_SIZE**3 / seconds[f"{name} product"] for name in ("float32", "bfloat16")
    }
    per_pair = {name: seconds[name] / params[name].train.batch_size for name in recipes}
    per_image = seconds["augmentation"] / params["default"].train.batch_size
    return {
        "rounds": ROUNDS,
        "peak_gflops": {name: round(peak / 1e9, 1) for name, peak in peaks.items()},
        "augmentation_images_per_second": round(1 / per_image),
        "snapshot_seconds": round(seconds["snapshot"], 2),
        "recipes": {
            name: {
                "batch_size": params[name].train.batch_size,
                "seconds_per_step": round(seconds[name], 4),
                "pairs_per_second": round(1 / per_pair[name]),
                "times_the_article": round(per_pair["article"] / per_pair[name], 2),
                "share_of_float32_peak": round(
                    _flops(params[name]) / per_pair[name] / peaks["float32"], 3
                ),
                "augmentation_share": round(_views(params[name]) * per_image / per_pair[name], 4),
            }
            for name in recipes
        },
    }


def _flops(params: Params) -> int:
    return useful_flops(build_network(params.model))


def _views(params: Params) -> int:
    """Return the number of transformed images in a pair."""
    return 2 if params.augment.both_views else 1


def main(arguments: list[str]) -> None:
    """Print the seconds of a recipe's step."""
    if len(arguments) != 1:
        raise InputError("give the name of one recipe: python -m tools.bench.steps article")
    step = training_step(training_data(), recipe_params(arguments[0]))
    seconds = take_turns({"step": step}, rounds=9)["step"]
    sys.stdout.write(f"{seconds}\n")


if __name__ == "__main__":
    run_main(main)
