"""Label-free records of a training: a row of the history and a snapshot for each epoch."""

import json
from collections.abc import Callable, Mapping

import keras
import numpy as np

from iic.core.constants import Head
from iic.core.errors import InputError
from iic.model.network import predict
from iic.training.learner import Learner
from iic.training.loss import entropy, marginals, mutual_information

_HISTORY = "history"
_SNAPSHOTS = [f"{head}_{kind}" for head in Head for kind in ("joint", "test")]
# Names of the arrays in the state of a recorder.
STATE = (_HISTORY, *_SNAPSHOTS)


class Recorder(keras.callbacks.Callback):
    """Extends Keras's logs and takes a snapshot after each epoch, without labels.

    Attributes:
        history: A row of named values for each finished epoch.
    """

    def __init__(
        self,
        network: keras.Model,
        test_images: np.ndarray,
        scheduled: Callable[[int], Mapping[str, float]],
    ) -> None:
        """Prepare for a training.

        Args:
            network: Network in float32, which receives the trained weights after each epoch.
            test_images: (m, h, w) or (m, h, w, 3) uint8 images whose hard assignments are recorded.
            scheduled: Function that returns the scheduled values of a step, counted from 0.
        """
        super().__init__()
        self._network, self._test_images, self._scheduled = network, test_images, scheduled
        self.history: list[dict[str, float]] = []
        self._snapshots: dict[str, list[np.ndarray]] = {}
        # Finished epochs, and the weights after the last of them.
        self._finished: tuple[int, list[np.ndarray]] = (0, [])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Record the epoch, counted from 0, and add its values to `logs`.

        These are the mutual information, marginal entropy and number of used clusters of each head,
        the facts of the learner, the scheduled values and the learning rate.

        Raises:
            InputError: The loss or an output of the network is not finite.
        """
        model: Learner = self.model
        logs = {} if logs is None else logs
        _require_finite("loss", logs["loss"], epoch)
        self.receive_weights(model)
        assignments = predict(self._network, self._test_images)
        # The last step changes the weights after its loss was computed.
        for soft in assignments:
            _require_finite("output", soft, epoch)
        for head, soft in zip(Head, assignments, strict=True):
            p_ij = model.joints[head].result()
            hard = soft.argmax(axis=1).astype(np.uint16)
            logs[f"{head}_mutual_information"] = float(mutual_information(p_ij))
            logs[f"{head}_marginal_entropy"] = float(entropy(marginals(p_ij)[0]))
            logs[f"{head}s_used"] = len(np.unique(hard))
            self._keep(f"{head}_joint", p_ij.numpy())
            self._keep(f"{head}_test", hard)
        logs.update(model.facts)
        logs.update(self._scheduled(int(model.optimizer.iterations) - 1))
        logs["learning_rate"] = float(model.optimizer.learning_rate)
        self.history.append({"epoch": epoch + 1, **{name: float(logs[name]) for name in logs}})
        self._finished = len(self.history), self._network.get_weights()

    def receive_weights(self, model: Learner) -> None:
        """Give the recorder's network the weights of the model in training."""
        self._network.set_weights(model.network.get_weights())

    def return_to_last_epoch(self) -> bool:
        """Undo what belongs to an epoch that was interrupted, in the records and the network.

        Returns:
            Whether an epoch was finished in this process; otherwise nothing is undone.
        """
        epochs, weights = self._finished
        if not epochs:
            return False
        self._network.set_weights(weights)
        del self.history[epochs:]
        for arrays in self._snapshots.values():
            del arrays[epochs:]
        return True

    def snapshots(self) -> dict[str, np.ndarray]:
        """Return the snapshots of all epochs.

        Returns:
            For each head, its joint matrices, (epochs, k, k) float32, and the hard assignments of
            the test images, (epochs, m) uint16.
        """
        return {name: np.stack(arrays) for name, arrays in self._snapshots.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Return all records as arrays with the names in STATE."""
        return {_HISTORY: np.array(json.dumps(self.history)), **self.snapshots()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace all records by those of a state."""
        self.history = json.loads(str(arrays[_HISTORY]))
        self._snapshots = {name: list(arrays[name]) for name in _SNAPSHOTS}

    def _keep(self, name: str, array: np.ndarray) -> None:
        self._snapshots.setdefault(name, []).append(array)


def _require_finite(what: str, numbers: float | np.ndarray, epoch: int) -> None:
    if not np.isfinite(numbers).all():
        raise InputError(
            f"the {what} is no longer finite in epoch {epoch + 1}; lower train.learning_rate"
        )
