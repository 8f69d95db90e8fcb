"""Training that goes on where it was stopped: all of its state after each epoch, in one file."""

import logging
from pathlib import Path

import keras
import numpy as np

from iic.errors import InputError
from iic.files import read_all_arrays, write_arrays
from iic.learner import IICModel
from iic.recording import Recorder

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
        weights = _numbered("weight", self.model.network.get_weights())
        slots = [np.asarray(variable) for variable in self.model.optimizer.variables]
        try:
            write_arrays(
                self._file, weights | _numbered("optimizer", slots) | self._recorder.state()
            )
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
    try:
        arrays = read_all_arrays(file)
    except InputError as error:
        log.warning("%s; training begins anew", error)
        return 0
    model.network.set_weights(_collected("weight", arrays))
    model.optimizer.build(model.network.trainable_variables)
    for variable, value in zip(
        model.optimizer.variables, _collected("optimizer", arrays), strict=True
    ):
        variable.assign(value)
    recorder.restore(arrays)
    return len(recorder.history)


def _numbered(name: str, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{name}-{number}": array for number, array in enumerate(arrays)}


def _collected(name: str, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}-") for key in arrays)
    return [arrays[f"{name}-{number}"] for number in range(count)]
