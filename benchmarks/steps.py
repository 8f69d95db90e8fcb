"""What one training step costs: recipes side by side, against the matrix product's peak.

`python -m benchmarks.steps RECIPE` prints the seconds of a recipe's step alone.
"""

import sys
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from benchmarks.recipes import recipe_params
from benchmarks.timing import take_turns
from iic.augmentation import Draws, Transform
from iic.batches import PairBatches, TrainingData
from iic.files import read_arrays
from iic.model import as_input, build_network, predict
from iic.params import Params
from iic.training import build_learner
from stages.common import DRAWS, IMAGES, NEIGHBORS

ROUNDS = 7
PEAK_SIZE = 2048


def training_data() -> TrainingData:
    """What `dvc repro` left for the train stage."""
    return TrainingData(
        **read_arrays(IMAGES, ["train_images", "test_images"]),
        **read_arrays(DRAWS, ["draws", "noise_seeds"]),
        **read_arrays(NEIGHBORS, ["neighbors"]),
    )


def training_step(data: TrainingData, params: Params) -> Callable[[], object]:
    """A call is one step of the training as `fit` runs it, batches and augmentation included."""
    keras.utils.set_random_seed(params.seed)
    tf.config.experimental.enable_op_determinism()
    batches = PairBatches(data, params)
    model = build_learner(build_network(params.model), params, batches.schedule.steps)
    model.make_train_function()
    stream = iter(batches.dataset().repeat())
    # Reading the losses waits for the step to end.
    return lambda: {name: float(value) for name, value in model.train_function(stream).items()}


def useful_flops(network: keras.Model) -> int:
    """Floating-point operations that one pair needs in training, of multiply-adds alone.

    Two views, each forward and twice backward (to inputs and to weights), two operations a
    multiply-add, over convolutions and dense layers.
    """
    multiply_adds = 0
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            positions = int(np.prod(layer.output.shape[1:-1]))
            multiply_adds += positions * int(np.prod(layer.kernel.shape))
    return 2 * 3 * 2 * multiply_adds


def augmentation(data: TrainingData, params: Params) -> Callable[[], object]:
    """A call transforms one batch of images at full strength."""
    operations = Transform(params.augment)
    transform = tf.function(lambda *arguments: operations(*arguments))
    n = params.train.batch_size
    images = as_input(tf.constant(data.train_images[:n]))
    draws = Draws(tf.constant(data.draws[0, :n]), tf.constant(data.noise_seeds[0, :n]))
    strength = tf.constant(1.0)
    return lambda: transform(images, draws, strength).numpy()


def matrix_product(dtype: str) -> Callable[[], object]:
    """A call multiplies two square matrices of PEAK_SIZE."""
    matrix = tf.cast(tf.random.stateless_uniform([PEAK_SIZE, PEAK_SIZE], [0, 0]), dtype)
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    return lambda: product().numpy()


def measure(recipes: list[str]) -> dict[str, object]:
    """Pairs a second of each recipe, its share of both peaks, and what augmentation costs."""
    data, params = training_data(), {name: recipe_params(name) for name in recipes}
    peaks = {"float32": "peak float32", "mixed_bfloat16": "peak bfloat16"}
    seconds = take_turns(
        {name: training_step(data, params[name]) for name in recipes}
        | {"augmentation": augmentation(data, params["default"])}
        | {peaks["float32"]: matrix_product("float32")}
        | {peaks["mixed_bfloat16"]: matrix_product("bfloat16")},
        ROUNDS,
    )
    flops = {name: 2 * PEAK_SIZE**3 / seconds[name] for name in peaks.values()}
    images_a_second = params["default"].train.batch_size / seconds["augmentation"]
    return {
        "rounds": ROUNDS,
        "peak_gflops": {
            precision: round(flops[name] / 1e9, 1) for precision, name in peaks.items()
        },
        "augmentation_images_per_second": round(images_a_second),
        "recipes": {
            name: _step_row(
                params[name], seconds[name], seconds["article"] / 1000, flops["peak float32"]
            )
            | {
                "augmentation_share": round(
                    _views(params[name]) / images_a_second / seconds[name], 4
                )
            }
            for name in recipes
        },
    }


def _views(params: Params) -> int:
    """Images that a step transforms."""
    return params.train.batch_size * (2 if params.augment.both_views else 1)


def _step_row(
    params: Params, seconds: float, article_seconds_a_pair: float, peak: float
) -> dict[str, float]:
    flops = useful_flops(build_network(params.model))
    pairs_a_second = params.train.batch_size / seconds
    return {
        "batch_size": params.train.batch_size,
        "seconds_per_step": round(seconds, 4),
        "pairs_per_second": round(pairs_a_second),
        "times_the_article": round(pairs_a_second * article_seconds_a_pair, 2),
        "mflop_per_pair": round(flops / 1e6, 1),
        "share_of_float32_peak": round(flops * pairs_a_second / peak, 3),
    }


def snapshot_seconds(data: TrainingData, params: Params) -> float:
    """Seconds of the assignments that training records after each epoch."""
    network = build_network(params.model)
    return take_turns({"": lambda: predict(network, data.test_images)}, rounds=3)[""]


if __name__ == "__main__":
    (recipe,) = sys.argv[1:]
    step = training_step(training_data(), recipe_params(recipe))
    sys.stdout.write(f"{take_turns({recipe: step}, rounds=3)[recipe]}\n")
