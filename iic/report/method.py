"""Figures of the section "Method and settings": the two sources of image pairs."""

import numpy as np

from iic.core.sampling import evenly
from iic.pipeline.paths import IMAGES, NEIGHBORS, SNAPSHOTS
from iic.render import mosaics
from iic.render.pictures import Picture, sharp_png
from iic.report.run import Run

# Images whose neighbours are shown, and neighbours shown of each.
NEIGHBOR_ROWS, NEIGHBOR_COLUMNS = 6, 8
# What each operation makes of an image.
_EFFECTS = {
    "rotation": "rotated",
    "distortion": "distorted",
    "binarization": "in pure black and white",
    "noise": "with noise",
    "flip": "mirrored or not",
    "color": "in other colours",
}


def operations(run: Run) -> Picture:
    """Draw training images and their augmented views."""
    examples = run.snapshots["examples"]
    effects = ", ".join(_EFFECTS[name] for name in run.operations)
    figure = mosaics.grid_figure(examples, ["original", *run.operations, "combined"])
    return Picture(
        "operations.png",
        "Augmentation operations",
        "Training images, each operation alone at full strength, and the operations of this run "
        "combined. Two transformed views of one image form a pair; the network learns to assign "
        "both to the same cluster.",
        f"{len(examples)} training images, one per row. Beside each: {effects}, and with all "
        "operations of the run combined.",
        f"{SNAPSHOTS} (examples)",
        run.seed,
        sharp_png(figure),
    )


def neighbors(run: Run) -> Picture:
    """Draw training images and some of their nearest neighbours."""
    k = run.neighbors.shape[1]
    ranks = evenly(k, NEIGHBOR_COLUMNS)
    first = np.arange(min(NEIGHBOR_ROWS, len(run.train_images)))
    shown = np.column_stack([first, run.neighbors[first][:, ranks]])
    titles = ["image", *(f"neighbour {rank + 1}" for rank in ranks)]
    return Picture(
        "neighbors.png",
        "Nearest neighbours",
        f"Training images and some of their {k} nearest neighbours. Early in training the second "
        "image of a pair is one of them, which joins the styles of a class. The few neighbours of "
        "another class do little harm, since later pairs are two views of one image.",
        f"{len(first)} training images, one per row, and beside each its neighbours, "
        f"from the nearest to number {k}: images that look much alike.",
        f"{IMAGES}, {NEIGHBORS}",
        "none needed",
        sharp_png(mosaics.grid_figure(run.train_images[shown], titles)),
    )
