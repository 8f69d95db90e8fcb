"""What a run says of itself without labels: a history row and a snapshot an epoch."""

import json
from collections.abc import Mapping

import keras
import numpy as np

from iic.core.constants import UNTAUGHT, Head
from iic.core.errors import InputError
from iic.model.network import predict
from iic.pairs.schedule import Schedule
from iic.training.learner import IICModel
from iic.training.loss import entropy, marginals, mutual_information

_HISTORY = "history"
_SNAPSHOTS = [f"{head}_{kind}" for head in Head for kind in ("joint", "test")]
# Names of the arrays that a recorder's state consists of.
STATE = (_HISTORY, *_SNAPSHOTS)


class Recorder(keras.callbacks.Callback):
    """Completes Keras's history and takes a snapshot after each epoch, without any label."""

    def __init__(self, network: keras.Model, test_images: np.ndarray, schedule: Schedule) -> None:
        """Prepare for a training.

        Args:
            network: gets the trained weights after each epoch, and computes in float32.
            test_images: (m, 28, 28) uint8, whose hard assignments are recorded.
            schedule: of the training.
        """
        super().__init__()
        self._network, self._test_images, self._schedule = network, test_images, schedule
        self.history: list[dict[str, float]] = []
        self._snapshots: dict[str, list[np.ndarray]] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the epoch's information, used clusters, share taught and schedule to `logs`."""
        model: IICModel = self.model
        logs = {} if logs is None else logs
        _require_finite("loss", logs["loss"], epoch)
        self._network.set_weights(model.network.get_weights())
        assignments = predict(self._network, self._test_images)
        # The last step may have spoilt the weights after the loss was computed.
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
        logs["taught"] = float((model.targets.numpy() != UNTAUGHT).mean())
        logs.update(self._schedule.at(int(model.optimizer.iterations) - 1)._asdict())
        logs["learning_rate"] = float(model.optimizer.learning_rate)
        self.history.append({"epoch": epoch + 1, **{name: float(logs[name]) for name in logs}})

    def snapshots(self) -> dict[str, np.ndarray]:
        """Both heads' joint matrices and hard test assignments, one entry an epoch."""
        return {name: np.stack(arrays) for name, arrays in self._snapshots.items()}

    def state(self) -> dict[str, np.ndarray]:
        """All that was recorded so far, as arrays named as in STATE."""
        return {_HISTORY: np.array(json.dumps(self.history)), **self.snapshots()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from a state; the model has its weights already."""
        self.history = json.loads(str(arrays[_HISTORY]))
        self._snapshots = {name: list(arrays[name]) for name in _SNAPSHOTS}

    def _keep(self, name: str, array: np.ndarray) -> None:
        self._snapshots.setdefault(name, []).append(array)


def _require_finite(what: str, numbers: float | np.ndarray, epoch: int) -> None:
    if not np.isfinite(numbers).all():
        raise InputError(
            f"the {what} is no longer finite in epoch {epoch + 1}; lower train.learning_rate"
        )
