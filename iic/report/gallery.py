"""All pictures of the report, in the order of the page."""

import numpy as np

from iic.core.params import OPERATIONS
from iic.render import figures, mosaics
from iic.render.pictures import Picture, sharp_png
from iic.report import doubts, outcome
from iic.report.run import Run

# Panels of the cost of training: keys of the benchmark's section, and what they count.
SCALING = {
    "images": "training images",
    "overclusters": "overclusters",
    "width": "width of the trunk",
    "head_layers": "dense layers of a head",
}
# Images whose neighbours are shown, and how many of them.
NEIGHBOR_ROWS, NEIGHBOR_COLUMNS = 6, 8


def render_pictures(run: Run, label: str) -> list[Picture]:
    """Draw all figures that the run's data allow; `label` is whose overclusters are shown."""
    labelled = run.is_labelled
    mistaken = labelled and not run.is_right.all()
    drawn = [
        operations(run),
        neighbors(run) if run.neighbors.shape[1] else None,
        outcome.joint(run),
        outcome.training(run),
        outcome.accuracy(run) if labelled else None,
        outcome.losses(run),
        outcome.overclusters(run),
        outcome.samples(run, label) if labelled else outcome.members(run),
        doubts.certainty(run) if labelled else doubts.confidence(run),
        doubts.sizes(run),
        doubts.stability(run) if len(run.second) else None,
        doubts.mistakes(run) if mistaken else None,
        doubts.confusion(run) if mistaken else None,
        doubts.sevens(run) if len(doubts.crossed_sevens(run)) else None,
        None if labelled else doubts.uncertain(run),
        scaling(run) if {"machine", "scaling"} <= run.benchmark.keys() else None,
    ]
    return [picture for picture in drawn if picture is not None]


def operations(run: Run) -> Picture:
    """Training images and what the operations make of them."""
    examples = run.snapshots["examples"]
    figure = mosaics.grid_figure(examples, ["original", *OPERATIONS, "the run's set"])
    return Picture(
        "operations.png",
        "The operations",
        "Training images, each operation alone at full strength, and the run's set of operations "
        "together. Two such views show the same thing; the network learns to give both the same "
        "cluster.",
        f"{len(examples)} training images, one a row. Beside each: turned, bent and moved, in "
        "pure black and white, covered with grains, and all that the run uses at once.",
        "data/snapshots.npz (examples)",
        run.seed,
        sharp_png(figure),
    )


def neighbors(run: Run) -> Picture:
    """Training images and some of their neighbours."""
    k = run.neighbors.shape[1]
    ranks = np.unique(np.linspace(0, k - 1, min(k, NEIGHBOR_COLUMNS)).round().astype(int))
    first = np.arange(min(NEIGHBOR_ROWS, len(run.train_images)))
    shown = np.column_stack([first, run.neighbors[first][:, ranks]])
    titles = ["image", *(f"no. {rank + 1}" for rank in ranks)]
    return Picture(
        "neighbors.png",
        "The neighbours",
        f"Training images and some of their {k} nearest neighbours. Early in training the second "
        "image of a pair is one of them, which joins the styles of a class; the few that show "
        "something else do little harm, since later pairs are two views of one image.",
        f"{len(first)} training images, one a row, and beside each its neighbours, "
        f"from the nearest to no. {k}: images that look much alike.",
        "data/images.npz, data/neighbors.npz",
        "none needed",
        sharp_png(mosaics.grid_figure(run.train_images[shown], titles)),
    )


def scaling(run: Run) -> Picture:
    """Seconds of an epoch by what makes it longer."""
    panels = [
        (label, {float(x): seconds for x, seconds in run.benchmark["scaling"][kind].items()})
        for kind, label in SCALING.items()
    ]
    return Picture(
        "scaling.png",
        "Seconds of an epoch",
        "Seconds of an epoch of the recipe fast with one thing changed, on "
        f"{run.benchmark['machine']['cores']} cores of {run.benchmark['machine']['processor']}. "
        "Images: with start-up, which does not grow. Width: factor on the channels of all "
        "convolutions. Not of this run: measured once, and kept with the repository.",
        f"{len(panels)} panels: seconds of an epoch by {', '.join(label for label, _ in panels)}.",
        "reports/measurements/benchmark.json (scaling, by make bench)",
        "not of this run",
        sharp_png(figures.cost_figure(panels, "seconds an epoch")),
    )
