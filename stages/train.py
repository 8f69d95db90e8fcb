"""Stage 4: train both heads on pairs of images, without reading labels."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from dvclive.live import Live

from iic.core.files import read_arrays, write_arrays, write_table
from iic.core.params import Params
from iic.core.quiet import device_name, quiet
from iic.pipeline.paths import DRAWS, HISTORY, IMAGES, MODEL, NEIGHBORS, SNAPSHOTS
from iic.pipeline.resume import resumable
from iic.pipeline.stage import line_ended, run

with quiet():
    from dvclive.keras import DVCLiveCallback

    from iic.model.network import as_input
    from iic.model.store import save_network
    from iic.pairs.augmentation import Draws, operation_examples
    from iic.pairs.batches import TrainingData
    from iic.training.checks import check_images, check_result
    from iic.training.train import train

log = logging.getLogger(__name__)

# Folder of DVCLive, for watching a run; the outputs of the stage are written elsewhere.
WATCHED = Path("dvclive")
# Training images on which the report shows the effect of each operation.
EXAMPLES = 6


def main(params: Params) -> None:
    """Train, and store the model, the history and the snapshots."""
    data = read_data()
    _warn(check_images(data.train_images, params))
    log.info("training on %s", device_name())
    log.info("precision: %s", params.train.used_precision)
    with resumable(params, [Path(__file__), IMAGES, DRAWS, NEIGHBORS]) as state, line_ended():
        _train(data, params, state)


def _train(data: TrainingData, params: Params, state: Path) -> None:
    with (
        _named(WATCHED),
        Live(str(WATCHED), dvcyaml=False, save_dvc_exp=False, report=None) as live,
    ):
        result = train(data, params, [DVCLiveCallback(live=live)], state / "first")
    second = _second_clusters(data, params, state / "second")

    save_network(result.network, params.model, MODEL, params.train.used_precision)
    columns = result.history[0].keys()
    write_table(HISTORY, {name: [row[name] for row in result.history] for name in columns})
    write_arrays(
        SNAPSHOTS,
        {
            **result.snapshots,
            "examples": _examples(data, params),
            "second_test": second,
        },
        compress=True,
    )
    _warn(check_result(result.history[-1], params.model))


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        log.warning("warning: %s", warning)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the path to the error of a failed write, which names no file."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def read_data() -> TrainingData:
    """Read the outputs of the earlier stages, without the labels."""
    return TrainingData(
        **read_arrays(IMAGES, ["train_images", "test_images"]),
        **read_arrays(DRAWS, ["draws", "noise_seeds"]),
        **read_arrays(NEIGHBORS, ["neighbors"]),
    )


def _second_clusters(data: TrainingData, params: Params, state: Path) -> np.ndarray:
    """Return the clusters (m,), uint16, of the test images in a second training."""
    if params.train.second_seed is None:
        return np.empty(0, np.uint16)
    log.info("second training, with seed %d", params.train.second_seed)
    other = params.model_copy(update={"seed": params.train.second_seed})
    again = train(data, other, state=state)
    return again.snapshots["cluster_test"][-1]


def _examples(data: TrainingData, params: Params) -> np.ndarray:
    n = EXAMPLES
    draws = Draws(data.draws[0, :n], data.noise_seeds[0, :n])
    return operation_examples(as_input(data.train_images[:n]), draws, params.augment)


if __name__ == "__main__":
    run(main)
