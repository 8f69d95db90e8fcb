"""Stage 3: find the nearest neighbours of each training image, its partners in early pairs."""

import logging

from iic.core.files import read_arrays, write_arrays
from iic.core.params import Params
from iic.pairs.neighbors import find_neighbors
from iic.pipeline.paths import IMAGES, NEIGHBORS
from iic.pipeline.stage import run

log = logging.getLogger(__name__)


def main(params: Params) -> None:
    """Find the neighbours from the images alone, so that all variants and seeds share the file."""
    images = read_arrays(IMAGES, ["train_images"])["train_images"]
    neighbors, warnings = find_neighbors(images, params.augment.neighbors)
    for warning in warnings:
        log.warning("warning: %s", warning)
    write_arrays(NEIGHBORS, {"neighbors": neighbors})


if __name__ == "__main__":
    run(main)
