"""Stage 2: draw the augmentation seeds, which all variants share."""

from iic.core.files import read_arrays, write_arrays
from iic.core.params import Params
from iic.pairs.draws import make_draws
from iic.pipeline.paths import DRAWS, IMAGES
from iic.pipeline.stage import run


def main(params: Params) -> None:
    """Draw seeds for each view and training image; the content of the images does not matter."""
    images = read_arrays(IMAGES, ["train_images"])["train_images"]
    write_arrays(DRAWS, make_draws(params.seed, params.augment.views, len(images)))


if __name__ == "__main__":
    run(main)
