"""Figures of the section "Confidence and calibration".

The confidence of an image is the probability of its cluster, the largest of the clustering head.
"""

import numpy as np

from iic.core.constants import Head
from iic.evaluation.paths import PREDICTIONS
from iic.pipeline.paths import SNAPSHOTS
from iic.render import bars
from iic.render.pictures import Picture, sharp_png
from iic.report.run import Run
from iic.report.tables import kept_together, reliability_bins

_CONFIDENCE = "confidence (probability of the image's cluster)"


def calibration(run: Run) -> Picture:
    """Draw the reliability diagram: accuracy by confidence."""
    bins = reliability_bins(run.probability, run.is_correct)
    figure = bars.shares_figure(
        [row.name for row in bins],
        np.array([row.accuracy for row in bins]),
        (_CONFIDENCE, "accuracy (%)"),
        notes=[_count_of(row.images) if row.images else "" for row in bins],
        marks=("mean confidence (%)", np.array([row.confidence for row in bins])),
    )
    gap = max(0.0, *(row.confidence - row.accuracy for row in bins if row.images))
    return Picture(
        "calibration.png",
        "Reliability diagram",
        "Test images by confidence. Bars: accuracy. Diamonds: mean confidence. A diamond above its "
        "bar means that the network is overconfident. The number of images is written over each "
        "bar; with few images the accuracy is uncertain.",
        f"Bars of the accuracy in {len(bins)} ranges of confidence, from low to high, with the "
        "values of the table below. The mean confidence exceeds the accuracy by at most "
        f"{100 * gap:.0f} percentage points.",
        f"{PREDICTIONS}",
        run.seed,
        sharp_png(figure),
    )


def distribution(run: Run) -> Picture:
    """Draw the distribution of the confidence, for data without labels."""
    bins = reliability_bins(run.probability, None)
    counts = np.array([row.images for row in bins])
    figure = bars.shares_figure(
        [row.name for row in bins],
        counts / counts.sum(),
        (_CONFIDENCE, "share of the test images (%)"),
        notes=[_count_of(count) for count in counts],
    )
    return Picture(
        "confidence.png",
        "Distribution of the confidence",
        "Test images by confidence. Whether a high confidence is justified can only be measured "
        "with labels.",
        f"Bars of the share of test images in {len(bins)} ranges of confidence, from low to high; "
        f"the highest range has {counts[-1]:,} of {counts.sum():,} images.",
        f"{PREDICTIONS}",
        run.seed,
        sharp_png(figure),
    )


def sizes(run: Run) -> Picture:
    """Draw the number of test images in each cluster."""
    order, names = run.cluster_order()
    totals = run.sizes[-1]
    if run.is_labelled:
        correct = np.bincount(run.clusters[run.is_correct], minlength=len(totals))
        parts = {"correct": correct[order], "incorrect": (totals - correct)[order]}
        caption = (
            "Test images in each cluster, with its matched class in brackets. Orange: images of "
            "other classes, and all images of clusters without a matched class."
        )
    else:
        parts = {"test images": totals[order]}
        caption = "Test images in each cluster."
    figure = bars.sizes_figure(names, parts, ("cluster", "test images"), totals.mean())
    return Picture(
        "sizes.png",
        "Cluster sizes",
        f"{caption} The objective favours clusters of equal size.",
        f"Bars of {len(totals)} clusters, from {totals.min():,} to {totals.max():,} test images.",
        f"{SNAPSHOTS} (cluster_test), {PREDICTIONS}",
        run.seed,
        sharp_png(figure),
    )


def stability(run: Run) -> Picture:
    """Draw how much of each cluster the second training keeps together."""
    order, names = run.cluster_order()
    shares = kept_together(run.clusters, run.second_clusters, run.outputs(Head.CLUSTER))
    return Picture(
        "stability.png",
        "Stability between two seeds",
        "Largest share of each cluster's test images that lies in one cluster of a second "
        "training, with another seed. A low bar marks a cluster that depends on the seed. No "
        "labels are needed.",
        f"Bars of {len(shares)} clusters, from {100 * np.nanmin(shares):.1f} to "
        f"{100 * np.nanmax(shares):.1f} %.",
        f"{SNAPSHOTS} (second_test), {PREDICTIONS}",
        f"{run.seed} and {run.settings['train.second_seed']}",
        sharp_png(
            bars.shares_figure(names, shares[order], ("cluster", "images kept together (%)"))
        ),
    )


def _count_of(images: int) -> str:
    return f"{images:,} image{'' if images == 1 else 's'}"
