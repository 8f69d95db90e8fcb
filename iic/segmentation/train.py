"""Training of a segmentation without masks, from tiles to the trained network.

The step is SegmentationModel.train_step (learner.py), which minimises the loss (loss.py); all the
rest is that of clustering (iic.training.fit), with pixels in place of images.
"""

import logging
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from iic.core.sampling import evenly
from iic.core.shapes import shape_of
from iic.segmentation.batches import TileBatches
from iic.segmentation.grouping import Grouping
from iic.segmentation.learner import SegmentationModel
from iic.segmentation.network import build_pixels, build_trunk
from iic.segmentation.params import SegmentationParams
from iic.training.fit import TrainingResult, Watching, compile_learner, fit_learner
from iic.training.recorder import Recorder

log = logging.getLogger(__name__)

# Most probabilities of the recorded tiles after an epoch: 256 MB, and twice as much for a moment.
_RECORDED = 1 << 26


def train_segmentation(
    train_tiles: np.ndarray,
    valid: np.ndarray,
    test_tiles: np.ndarray,
    params: SegmentationParams,
    file: Path | None = None,
    watching: Watching = Watching(),  # noqa: B008 - immutable
) -> TrainingResult:
    """Train a network.

    On one machine, the same tiles and parameters give the same result, bit for bit.

    Args:
        train_tiles: (n, s, s) or (n, s, s, 3) uint8 tiles.
        valid: (n, s, s) bool, False for pixels that do not count.
        test_tiles: (m, s, s) or (m, s, s, 3) uint8 tiles; training only records the segments of
            r of them: of all, or of an even sample if these are too many for the memory.
        params: Parameters of the run.
        file: NPZ file in which to save the state after each epoch, or None. After an interruption,
            the same call resumes from it and gives the same result.
        watching: Who watches the training.

    Returns:
        The trained network, from build_trunk, with its history and snapshots: for each head, its
        joint matrices without displacement, (epochs, k, k) float32, and the segments of the
        recorded tiles' pixels, (epochs, r, s, s) uint16; `tiles` are the indices of these, (r,).

    Raises:
        InputError: The loss or the weights are not finite, or a step needs too much memory.
    """
    keras.utils.set_random_seed(params.seed)
    tf.config.experimental.enable_op_determinism()
    batches = TileBatches(train_tiles, valid, params)
    channels = shape_of(train_tiles)[2]
    trunk = build_trunk(params.model, channels)
    learning = build_trunk(params.model, channels, params.train.used_precision)
    learning.set_weights(trunk.get_weights())
    model = SegmentationModel(learning, params.views, params.loss, grouped=params.model.grouped)
    compile_learner(model, params.train, batches.schedule.steps)
    chosen = _recorded(test_tiles, params)
    recorder = Recorder(
        build_pixels(trunk, params.model.poolings),
        test_tiles[chosen],
        lambda step: batches.schedule.at(step)._asdict(),
    )
    grouping = [Grouping(batches, params)] if params.model.grouped else []
    fit_learner(model, batches, recorder, params.train.epochs, file, grouping, watching)
    shape = (len(chosen), *test_tiles.shape[1:3])
    snapshots = {
        name: array.reshape(len(array), *shape) if name.endswith("_test") else array
        for name, array in recorder.snapshots().items()
    }
    return TrainingResult(trunk, recorder.history, snapshots | {"tiles": chosen})


def _recorded(test_tiles: np.ndarray, params: SegmentationParams) -> np.ndarray:
    """Choose the test tiles whose segments are recorded after each epoch."""
    n, side = test_tiles.shape[:2]
    chosen = evenly(n, max(1, _RECORDED // (side**2 * sum(params.model.head_sizes.values()))))
    if len(chosen) < n:
        log.info("each epoch is recorded for %d of %d test tiles", len(chosen), n)
    return chosen
