"""Training without labels, from images and augmentation seeds to the trained network."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from iic.augmentation import Transform
from iic.batches import PairBatches, TrainingData
from iic.learner import IICModel
from iic.model import build_network
from iic.params import Params
from iic.recording import Recorder
from iic.teaching import Teaching


@dataclass(frozen=True)
class TrainingResult:
    """The trained network, one history row per epoch, and per-epoch snapshots."""

    network: keras.Model
    history: list[dict[str, float]]
    snapshots: dict[str, np.ndarray]


def train(
    data: TrainingData, params: Params, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> TrainingResult:
    """Train both heads; the same data and parameters give the same result, bit for bit.

    Raises:
        InputError: the data do not fit each other, or the loss is no longer finite.
    """
    keras.utils.set_random_seed(params.seed)
    tf.config.experimental.enable_op_determinism()
    batches = PairBatches(data, params)
    network = build_network(params.model)
    model = build_learner(network, params, steps=batches.schedule.steps)
    recorder = Recorder(network, data.test_images, batches.schedule)
    # The recorder adds to the logs that the caller's callbacks read.
    model.fit(
        batches.dataset(),
        epochs=params.train.epochs,
        steps_per_epoch=len(batches),
        shuffle=False,
        callbacks=[Teaching(batches, params), recorder, *callbacks],
    )
    return TrainingResult(network, recorder.history, recorder.snapshots())


def build_learner(network: keras.Model, params: Params, steps: int) -> IICModel:
    """What is trained: a copy of the network that computes in the precision of training.

    Args:
        network: whose weights the copy starts from.
        params: of the run.
        steps: of the whole training, for the learning rate's schedule.
    """
    learner = build_network(params.model, params.train.precision)
    learner.set_weights(network.get_weights())
    model = IICModel(learner, Transform(params.augment), params.loss)
    rate = keras.optimizers.schedules.PolynomialDecay(
        params.train.learning_rate, max(1, steps - 1), params.train.learning_rate_final
    )
    # The loss is a custom step's own business, so none is given here.
    model.compile(optimizer=keras.optimizers.Adam(rate))
    return model
