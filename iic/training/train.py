"""Training without labels, from images and augmentation seeds to the trained network."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from iic.core.constants import UNTAUGHT
from iic.core.errors import InputError
from iic.core.params import Params
from iic.model.network import build_network, predict
from iic.pairs.augmentation import Transform
from iic.pairs.batches import PairBatches, TrainingData
from iic.training.checkpoint import Saver, resume
from iic.training.consensus import agreement
from iic.training.learner import IICModel
from iic.training.recorder import Recorder
from iic.training.teaching import Teaching

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """The trained network, one history row per epoch, and per-epoch snapshots."""

    network: keras.Model
    history: list[dict[str, float]]
    snapshots: dict[str, np.ndarray]


def train(
    data: TrainingData,
    params: Params,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    state: Path | None = None,
) -> TrainingResult:
    """Train both heads; the same data and parameters give the same result, bit for bit.

    With a committee, its members are trained first, from other initial weights and in another
    order. The clusters of the images that they agree on then teach the network that is kept, which
    makes no moves of its own: it did no better with them (docs/recipe-log.md).

    Args:
        data: images, draws and neighbours.
        params: of the run.
        callbacks: further ones, of the network that is kept.
        state: folder for the state after each epoch, from which the same call goes on after an
            interruption, to the same result; what was saved there must be of the same data and
            parameters. None = nothing is saved.

    Raises:
        InputError: the data do not fit each other, or the loss is no longer finite.
    """
    file = state and state / "network.npz"
    if not params.committee.members:
        return _train_one(data, params, _untaught(data), file, callbacks)
    weight = params.committee.weight
    taught = params.with_values(loss={"teaching_weight": weight, "teaching_from": 1.0})
    return _train_one(data, taught, _committee(data, params, state), file, callbacks)


def _untaught(data: TrainingData) -> np.ndarray:
    return np.full(len(data.train_images), UNTAUGHT, np.int32)


def _committee(data: TrainingData, params: Params, state: Path | None) -> np.ndarray:
    """(n,) int32 the cluster of each training image that the members agree on, or UNTAUGHT."""
    committee, clusterings = params.committee, []
    for number, seed in enumerate(member_seeds(params.seed, committee.members), start=1):
        log.info("member %d of %d of the committee", number, committee.members)
        file = state and state / f"member-{number}.npz"
        network = _train_one(data, member_params(params, seed), _untaught(data), file).network
        clusterings.append(predict(network, data.train_images).hard_cluster)
    agreed = agreement(clusterings, params.model.clusters, committee.kept, committee.quorum)
    log.info("the committee agrees on %.2f %% of the images", 100 * (agreed != UNTAUGHT).mean())
    return agreed


def member_params(params: Params, seed: int) -> Params:
    """Parameters of a member of the committee."""
    widths = [max(1, round(params.committee.width * width)) for width in params.model.widths]
    epochs = params.committee.epochs
    changed = params.with_values(model={"widths": widths}, train={"epochs": epochs})
    return changed.model_copy(update={"seed": seed})


def member_seeds(seed: int, members: int) -> list[int]:
    """Seeds of initial weights and batch order, unlike those of any other run's members."""
    return [int(s) >> 1 for s in np.random.SeedSequence(seed).generate_state(members)]


def _train_one(
    data: TrainingData,
    params: Params,
    targets: np.ndarray,
    file: Path | None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> TrainingResult:
    keras.utils.set_random_seed(params.seed)
    tf.config.experimental.enable_op_determinism()
    batches = PairBatches(data, params)
    network = build_network(params.model)
    model = build_learner(network, params, batches)
    recorder = Recorder(network, data.test_images, batches.schedule)
    teaching = [Teaching(batches, params, targets)] if params.loss.teaching_weight > 0 else []
    finished = resume(file, model, recorder) if file else 0
    if finished:
        log.info("going on after epoch %d of %d", finished, params.train.epochs)
        network.set_weights(model.network.get_weights())
    if finished < params.train.epochs:
        saver = [Saver(file, recorder)] if file else []
        with _enough_memory():
            # The recorder adds to the logs that the caller's callbacks read.
            model.fit(
                batches.dataset(finished),
                initial_epoch=finished,
                epochs=params.train.epochs,
                steps_per_epoch=len(batches),
                shuffle=False,
                callbacks=[*teaching, recorder, *saver, *callbacks],
            )
    return TrainingResult(network, recorder.history, recorder.snapshots())


@contextmanager
def _enough_memory() -> Iterator[None]:
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise InputError(
            "train.batch_size: not enough memory for a step; lower it, or the widths of the network"
        ) from error


def build_learner(network: keras.Model, params: Params, batches: PairBatches) -> IICModel:
    """What is trained: a copy of the network that computes in the precision of training.

    Args:
        network: whose weights the copy starts from.
        params: of the run.
        batches: of the whole training.
    """
    learner = build_network(params.model, params.train.precision)
    learner.set_weights(network.get_weights())
    model = IICModel(learner, Transform(params.augment), params.loss, len(batches.images))
    rate = keras.optimizers.schedules.PolynomialDecay(
        params.train.learning_rate,
        max(1, batches.schedule.steps - 1),
        params.train.learning_rate_final,
    )
    # The loss is a custom step's own business, so none is given here.
    model.compile(optimizer=keras.optimizers.Adam(rate))
    # A first step that makes variables is traced twice, which takes seconds.
    model.optimizer.build(learner.trainable_variables)
    return model
