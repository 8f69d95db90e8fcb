"""What the estimator computes with TensorFlow: training, assignments and features.

The training takes the steps of the stages `augment`, `neighbors` and `train` in memory.
"""

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from iic.core.errors import InputError
from iic.core.params import Params
from iic.model.assignments import Assignments
from iic.model.network import embed, predict
from iic.pairs.batches import TrainingData
from iic.pairs.draws import make_draws
from iic.pairs.neighbors import find_neighbors
from iic.training.checks import check_images, check_result
from iic.training.fit import TrainingResult
from iic.training.train import train


def train_on(images: np.ndarray, params: Params, verbose: int) -> tuple[TrainingResult, list[str]]:
    """Train on images as the pipeline does, without writing a file.

    Args:
        images: (n, 28, 28) uint8 images, light ink on dark paper. Their assignments are recorded
            after each epoch, as those of test images are in the pipeline.
        params: Parameters of the run.
        verbose: Keras's `verbose`.

    Returns:
        The result, of fewer epochs after an interruption, and warnings.

    Raises:
        InputError: The images are too few, or all the same.
        KeyboardInterrupt: The training was interrupted before its first epoch was finished.
    """
    n, size = len(images), params.train.batch_size
    if (images == images[0]).all():
        raise InputError(f"all {n:,} images are the same, so there is nothing to cluster")
    if n < size:
        raise InputError(f"n_samples={n} is less than a batch, train.batch_size={size}; lower it")
    warnings = check_images(images, params)
    neighbors, more = find_neighbors(images, params.augment.neighbors)
    draws = make_draws(params.seed, params.augment.views, n)
    data = TrainingData(images, images, **draws, neighbors=neighbors)
    with _random_state_kept(), _without_advice():
        result = train(data, params, verbose=verbose, keep_interrupted=True)
    return result, [*warnings, *more, *check_result(result.history[-1], params.model)]


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Restore the global random states of Python and NumPy, which a training seeds."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global state
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - the global state


def assign(network: keras.Model, images: np.ndarray) -> Assignments:
    """Compute the soft assignments of images (n, 28, 28), uint8."""
    with _without_advice():
        return predict(network, images)


def describe(network: keras.Model, images: np.ndarray) -> tuple[np.ndarray, Assignments]:
    """Compute the backbone's features, (n, width) float32, and the soft assignments of images."""
    with _without_advice():
        return embed(network, images)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Hold back TensorFlow's advice on retracing, which each new network and batch size brings."""
    log = logging.getLogger("tensorflow")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
