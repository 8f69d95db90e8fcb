"""Segmentation, stage 1: count pictures and masks; without them the run ends here.

DVC removes the outputs of a stage whose input is missing, without running it. The tiles of the last
run belong to `scenes`, which therefore comes after this stage.
"""

import json
from pathlib import Path

from iic.core.files import write_text
from iic.core.links import count_suffixes
from iic.pipeline.paths import SEGMENTATION
from iic.pipeline.stage import run_stage
from iic.segmentation.params import SegmentationParams, read_segmentation_params
from iic.segmentation.paths import SOURCE


def main(params: SegmentationParams) -> None:
    """Write the number of files by suffix, of pictures and of masks."""
    places = {"path": params.data.path, "masks": params.data.masks}
    counts = {name: count_suffixes(Path(place)) for name, place in places.items()}
    write_text(SOURCE, json.dumps(counts, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    run_stage(main, read_segmentation_params, SEGMENTATION)
