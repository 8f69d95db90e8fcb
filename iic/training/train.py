"""Training without labels, from images and augmentation seeds to the trained network.

Keras's `fit` drives each training. The step is IICModel.train_step (learner.py), which minimises
the loss (loss.py). Callbacks reassign overclusters (teaching.py), record history and snapshots
(recorder.py) and save the state (checkpoint.py). With teachers, one or several networks are trained
in this way first; the clusters of most of them (consensus.py), without those in doubt (doubts.py),
teach the final network, the student (student.py).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from iic.core.constants import TEACH_ALL, UNTAUGHT
from iic.core.params import Params
from iic.core.sampling import evenly
from iic.core.shapes import shape_of
from iic.model.network import build_network, embed
from iic.pairs.augmentation import Transform
from iic.pairs.batches import PairBatches, TrainingData
from iic.training.consensus import majority
from iic.training.doubts import group_styles, without_doubts
from iic.training.fit import TrainingResult, Watching, compile_learner, fit_learner
from iic.training.learner import IICModel
from iic.training.recorder import Recorder
from iic.training.student import Lessons, StudentModel, single_views
from iic.training.teaching import Teaching

log = logging.getLogger(__name__)

# Test images that are recorded for teachers after the first, whose records nobody reads; the
# recorder needs some to find a network that is not finite.
_RECORDED = 500


def train(
    data: TrainingData,
    params: Params,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    state: Path | None = None,
    *,
    verbose: int | None = None,
    keep_interrupted: bool = False,
) -> TrainingResult:
    """Train a network, or teachers and then their student.

    On one machine, the same data and parameters give the same result, bit for bit. Teachers start
    from other initial weights and see the images in another order.

    Args:
        data: Images, draws and neighbours.
        params: Parameters of the run.
        callbacks: Additional callbacks for the trainings of the first teacher and of the final
            network, whose epochs are the history.
        state: Folder in which to save the state after each epoch, or None. After an interruption,
            the same call resumes from it and gives the same result. A saved state must be of the
            same data and parameters.
        verbose: Keras's `verbose`: 0 for no output, 1 for a progress bar, 2 for a line per epoch.
            None draws a bar on a terminal, and elsewhere writes a line per epoch.
        keep_interrupted: Whether an interruption (Ctrl+C) ends the training of the final network
            with the result of its last finished epoch. Without one, it is raised.

    Returns:
        The trained network with its history and snapshots. With teachers, these begin with the
        epochs of the first teacher, whose numbers of clusters the student has.

    Raises:
        InputError: The data do not fit the parameters, the loss or the weights are not finite, or
            a step needs too much memory.
    """
    file = state and state / "network.npz"
    watching = Watching(callbacks, verbose, keep_interrupted)
    if not params.student.teachers:
        return _train_one(data, params, file, watching)
    # Without all teachers there is no student, so their interruption leaves nothing to keep.
    asked = replace(watching, keep_interrupted=False)
    lesson, first = _ask_teachers(data, params, state, asked)
    log.info("student")
    learning = params.with_values(train={"epochs": params.student_epochs})
    return first.followed_by(_train_one(data, learning, file, watching, lesson))


@dataclass(frozen=True)
class _Lesson:
    """What teachers teach: (n,) int32 clusters and overclusters, or UNTAUGHT."""

    clusters: np.ndarray
    overclusters: np.ndarray


def _ask_teachers(
    data: TrainingData, params: Params, state: Path | None, watching: Watching
) -> tuple[_Lesson, TrainingResult]:
    """Train the teachers; return what they teach, and the result of the first one."""
    count = params.student.teachers
    clusterings: list[np.ndarray] = []
    groupings: list[np.ndarray] = []
    for number, seed in enumerate(teacher_seeds(params.seed, count)):
        log.info("teacher %d of %d", number + 1, count)
        file = state and state / f"teacher-{number + 1}.npz"
        result = _train_one(data, teacher_params(params, seed), file, watching)
        watching = replace(watching, callbacks=())
        data = replace(data, test_images=data.test_images[evenly(len(data.test_images), _RECORDED)])
        features, soft = embed(result.network, data.train_images)
        if number == 0:
            first, overclusters = result, soft.hard_overcluster.astype(np.int32)
        clusterings.append(soft.hard_cluster)
        if params.student.margin > TEACH_ALL:
            groupings += group_styles(features, number, count)
    agreed = majority(clusterings, params.model.clusters)
    taught = without_doubts(data.train_images, groupings, agreed, params.student.margin)
    share = (taught != UNTAUGHT).mean()
    log.info("%.2f %% of the images are taught at first, the others are in doubt", 100 * share)
    return _Lesson(taught, overclusters), first


def teacher_params(params: Params, seed: int) -> Params:
    """Return the parameters of a teacher: a scaled backbone and another seed."""
    scale = params.student.teacher_width
    widths = [max(1, round(scale * width)) for width in params.model.widths]
    return params.with_values(model={"widths": widths}).model_copy(update={"seed": seed})


def teacher_seeds(seed: int, count: int) -> list[int]:
    """Derive the seeds of the teachers from the seed of the run.

    Args:
        seed: Seed of the run, a non-negative integer.
        count: Number of teachers.

    Returns:
        Seeds from 0 to 2³¹ - 1, one for each teacher.
    """
    return [int(s) >> 1 for s in np.random.SeedSequence(seed).generate_state(count)]


def _train_one(
    data: TrainingData,
    params: Params,
    file: Path | None,
    watching: Watching,
    lesson: _Lesson | None = None,
) -> TrainingResult:
    """Train one network, a student if there is a lesson, from the state in `file` if saved."""
    keras.utils.set_random_seed(params.seed)
    tf.config.experimental.enable_op_determinism()
    # A student sees single images, so each epoch has a view of its own.
    batches = PairBatches(data, single_views(params) if lesson else params)
    network = build_network(params.model, shape_of(data.train_images))
    kind = StudentModel if lesson else IICModel
    model = build_learner(network, params, batches, kind)
    recorder = Recorder(network, data.test_images, lambda step: batches.schedule.at(step)._asdict())
    deciding = _teaching(PairBatches(data, params), params, lesson)
    fit_learner(model, batches, recorder, params.train.epochs, file, deciding, watching)
    return TrainingResult(network, recorder.history, recorder.snapshots())


def _teaching(
    batches: PairBatches, params: Params, lesson: _Lesson | None
) -> list[keras.callbacks.Callback]:
    """Return the callbacks that decide what the network is taught."""
    if lesson:
        return [Lessons(batches, params, lesson.clusters, lesson.overclusters)]
    return [Teaching(batches, params)] if params.loss.teaching_weight > 0 else []


def build_learner(
    network: keras.Model, params: Params, batches: PairBatches, kind: type[IICModel] = IICModel
) -> IICModel:
    """Build the compiled model that is trained.

    It contains a copy of the network that computes in the precision of the training.

    Args:
        network: Network with the initial weights.
        params: Parameters of the run.
        batches: Batches of the whole training.
        kind: Class of the model, which decides the training step.

    Returns:
        Model with an Adam optimiser whose learning rate falls linearly from step to step.
    """
    learner = build_network(params.model, shape_of(batches.images), params.train.used_precision)
    learner.set_weights(network.get_weights())
    model = kind(learner, Transform(params.augment), params.loss, len(batches.images))
    compile_learner(model, params.train, batches.schedule.steps)
    return model
