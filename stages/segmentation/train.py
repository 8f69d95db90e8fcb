"""Segmentation, stage 3: train both heads on pairs of views, without reading masks."""

import logging
from pathlib import Path

from iic.core.files import read_arrays, write_arrays, write_table
from iic.core.quiet import device_name, quiet
from iic.model.diagnosis import diagnose
from iic.pipeline.paths import SEGMENTATION
from iic.pipeline.resume import resumable
from iic.pipeline.stage import line_ended, run_stage
from iic.segmentation.params import SegmentationParams, read_segmentation_params
from iic.segmentation.paths import HISTORY, MODEL, SNAPSHOTS, TILES

with quiet():
    from iic.segmentation.store import save_trunk
    from iic.segmentation.train import train_segmentation

log = logging.getLogger(__name__)


def main(params: SegmentationParams) -> None:
    """Train, and store the model, the history and the snapshots."""
    tiles = read_arrays(TILES, ["train_tiles", "train_valid", "test_tiles"])
    log.info("training on %s", device_name())
    log.info("precision: %s", params.train.used_precision)
    with resumable(params, [Path(__file__), TILES]) as state, line_ended():
        result = train_segmentation(
            tiles["train_tiles"],
            tiles["train_valid"],
            tiles["test_tiles"],
            params,
            file=state / "network.npz",
        )
    save_trunk(result.network, params.model, MODEL, params.train.used_precision)
    columns = result.history[0].keys()
    write_table(HISTORY, {name: [row[name] for row in result.history] for name in columns})
    write_arrays(SNAPSHOTS, result.snapshots, compress=True)
    sizes = params.model.head_sizes
    for warning in diagnose(result.history[-1], sizes, normalizes_logits=True):
        log.warning("warning: %s", warning)


if __name__ == "__main__":
    run_stage(main, read_segmentation_params, SEGMENTATION)
