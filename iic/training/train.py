"""Training without labels, from images and augmentation seeds to the trained network.

Keras's `fit` drives the training. The step is IICModel.train_step (iic/training/learner.py), which
minimises the loss (iic/training/loss.py). Callbacks reassign overclusters (teaching.py), record
history and snapshots (recorder.py) and save the state (checkpoint.py). With a committee, several
networks are trained first, and what they agree on (consensus.py) teaches the final one.
"""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from iic.core.constants import UNTAUGHT
from iic.core.errors import InputError
from iic.core.machine import freed_memory_kept
from iic.core.params import Params
from iic.core.shapes import shape_of
from iic.model.network import build_network, predict
from iic.pairs.augmentation import Transform
from iic.pairs.batches import PairBatches, TrainingData
from iic.training.checkpoint import Saver, resume
from iic.training.consensus import agreement
from iic.training.console import EpochLines
from iic.training.learner import IICModel
from iic.training.recorder import Recorder
from iic.training.teaching import Teaching

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training.

    Attributes:
        network: The trained network, in float32.
        history: A row of named values for each epoch.
        snapshots: For each head, its joint matrices, (epochs, k, k) float32, and the hard
            assignments of the test images, (epochs, m) uint16.
    """

    network: keras.Model
    history: list[dict[str, float]]
    snapshots: dict[str, np.ndarray]


def train(
    data: TrainingData,
    params: Params,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    state: Path | None = None,
    *,
    verbose: int | None = None,
    keep_interrupted: bool = False,
) -> TrainingResult:
    """Train a network, after a committee if there is one.

    On one machine, the same data and parameters give the same result, bit for bit.

    The members of a committee start from other initial weights and see the images in another order.
    The clusters on which they agree then teach the final network. That network reassigns no
    overclusters, since this did not improve it (docs/recipe-log.md).

    Args:
        data: Images, draws and neighbours.
        params: Parameters of the run.
        callbacks: Additional callbacks for the training of the final network.
        state: Folder in which to save the state after each epoch, or None. After an interruption,
            the same call resumes from it and gives the same result. A saved state must be of the
            same data and parameters.
        verbose: Keras's `verbose`: 0 for no output, 1 for a progress bar, 2 for a line per epoch.
            None draws a bar on a terminal, and elsewhere writes a line per epoch.
        keep_interrupted: Whether an interruption (Ctrl+C) ends the training of the final network
            with the result of its last finished epoch. Without one, it is raised.

    Returns:
        The trained network with its history and snapshots.

    Raises:
        InputError: The data do not fit the parameters, the loss or the weights are not finite, or
            a step needs too much memory.
    """
    file = state and state / "network.npz"
    if not params.committee.members:
        return _train_one(
            *(data, params, _untaught(data), file, callbacks, verbose),
            keep_interrupted=keep_interrupted,
        )
    weight = params.committee.weight
    taught = params.with_values(loss={"teaching_weight": weight, "teaching_from": 1.0})
    targets = _committee(data, params, state, verbose)
    return _train_one(
        *(data, taught, targets, file, callbacks, verbose), keep_interrupted=keep_interrupted
    )


def _untaught(data: TrainingData) -> np.ndarray:
    return np.full(len(data.train_images), UNTAUGHT, np.int32)


def _committee(
    data: TrainingData, params: Params, state: Path | None, verbose: int | None
) -> np.ndarray:
    """Train the members; return the (n,) int32 clusters on which they agree, or UNTAUGHT."""
    committee, clusterings = params.committee, []
    for number, seed in enumerate(member_seeds(params.seed, committee.members), start=1):
        log.info("committee member %d of %d", number, committee.members)
        file = state and state / f"member-{number}.npz"
        member = _train_one(
            data, member_params(params, seed), _untaught(data), file, verbose=verbose
        )
        network = member.network
        clusterings.append(predict(network, data.train_images).hard_cluster)
    agreed = agreement(clusterings, params.model.clusters, committee.kept, committee.quorum)
    share = (agreed != UNTAUGHT).mean()
    log.info("the committee agrees on %.2f %% of the training images", 100 * share)
    return agreed


def member_params(params: Params, seed: int) -> Params:
    """Return the parameters of a committee member.

    Args:
        params: Parameters of the run.
        seed: Seed of the member.

    Returns:
        Parameters with a scaled backbone, the epochs of the committee and the seed.
    """
    widths = [max(1, round(params.committee.width * width)) for width in params.model.widths]
    epochs = params.committee.epochs
    changed = params.with_values(model={"widths": widths}, train={"epochs": epochs})
    return changed.model_copy(update={"seed": seed})


def member_seeds(seed: int, members: int) -> list[int]:
    """Derive the seeds of the committee members from the seed of the run.

    Args:
        seed: Seed of the run, a non-negative integer.
        members: Number of members.

    Returns:
        Seeds from 0 to 2³¹ - 1, one for each member.
    """
    return [int(s) >> 1 for s in np.random.SeedSequence(seed).generate_state(members)]


def _train_one(
    data: TrainingData,
    params: Params,
    targets: np.ndarray,
    file: Path | None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | None = None,
    *,
    keep_interrupted: bool = False,
) -> TrainingResult:
    """Train one network, from the saved state in `file` if there is one."""
    keras.utils.set_random_seed(params.seed)
    tf.config.experimental.enable_op_determinism()
    batches = PairBatches(data, params)
    network = build_network(params.model, shape_of(data.train_images))
    model = build_learner(network, params, batches)
    recorder = Recorder(network, data.test_images, batches.schedule)
    teaching = [Teaching(batches, params, targets)] if params.loss.teaching_weight > 0 else []
    finished = resume(file, model, recorder) if file else 0
    if finished:
        log.info("resuming after epoch %d of %d", finished, params.train.epochs)
        network.set_weights(model.network.get_weights())
    if finished < params.train.epochs:
        saver = [Saver(file, recorder)] if file else []
        lines, verbose = _output(verbose)
        with (
            freed_memory_kept(),
            _enough_memory(),
            _interruptible(recorder if keep_interrupted else None),
        ):
            model.fit(
                batches.dataset(finished),
                initial_epoch=finished,
                epochs=params.train.epochs,
                steps_per_epoch=len(batches),
                shuffle=False,
                # The recorder adds values to the logs that the callbacks after it read.
                callbacks=[*teaching, recorder, *lines, *saver, *callbacks],
                verbose=verbose,
            )
    return TrainingResult(network, recorder.history, recorder.snapshots())


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


def build_learner(network: keras.Model, params: Params, batches: PairBatches) -> IICModel:
    """Build the compiled model that is trained.

    It contains a copy of the network that computes in the precision of the training.

    Args:
        network: Network with the initial weights.
        params: Parameters of the run.
        batches: Batches of the whole training.

    Returns:
        Model with an Adam optimiser whose learning rate falls linearly from step to step.
    """
    learner = build_network(params.model, shape_of(batches.images), params.train.precision)
    learner.set_weights(network.get_weights())
    model = IICModel(learner, Transform(params.augment), params.loss, len(batches.images))
    rate = keras.optimizers.schedules.PolynomialDecay(
        params.train.learning_rate,
        max(1, batches.schedule.steps - 1),
        params.train.learning_rate_final,
    )
    # Without a loss, since train_step computes its own.
    model.compile(optimizer=keras.optimizers.Adam(rate))
    # Create the optimiser's variables now: otherwise the first step is traced twice, for seconds.
    model.optimizer.build(learner.trainable_variables)
    return model
