"""Figure of the section "Cost of training": seconds per epoch by problem size."""

from iic.render import figures
from iic.render.pictures import Picture, sharp_png
from iic.report.paths import BENCHMARK
from iic.report.run import Run

# Keys of the benchmark's section "scaling", and the labels of their axes.
SCALING_PANELS = {
    "images": "training images",
    "overclusters": "overclusters",
    "width": "width factor of the backbone",
    "head_layers": "dense layers per head",
}


def seconds(run: Run) -> Picture:
    """Draw the seconds per epoch by number of images and by size of the network."""
    panels = [
        (label, {float(x): seconds for x, seconds in run.benchmark["scaling"][kind].items()})
        for kind, label in SCALING_PANELS.items()
    ]
    machine = run.benchmark["machine"]
    return Picture(
        "scaling.png",
        "Seconds per epoch",
        "Seconds per epoch of the recipe fast with one setting changed, on "
        f"{machine['cores']} cores of {machine['processor']}. Training images: includes the "
        "start-up, which does not depend on their number. Width factor: multiplies the channels of "
        "all convolutions. Not of this run: measured once with make bench and kept in the "
        "repository.",
        f"{len(panels)} line charts: seconds per epoch by "
        f"{', '.join(label for label, _ in panels)}.",
        f"{BENCHMARK} (scaling, by make bench)",
        "not of this run",
        sharp_png(figures.cost_figure(panels, "seconds per epoch")),
    )
