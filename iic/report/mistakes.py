"""Figures of the section "Errors": misclassified images and images of low confidence."""

import numpy as np

from iic.core.plurals import counted
from iic.evaluation.paths import PREDICTIONS
from iic.pipeline.paths import IMAGES
from iic.render import matrices, mosaics
from iic.render.pictures import Picture, sharp_png
from iic.report.run import ROWS, SAMPLES, Run
from iic.report.sevens import SEVEN, crossed
from iic.report.tables import mistakes_table, worst_mistakes

# Images in a gallery of mistakes or of uncertain images.
GALLERY, GALLERY_COLUMNS = 24, 8


def most_confident(run: Run) -> Picture:
    """Draw the misclassified images with the highest confidence."""
    chosen = worst_mistakes(run.is_correct, run.probability, GALLERY)
    titles = []
    for index in chosen:
        label, other = (run.short_name(names[index]) for names in (run.labels, run.predicted))
        # Long names on one line would overlap with the title of the next image.
        arrow = " → " if len(label + other) < 10 else "\n→ "
        titles.append(f"{label}{arrow}{other}\n{100 * run.probability[index]:.2f} %")
    return Picture(
        "mistakes.png",
        "Most confident errors",
        "Misclassified test images in order of confidence, highest first: label, predicted class "
        "and confidence. The predicted class is the class matched to the image's cluster.",
        f"{counted(len(chosen), 'misclassified test image')} with label, predicted class "
        "and confidence.",
        f"{IMAGES}, {PREDICTIONS}",
        run.seed,
        sharp_png(mosaics.gallery_figure(run.test_images[chosen], titles, GALLERY_COLUMNS)),
    )


def confusion(run: Run) -> Picture:
    """Draw the confusion matrix of the misclassified images."""
    table = mistakes_table(run.labels, run.predicted, len(run.names))
    columns = [*run.short_names, "none"]
    if not table[:, -1].any():
        table, columns = table[:, :-1], columns[:-1]
    return Picture(
        "confusion.png",
        "Confusion matrix of the errors",
        "Misclassified test images by label and predicted class. Correctly classified images are "
        "left out, since their much larger counts would hide the errors.",
        f"Matrix of {len(table)} labels and {table.shape[1]} predicted classes with "
        f"{table.sum():,} misclassified images in {(table > 0).sum()} cells, at most "
        f"{table.max():,} in one.",
        f"{PREDICTIONS}",
        run.seed,
        sharp_png(matrices.errors_figure(table, (run.short_names, columns))),
    )


def find_crossed_sevens(run: Run) -> np.ndarray:
    """Indices of the test images of sevens with a bar through the stem; empty for other data."""
    if not run.has_sevens:
        return np.array([], int)
    indices = np.flatnonzero(run.labels == run.class_of(SEVEN))
    return indices[crossed(run.test_images[indices])]


def crossed_sevens(run: Run) -> Picture:
    """Draw the crossed sevens of each overcluster that contains some."""
    found = find_crossed_sevens(run)
    counts = np.bincount(run.overclusters[found])
    order = np.argsort(-counts, kind="stable")[:ROWS]
    rows = []
    for overcluster in order[counts[order] > 0]:
        inside = found[run.overclusters[found] == overcluster]
        title = f"overcluster {overcluster}\n{len(inside)} crossed"
        rows.append(run.image_row(title, inside, ~run.is_correct))
    return Picture(
        "crossed-sevens.png",
        "Crossed sevens",
        f"Crossed sevens of the test images, one row for each overcluster that contains some, at "
        f"most {ROWS} rows; misclassified images are framed.",
        f"{counted(len(rows), 'row')} of sevens with a bar through the stem; the first row's "
        f"overcluster has {counts.max():,} of {len(found):,}.",
        f"{IMAGES}, {PREDICTIONS}",
        run.seed,
        sharp_png(mosaics.samples_figure(rows, SAMPLES)),
    )


def least_confident(run: Run) -> Picture:
    """Draw the test images with the lowest confidence, for data without labels."""
    chosen = np.argsort(run.probability, kind="stable")[:GALLERY]
    titles = [f"cluster {run.clusters[i]}\n{100 * run.probability[i]:.1f} %" for i in chosen]
    return Picture(
        "uncertain.png",
        "Least confident images",
        "Test images in order of confidence, lowest first: cluster and confidence.",
        f"{counted(len(chosen), 'test image')} with cluster and confidence.",
        f"{IMAGES}, {PREDICTIONS}",
        run.seed,
        sharp_png(mosaics.gallery_figure(run.test_images[chosen], titles, GALLERY_COLUMNS)),
    )
