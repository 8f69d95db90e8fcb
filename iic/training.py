"""Training without labels, from images and augmentation seeds to the trained network."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from iic.augmentation import Transform
from iic.batches import PairBatches, TrainingData
from iic.learner import IICModel, Schedule
from iic.model import build_network
from iic.params import Params
from iic.recording import Recorder


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
    batches = PairBatches(data, params.augment, params.train, params.seed)
    model = _build_model(params, steps=params.train.epochs * len(batches))
    recorder = Recorder(data.test_images)
    # The recorder comes first: it adds to the logs that the other callbacks read.
    model.fit(
        batches,
        epochs=params.train.epochs,
        shuffle=False,
        callbacks=[recorder, *callbacks],
    )
    return TrainingResult(model.network, recorder.history, recorder.snapshots())


def _build_model(params: Params, steps: int) -> IICModel:
    final = params.loss.alpha_final
    schedule = Schedule(
        steps=steps,
        alpha=params.loss.alpha,
        alpha_final=params.loss.alpha if final is None else final,
        strength_final=params.augment.strength_final,
    )
    model = IICModel(
        build_network(params.model),
        Transform(params.augment),
        schedule,
        params.loss.overclustering_weight,
    )
    rate = keras.optimizers.schedules.PolynomialDecay(
        params.train.learning_rate, max(1, steps - 1), params.train.learning_rate_final
    )
    # The loss is a custom step's own business, so none is given here.
    model.compile(optimizer=keras.optimizers.Adam(rate))
    return model
