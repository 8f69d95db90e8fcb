"""Which operations of a training step give other bytes with other threads or instructions.

`python -m tools.determinism.operations` computes each operation on the same numbers in a process
for each setting, and names those whose bytes are not the ones of two threads.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from iic.core.errors import InputError
from tools.command import run_main, run_module

# The sizes of the recipe `fast`: side of the images, channels before and after.
_CONVOLUTIONS = ((28, 1, 16), (14, 16, 32), (7, 32, 64), (3, 64, 128))
_DENSE = ((128, 128), (128, 64), (64, 50))
_BATCH = 250
_TWO = {"TF_NUM_INTRAOP_THREADS": "2"}
SETTINGS = {
    "two threads again": _TWO,
    "one thread": {"TF_NUM_INTRAOP_THREADS": "1"},
    "four threads": {"TF_NUM_INTRAOP_THREADS": "4"},
    "AVX2": _TWO | {"ONEDNN_MAX_CPU_ISA": "AVX2"},
}
_Results = Iterator[tuple[str, tf.Tensor]]


def main(arguments: list[str]) -> None:
    """Compare the settings; with `digests`, print this process's own."""
    if arguments == ["digests"]:
        sys.stdout.write(json.dumps(digests()) + "\n")
        return
    if arguments:
        raise InputError("python -m tools.determinism.operations takes no argument")
    expected = _digests_with(_TWO)
    for name, variables in SETTINGS.items():
        found = _digests_with(variables)
        others = [operation for operation in expected if found[operation] != expected[operation]]
        sys.stdout.write(f"{name}: {', '.join(others) or 'the same bytes'}\n")


def _digests_with(variables: dict[str, str]) -> dict[str, str]:
    said = run_module("tools.determinism.operations", "digests", environment=variables)
    found: dict[str, str] = json.loads(said.splitlines()[-1])
    return found


def digests() -> dict[str, str]:
    """Digest of each operation's results, over all sizes."""
    tf.config.experimental.enable_op_determinism()
    random = np.random.default_rng(0)
    content: dict[str, Any] = {}
    for results in (_convolutions(random), _dense(random), _others(random)):
        for operation, result in results:
            content.setdefault(operation, hashlib.sha256()).update(result.numpy().tobytes())
    return {operation: found.hexdigest()[:12] for operation, found in content.items()}


def _normal(random: np.random.Generator, *shape: int) -> tf.Tensor:
    return tf.constant(random.standard_normal(shape, dtype=np.float32))


def _convolutions(random: np.random.Generator) -> _Results:
    for side, before, after in _CONVOLUTIONS:
        x = _normal(random, _BATCH, side, side, before)
        kernel = _normal(random, 3, 3, before, after)
        gradient = _normal(random, _BATCH, side, side, after)
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = tf.nn.conv2d(x, kernel, 1, "SAME")
        of_x, of_kernel = tape.gradient(y, [x, kernel], gradient)
        yield "convolution", y
        yield "convolution: gradient of its input", of_x
        yield "convolution: gradient of its weights", of_kernel
        bias = tf.raw_ops.BiasAddGrad(out_backprop=gradient)
        yield "convolution: gradient of its bias", bias
        yield from _normalisation(gradient)
        yield "max-pooling", tf.nn.max_pool2d(gradient, 2, 2, "VALID")
        yield "average over pixels", tf.reduce_mean(gradient, [1, 2])


def _normalisation(x: tf.Tensor) -> _Results:
    layer = keras.layers.BatchNormalization()
    layer.build(x.shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    yield "batch normalisation", y
    for gradient in tape.gradient(y, [x, *layer.trainable_variables], x):
        yield "batch normalisation: gradients", gradient


def _dense(random: np.random.Generator) -> _Results:
    for before, after in _DENSE:
        x, kernel = _normal(random, _BATCH, before), _normal(random, before, after)
        gradient = _normal(random, _BATCH, after)
        yield "dense", x @ kernel
        yield "dense: gradient of its input", tf.matmul(gradient, kernel, transpose_b=True)
        yield "dense: gradient of its weights", tf.matmul(x, gradient, transpose_a=True)


def _others(random: np.random.Generator) -> _Results:
    z, z_t = (_normal(random, _BATCH, 50) for _ in range(2))
    yield "softmax", tf.nn.softmax(z)
    yield "joint matrix", tf.matmul(z, z_t, transpose_a=True)
    yield "sum", tf.reduce_sum(z)
    yield "logarithm", tf.math.log(tf.abs(z))


if __name__ == "__main__":
    run_main(main)
