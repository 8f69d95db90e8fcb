"""Pictures of how sure a run is, and of where it fails."""

import numpy as np

from iic.core.constants import Head
from iic.render import bars, matrices, mosaics
from iic.render.pictures import Picture, sharp_png
from iic.report.run import IMAGES, PREDICTIONS, ROWS, SAMPLES, SNAPSHOTS, Run
from iic.report.sevens import SEVEN, crossed
from iic.report.tables import kept_together, mistakes_table, reliability, worst_mistakes

# Images that are shown as mistakes, or as those that the network is least sure of.
GALLERY, GALLERY_COLUMNS = 24, 8
_PROBABILITY = "probability of the image's cluster"


def certainty(run: Run) -> Picture:
    """How the probability of the cluster relates to being right."""
    bins = reliability(run.probability, run.is_right)
    figure = bars.shares_figure(
        [row.name for row in bins],
        np.array([row.right for row in bins]),
        (_PROBABILITY, "share of the images that are right (%)"),
        notes=[f"{row.images:,} images" if row.images else "" for row in bins],
        marks=("mean probability", np.array([row.mean for row in bins])),
    )
    gap = max(0.0, *(row.mean - row.right for row in bins if row.images))
    return Picture(
        "certainty.png",
        "Probability and being right",
        "Test images by the probability that the network gives their cluster. Bars: the share "
        "that is right. Diamonds: the mean probability. A diamond above its bar means that the "
        "network is surer than it should be. Over each bar, how many images it counts; few "
        "images make a bar uncertain.",
        f"Bars for {len(bins)} ranges of probability, from low to high, with numbers as in the "
        f"table below. The mean probability is above the share right by {100 * gap:.0f} points at "
        "most.",
        PREDICTIONS,
        run.seed,
        sharp_png(figure),
    )


def confidence(run: Run) -> Picture:
    """How many images have which probability, for data without labels."""
    bins = reliability(run.probability, None)
    counts = np.array([row.images for row in bins])
    figure = bars.shares_figure(
        [row.name for row in bins],
        counts / counts.sum(),
        (_PROBABILITY, "share of the test images (%)"),
        notes=[f"{count:,} images" for count in counts],
    )
    return Picture(
        "certainty.png",
        "Probability",
        "Test images by the probability that the network gives their cluster. It says how sure "
        "the network is, not whether it is right: that takes labels.",
        f"Bars for {len(bins)} ranges of probability, from low to high; the highest has "
        f"{counts[-1]:,} of {counts.sum():,} images.",
        PREDICTIONS,
        run.seed,
        sharp_png(figure),
    )


def sizes(run: Run) -> Picture:
    """How many test images each cluster holds."""
    order, names = run.cluster_order()
    totals = run.sizes[-1]
    if run.is_labelled:
        right = np.bincount(run.clusters[run.is_right], minlength=len(totals))
        parts = {"right": right[order], "not right": (totals - right)[order]}
        caption = (
            "Test images in each cluster; in brackets the class that it is matched to. Orange: "
            "images of other classes, or of a cluster without a class."
        )
    else:
        parts = {"test images": totals[order]}
        caption = "Test images in each cluster."
    figure = bars.sizes_figure(names, parts, ("cluster", "test images"), totals.mean())
    return Picture(
        "sizes.png",
        "Sizes of the clusters",
        f"{caption} The objective favours clusters of equal size.",
        f"Bars of {len(totals)} clusters, from {totals.min():,} to {totals.max():,} test images.",
        f"{SNAPSHOTS} (cluster_test), {PREDICTIONS}",
        run.seed,
        sharp_png(figure),
    )


def stability(run: Run) -> Picture:
    """What share of each cluster the second training keeps together."""
    order, names = run.cluster_order()
    shares = kept_together(run.clusters, run.second, run.outputs(Head.CLUSTER))
    return Picture(
        "stability.png",
        "Stability between two seeds",
        "The share of each cluster's test images that lie in one cluster of a second training, "
        "with another seed. A low bar is a cluster that another seed makes otherwise. This needs "
        "no label.",
        f"Bars of {len(shares)} clusters, from {100 * np.nanmin(shares):.1f} to "
        f"{100 * np.nanmax(shares):.1f} %.",
        f"{SNAPSHOTS} (second_test), {PREDICTIONS}",
        f"{run.seed} and {run.settings['train.second_seed']}",
        sharp_png(bars.shares_figure(names, shares[order], ("cluster", "kept together (%)"))),
    )


def mistakes(run: Run) -> Picture:
    """The mistakes of which the network is most sure."""
    chosen = worst_mistakes(run.is_right, run.probability, GALLERY)
    titles = []
    for index in chosen:
        label, other = (run.short_name(names[index]) for names in (run.labels, run.predicted))
        # Long names beside each other would run into those of the next image.
        arrow = " → " if len(label + other) < 10 else "\n→ "
        titles.append(f"{label}{arrow}{other}\n{100 * run.probability[index]:.2f} %")
    return Picture(
        "mistakes.png",
        "The most confident mistakes",
        "Test images in the cluster of another class, the highest probability first: the label, "
        "the class of the cluster, and the probability that the network gives it.",
        f"{len(chosen)} test images with their label, the class of their cluster, and its "
        "probability.",
        f"{IMAGES}, {PREDICTIONS}",
        run.seed,
        sharp_png(mosaics.gallery_figure(run.test_images[chosen], titles, GALLERY_COLUMNS)),
    )


def confusion(run: Run) -> Picture:
    """Which class is mistaken for which."""
    table = mistakes_table(run.labels, run.predicted, len(run.names))
    columns = [*run.short_names, "none"]
    if not table[:, -1].any():
        table, columns = table[:, :-1], columns[:-1]
    return Picture(
        "confusion.png",
        "What is mistaken for what",
        "Test images by label and by the class of their cluster; only mistakes are shown, since "
        "what is right would outshine them.",
        f"Matrix of {len(table)} labels and {table.shape[1]} classes with {table.sum():,} mistakes "
        f"in {(table > 0).sum()} cells, the largest with {table.max():,}.",
        PREDICTIONS,
        run.seed,
        sharp_png(matrices.errors_figure(table, (run.short_names, columns))),
    )


def crossed_sevens(run: Run) -> np.ndarray:
    """Indices of the test images of a seven with a bar through its stem; none of other data."""
    if not run.has_sevens:
        return np.array([], int)
    indices = np.flatnonzero(run.labels == run.class_of(SEVEN))
    return indices[crossed(run.test_images[indices])]


def sevens(run: Run) -> Picture:
    """Crossed sevens, a column an overcluster that holds some."""
    found = crossed_sevens(run)
    counts = np.bincount(run.overclusters[found])
    order = np.argsort(-counts, kind="stable")[:ROWS]
    rows = [
        run.row_of(
            overcluster, found[run.overclusters[found] == overcluster], "crossed", run.is_right
        )
        for overcluster in order[counts[order] > 0]
    ]
    return Picture(
        "crossed-sevens.png",
        "The crossed sevens",
        f"Crossed sevens of the test images, one row for each overcluster that holds some, at "
        f"most {ROWS}; those whose cluster is not that of the seven are framed.",
        f"{len(rows)} rows of sevens with a bar through their stem; the first holds "
        f"{counts.max():,} of {len(found):,}.",
        f"{IMAGES}, {PREDICTIONS}",
        run.seed,
        sharp_png(mosaics.samples_figure(rows, SAMPLES)),
    )


def uncertain(run: Run) -> Picture:
    """The test images whose cluster has the lowest probability."""
    chosen = np.argsort(run.probability, kind="stable")[:GALLERY]
    titles = [f"no. {run.clusters[i]}\n{100 * run.probability[i]:.1f} %" for i in chosen]
    return Picture(
        "uncertain.png",
        "The least certain images",
        "The test images whose cluster has the lowest probability, the lowest first: number of the "
        "cluster and its probability.",
        f"{len(chosen)} test images with their cluster and its probability.",
        f"{IMAGES}, {PREDICTIONS}",
        run.seed,
        sharp_png(mosaics.gallery_figure(run.test_images[chosen], titles, GALLERY_COLUMNS)),
    )
