"""Find the operations of a training step whose bytes depend on threads or instructions.

`python -m tools.determinism.operations` computes each operation on the same numbers in a process
for each setting, and names those whose bytes are not the ones of two threads.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from iic.core.errors import InputError
from iic.experiments.recipes import recipe_params
from iic.model.network import build_network
from tools.command import run_main, run_module

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
    return json.loads(said.splitlines()[-1])


def digests() -> dict[str, str]:
    """Return a digest of each operation's results over all layers of the recipe `fast`."""
    tf.config.experimental.enable_op_determinism()
    content: dict[str, Any] = {}
    for operation, result in _results(np.random.default_rng(0)):
        content.setdefault(operation, hashlib.sha256()).update(result.numpy().tobytes())
    return {operation: found.hexdigest()[:12] for operation, found in content.items()}


def _results(random: np.random.Generator) -> Iterator[tuple[str, tf.Tensor]]:
    """Yield the output of each layer and its gradients, then the operations of the loss."""

    def normal(*shape: int) -> tf.Tensor:
        return tf.constant(random.standard_normal(shape, dtype=np.float32))

    for layer in build_network(recipe_params("fast").model).layers[1:]:
        x, name = normal(_BATCH, *layer.input.shape[1:]), type(layer).__name__
        for weights in layer.trainable_variables:
            weights.assign(normal(*weights.shape))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        yield name, y
        inputs = {"input": x, **{weights.name: weights for weights in layer.trainable_variables}}
        for what, gradient in tape.gradient(y, inputs, normal(*y.shape)).items():
            yield f"{name}: gradient of {what}", gradient
    z, z_t = normal(_BATCH, 50), normal(_BATCH, 50)
    yield "joint matrix", tf.matmul(z, z_t, transpose_a=True)
    yield "sum", tf.reduce_sum(z)
    yield "logarithm", tf.math.log(tf.abs(z))


if __name__ == "__main__":
    run_main(main)
