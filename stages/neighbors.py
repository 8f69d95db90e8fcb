"""Stage 3: find each training image's nearest neighbours, the partners of the first pairs."""

from iic.core.files import read_arrays, write_arrays
from iic.core.params import Params
from iic.pairs.neighbors import nearest_neighbors
from iic.pipeline.paths import IMAGES, NEIGHBORS
from iic.pipeline.stage import run


def main(params: Params) -> None:
    """Images alone decide: no seed, no label, so one file serves every variant and seed."""
    images = read_arrays(IMAGES, ["train_images"])["train_images"]
    write_arrays(NEIGHBORS, {"neighbors": nearest_neighbors(images, params.augment.neighbors)})


if __name__ == "__main__":
    run(main)
