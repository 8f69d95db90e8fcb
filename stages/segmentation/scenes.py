"""Segmentation, stage 2: read or draw the pictures, and store tiles and masks apart."""

import numpy as np

from iic.core.appearance import write_appearance
from iic.core.files import write_arrays
from iic.pipeline.paths import SEGMENTATION
from iic.pipeline.stage import run_stage
from iic.segmentation.params import SegmentationParams, read_segmentation_params
from iic.segmentation.paths import APPEARANCE, MAP, MASKS, TILES
from iic.segmentation.scenes import load_scenes


def main(params: SegmentationParams) -> None:
    """Store tiles and masks in two files, so that training depends on the tiles alone."""
    scenes = load_scenes(params.data, params.seed)
    nothing = np.empty((0, 0, 3), np.uint8), np.empty((0, 0), np.uint8)
    whole, whole_truth = scenes.whole or nothing
    write_arrays(
        TILES,
        {
            "train_tiles": scenes.train_tiles,
            "train_valid": scenes.train_valid,
            "test_tiles": scenes.test_tiles,
        },
        compress=True,
    )
    write_arrays(
        MASKS,
        {
            "train_masks": scenes.train_masks,
            "test_masks": scenes.test_masks,
            "map": whole_truth,
            "names": np.array(scenes.names, np.str_),
        },
        compress=True,
    )
    write_arrays(MAP, {"picture": whole}, compress=True)
    write_appearance(scenes.appearance, APPEARANCE)


if __name__ == "__main__":
    run_stage(main, read_segmentation_params, SEGMENTATION)
