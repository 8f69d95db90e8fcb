"""Resumable training: the whole state of a training, saved in one file after each epoch."""

import logging
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from iic.core.errors import InputError
from iic.core.files import read_arrays, write_arrays
from iic.training.learner import Learner
from iic.training.recorder import STATE, Recorder

log = logging.getLogger(__name__)


class Saver(keras.callbacks.Callback):
    """Saves the state of a training after each epoch, atomically.

    The state consists of the weights, the optimiser's variables and the recorder's state. Seed and
    epoch determine all the rest, such as the order of the images and their views.
    """

    def __init__(self, file: Path, recorder: Recorder) -> None:
        """Prepare for a training.

        Args:
            file: Path of the NPZ file to write.
            recorder: Recorder of the same training, which has to precede this callback.
        """
        super().__init__()
        self._file, self._recorder = file, recorder

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's name
        """Save the state; if that fails, warn and let the training continue."""
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


def resume(file: Path, model: Learner, recorder: Recorder) -> int:
    """Restore the saved state of a training, if there is one.

    Args:
        file: Path of the NPZ file that a Saver wrote; it may be missing.
        model: Model to restore, of the same parameters as the saved one.
        recorder: Recorder to restore.

    Returns:
        Number of finished epochs, 0 if there is no readable state.
    """
    if not file.exists():
        return 0
    variables = model.optimizer.variables
    weights, slots = _names("weight", model.network.weights), _names("optimizer", variables)
    try:
        arrays = read_arrays(file, [*weights, *slots, *STATE])
    except InputError as error:
        log.warning("%s; training starts from the first epoch", error)
        return 0
    model.network.set_weights([arrays[name] for name in weights])
    for variable, name in zip(variables, slots, strict=True):
        variable.assign(arrays[name])
    recorder.restore(arrays)
    return len(recorder.history)


def _names(kind: str, variables: Sequence[object]) -> list[str]:
    return [f"{kind}-{number}" for number in range(len(variables))]
