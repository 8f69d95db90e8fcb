"""How a learner is trained: its optimiser, Keras's `fit`, the saved state and the output."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from iic.core.errors import InputError
from iic.core.machine import freed_memory_kept
from iic.core.params import OptimizerParams
from iic.training.checkpoint import Saver, resume
from iic.training.console import EpochLines
from iic.training.learner import Learner
from iic.training.recorder import Recorder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training.

    Attributes:
        network: The trained network, in float32.
        history: A row of named values for each epoch.
        snapshots: For each head, its joint matrices, (epochs, k, k) float32, and the hard
            assignments of the test images, (epochs, m) uint16; in segmentation, those of the
            pixels, (epochs, m, h, w).
    """

    network: keras.Model
    history: list[dict[str, float]]
    snapshots: dict[str, np.ndarray]

    def followed_by(self, other: "TrainingResult") -> "TrainingResult":
        """Return the network of another training after this one, with the epochs of both."""
        epochs = len(self.history)
        later = [row | {"epoch": row["epoch"] + epochs} for row in other.history]
        snapshots = {
            name: np.concatenate([array, other.snapshots[name]])
            for name, array in self.snapshots.items()
        }
        return TrainingResult(other.network, self.history + later, snapshots)


class Batches(Protocol):
    """The batches of a whole training."""

    def __len__(self) -> int:
        """Return the number of batches per epoch."""

    def dataset(self, first_epoch: int = 0) -> tf.data.Dataset:
        """Stream the batches of all epochs from `first_epoch` on, counted from 0."""


@dataclass(frozen=True)
class Watching:
    """Who watches a training.

    Attributes:
        callbacks: Additional callbacks.
        verbose: Keras's `verbose`: 0 for no output, 1 for a progress bar, 2 for a line per epoch.
            None draws a bar on a terminal, and elsewhere writes a line per epoch.
        keep_interrupted: Whether an interruption (Ctrl+C) ends the training with the result of its
            last finished epoch. Without one, it is raised.
    """

    callbacks: Sequence[keras.callbacks.Callback] = ()
    verbose: int | None = None
    keep_interrupted: bool = False


def fit_learner(
    model: Learner,
    batches: Batches,
    recorder: Recorder,
    epochs: int,
    file: Path | None,
    deciding: Sequence[keras.callbacks.Callback] = (),
    watching: Watching = Watching(),
) -> None:
    """Train a learner, from the state in a file if there is one.

    Args:
        model: Learner from compile_learner.
        batches: Batches of the training.
        recorder: Recorder of the training.
        epochs: Epochs of the whole training.
        file: NPZ file in which to save the state after each epoch, or None.
        deciding: Callbacks that decide what the network is taught, before the recorder's turn.
        watching: Who watches the training.

    Raises:
        InputError: The loss or the weights are not finite, or a step needs too much memory.
    """
    finished = resume(file, model, recorder) if file else 0
    if finished:
        log.info("resuming after epoch %d of %d", finished, epochs)
        recorder.receive_weights(model)
    if finished == epochs:
        return
    saver = [Saver(file, recorder)] if file else []
    lines, verbose = _output(watching.verbose)
    with (
        freed_memory_kept(),
        _enough_memory(),
        _interruptible(recorder if watching.keep_interrupted else None),
    ):
        model.fit(
            batches.dataset(finished),
            initial_epoch=finished,
            epochs=epochs,
            steps_per_epoch=len(batches),
            shuffle=False,
            # The recorder adds values to the logs that the callbacks after it read.
            callbacks=[*deciding, recorder, *lines, *saver, *watching.callbacks],
            verbose=verbose,
        )


def compile_learner(model: Learner, params: OptimizerParams, steps: int) -> None:
    """Give a learner an Adam optimiser whose learning rate falls linearly from step to step.

    Args:
        model: Learner to compile.
        params: Learning rates.
        steps: Steps of the whole training.
    """
    rate = keras.optimizers.schedules.PolynomialDecay(
        params.learning_rate, max(1, steps - 1), params.learning_rate_final
    )
    # Without a loss, since train_step computes its own.
    model.compile(optimizer=keras.optimizers.Adam(rate))
    # Create the optimiser's variables now: otherwise the first step is traced twice, for seconds.
    model.optimizer.build(model.network.trainable_variables)


def _output(verbose: int | None) -> tuple[list[keras.callbacks.Callback], int]:
    """Return the callbacks that write the progress, and Keras's `verbose`."""
    if verbose is not None:
        return [], verbose
    # A progress bar needs a terminal; in a pipe or log file it would be drawn again and again.
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    return [] if on_terminal or sys.stdout is None else [EpochLines()], int(on_terminal)


@contextmanager
def _interruptible(recorder: Recorder | None) -> Iterator[None]:
    """End the block at an interruption if an epoch is finished; None lets interruptions pass."""
    try:
        yield
    except KeyboardInterrupt:
        if recorder is None or not recorder.return_to_last_epoch():
            raise


@contextmanager
def _enough_memory() -> Iterator[None]:
    """Raise InputError where a training step runs out of memory."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise InputError(
            "train.batch_size: not enough memory for a training step; lower it or model.widths"
        ) from error
