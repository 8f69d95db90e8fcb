"""Find the operations of a training step whose bytes depend on threads or instructions.

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


def main(arguments: list[str]) -> None:
    """Compare the settings; with `digests`, print this process's digests."""
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
    """Return a digest of each operation's results over all sizes."""
    tf.config.experimental.enable_op_determinism()
    content: dict[str, Any] = {}
    for operation, result in _results(np.random.default_rng(0)):
        content.setdefault(operation, hashlib.sha256()).update(result.numpy().tobytes())
    return {operation: found.hexdigest()[:12] for operation, found in content.items()}


def _results(random: np.random.Generator) -> Iterator[tuple[str, tf.Tensor]]:
    def normal(*shape: int) -> tf.Tensor:
        return tf.constant(random.standard_normal((_BATCH, *shape), dtype=np.float32))

    for side, before, after in _CONVOLUTIONS:
        x, gradient = normal(side, side, before), normal(side, side, after)
        kernel = tf.constant(random.standard_normal((3, 3, before, after), dtype=np.float32))
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = tf.nn.conv2d(x, kernel, 1, "SAME")
        of_x, of_kernel = tape.gradient(y, [x, kernel], gradient)
        yield "convolution", y
        yield "convolution: gradient of its input", of_x
        yield "convolution: gradient of its weights", of_kernel
        bias = tf.raw_ops.BiasAddGrad(out_backprop=gradient)
        yield "convolution: gradient of its bias", bias
        layer = keras.layers.BatchNormalization()
        layer.build(gradient.shape)
        with tf.GradientTape() as tape:
            tape.watch(gradient)
            y = layer(gradient, training=True)
        yield "batch normalisation", y
        for result in tape.gradient(y, [gradient, *layer.trainable_variables], gradient):
            yield "batch normalisation: gradients", result
        yield "max-pooling", tf.nn.max_pool2d(gradient, 2, 2, "VALID")
        yield "average over pixels", tf.reduce_mean(gradient, [1, 2])
    for before, after in _DENSE:
        x, gradient = normal(before), normal(after)
        kernel = tf.constant(random.standard_normal((before, after), dtype=np.float32))
        yield "dense", x @ kernel
        yield "dense: gradient of its input", tf.matmul(gradient, kernel, transpose_b=True)
        yield "dense: gradient of its weights", tf.matmul(x, gradient, transpose_a=True)
    z, z_t = normal(50), normal(50)
    yield "softmax", tf.nn.softmax(z)
    yield "joint matrix", tf.matmul(z, z_t, transpose_a=True)
    yield "sum", tf.reduce_sum(z)
    yield "logarithm", tf.math.log(tf.abs(z))


if __name__ == "__main__":
    run_main(main)
