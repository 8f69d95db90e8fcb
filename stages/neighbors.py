"""Stage 3: find the nearest neighbours of each training image, its partners in early pairs."""

import logging

from iic.core.files import read_arrays, write_arrays
from iic.core.params import Params
from iic.pairs.copies import check_enough, find_distinct
from iic.pairs.neighbors import nearest_neighbors
from iic.pipeline.paths import IMAGES, NEIGHBORS
from iic.pipeline.stage import run

log = logging.getLogger(__name__)


def main(params: Params) -> None:
    """Find the neighbours from the images alone, so that all variants and seeds share the file."""
    images = read_arrays(IMAGES, ["train_images"])["train_images"]
    distinct = find_distinct(images)
    check_enough(distinct, clusters=1)
    if len(distinct.first) < len(images):
        log.warning("warning: %s; copies of an image are left out of its neighbours", distinct)
    write_arrays(NEIGHBORS, {"neighbors": nearest_neighbors(images, params.augment.neighbors)})


if __name__ == "__main__":
    run(main)
