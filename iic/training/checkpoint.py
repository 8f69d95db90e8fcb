"""Training that goes on where it was stopped: all of its state after each epoch, in one file."""

import logging
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from iic.core.errors import InputError
from iic.core.files import read_arrays, write_arrays
from iic.training.learner import IICModel
from iic.training.recorder import STATE, Recorder

log = logging.getLogger(__name__)


class Saver(keras.callbacks.Callback):
    """Writes the state of a training after each epoch, whole or not at all.

    The order of the images and their views follow from seed and epoch, so weights, the optimiser's
    variables and what the recorder holds are all that the next epoch depends on.
    """

    def __init__(self, file: Path, recorder: Recorder) -> None:
        """`recorder` is called before this one."""
        super().__init__()
        self._file, self._recorder = file, recorder

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Write the state; a training that cannot be saved goes on all the same."""
        weights, slots = self.model.network.weights, self.model.optimizer.variables
        names = [*_names("weight", weights), *_names("optimizer", slots)]
        arrays = [np.asarray(variable) for variable in (*weights, *slots)]
        try:
            write_arrays(self._file, dict(zip(names, arrays, strict=True)) | self._recorder.state())
        except OSError as error:
            log.warning(
                "%s: %s; an interruption now would cost epoch %d",
                *(self._file, error.strerror or error, epoch + 1),
            )


def resume(file: Path, model: IICModel, recorder: Recorder) -> int:
    """Put a model and its recorder into the saved state, if there is one.

    Returns:
        The number of finished epochs.
    """
    if not file.exists():
        return 0
    variables = model.optimizer.variables
    weights, slots = _names("weight", model.network.weights), _names("optimizer", variables)
    try:
        arrays = read_arrays(file, [*weights, *slots, *STATE])
    except InputError as error:
        log.warning("%s; training begins anew", error)
        return 0
    model.network.set_weights([arrays[name] for name in weights])
    for variable, name in zip(variables, slots, strict=True):
        variable.assign(arrays[name])
    recorder.restore(arrays)
    return len(recorder.history)


def _names(kind: str, variables: Sequence[object]) -> list[str]:
    return [f"{kind}-{number}" for number in range(len(variables))]
