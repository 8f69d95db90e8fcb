"""Stage 3: find each training image's nearest neighbours, the partners of the first pairs."""

from iic.files import read_arrays, write_arrays
from iic.neighbors import nearest_neighbors
from iic.params import Params
from stages.common import run
from stages.paths import IMAGES, NEIGHBORS


def main(params: Params) -> None:
    """Images alone decide: no seed, no label, so one file serves every variant and seed."""
    images = read_arrays(IMAGES, ["train_images"])["train_images"]
    write_arrays(NEIGHBORS, {"neighbors": nearest_neighbors(images, params.augment.neighbors)})


if __name__ == "__main__":
    run(main)
