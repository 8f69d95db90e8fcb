"""The output of a training outside a terminal, where a progress bar would fill a pipe or log."""

import sys
import time

import keras

# Columns of the history to show, if the epoch has them.
_SHOWN = (
    "loss",
    "cluster_mutual_information",
    "overcluster_mutual_information",
    "clusters_used",
    "overclusters_used",
)


class EpochLines(keras.callbacks.Callback):
    """Writes one line to standard output after each epoch.

    It has to come after the callbacks that add values to the logs.
    """

    def __init__(self) -> None:
        """Start the clock."""
        super().__init__()
        self._start = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's names
        """Restart the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the line of an epoch, counted from 0."""
        logs = logs or {}
        values = [f"{name}: {logs[name]:.5g}" for name in _SHOWN if name in logs]
        seconds = f"{time.perf_counter() - self._start:.0f}s"
        line = " - ".join([f"Epoch {epoch + 1}/{self.params['epochs']}", seconds, *values])
        sys.stdout.write(f"{line}\n")
        # A pipe is buffered; without this, its reader would see nothing for minutes.
        sys.stdout.flush()
