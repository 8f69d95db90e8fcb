"""Stage 3: find the nearest neighbours of each training image, its partners in early pairs."""

from iic.core.files import read_arrays, write_arrays
from iic.core.params import Params
from iic.pairs.neighbors import nearest_neighbors
from iic.pipeline.paths import IMAGES, NEIGHBORS
from iic.pipeline.stage import run


def main(params: Params) -> None:
    """Find the neighbours from the images alone, so that all variants and seeds share the file."""
    images = read_arrays(IMAGES, ["train_images"])["train_images"]
    write_arrays(NEIGHBORS, {"neighbors": nearest_neighbors(images, params.augment.neighbors)})


if __name__ == "__main__":
    run(main)
