"""Figures of the section "Results": joint matrix, training curves and overclusters."""

import numpy as np
from matplotlib.figure import Figure

from iic.core.constants import Head
from iic.core.plurals import counted
from iic.core.sampling import evenly
from iic.evaluation.paths import ACCURACY, PREDICTIONS
from iic.model.matching import contingency_table, majority_match
from iic.pipeline.paths import HISTORY, IMAGES, SNAPSHOTS
from iic.render import figures, matrices, mosaics
from iic.render.pictures import Picture, animation, sharp_png
from iic.report.curves import accuracy_curves, loss_curves
from iic.report.run import ROWS, SAMPLES, Run

# Most frames of the animation, and most bytes of its frames on the page.
MAX_FRAMES, FRAME_BYTES = 40, 2_000_000


def joint(run: Run) -> Picture:
    """Draw the last epoch's joint matrix P beside the confusion matrix or the cluster sizes."""
    p_ij = run.snapshots[f"{Head.CLUSTER}_joint"][-1]
    same = f"{100 * np.trace(p_ij):.1f} %"
    if run.is_labelled:
        title = "Joint matrix and confusion matrix"
        right = (
            "Right: test images by label and cluster, with the class that is matched to the "
            "cluster (one to one, Hungarian algorithm) in brackets."
        )
        alt = (
            f"the confusion matrix, with {run.is_correct.sum():,} of {len(run.labels):,} test "
            "images in the cluster matched to their class."
        )
    else:
        title, right = "Joint matrix and cluster sizes", "Right: test images in each cluster."
        alt = f"bars of the sizes of {run.outputs(Head.CLUSTER)} clusters."
    return Picture(
        "joint.png",
        title,
        f"Left: joint matrix P of {run.pairs}. A bright diagonal means "
        f"that both images of a pair get the same cluster ({same} of the pairs); a uniform "
        f"diagonal means that the clusters are equally large. {right}",
        f"Two panels. Left, the joint matrix P with {same} of the pairs on its diagonal. "
        f"Right, {alt}",
        _joint_source(run),
        run.seed,
        sharp_png(_joint_of_epoch(run, -1)),
    )


def training(run: Run) -> Picture:
    """Animate the two panels of `joint` over the epochs."""
    epochs = len(run.history["epoch"])
    shown = evenly(epochs, MAX_FRAMES)
    # Measured once, since all frames have the same names.
    room = figures.measure_room(lambda room: _joint_of_epoch(run, -1, room))
    content, frames = animation(
        [(_epoch_title(run, epoch), _joint_of_epoch(run, epoch, room)) for epoch in shown.tolist()],
        FRAME_BYTES,
    )
    return Picture(
        "training.gif",
        "Training by epoch",
        f"The two panels of the previous figure over training. {run.phases}"
        + ("Clusters are ordered by the class matched after training. " if run.is_labelled else "")
        + "The colour scale of P ends at its largest value.",
        f"The panels of the previous figure at {len(frames)} of {counted(epochs, 'epoch')}.",
        _joint_source(run),
        run.seed,
        content,
        frames=frames,
    )


def accuracy(run: Run) -> Picture:
    """Draw the test accuracy of both heads by epoch."""
    columns = (run.accuracy[name] for name in ("epoch", "acc", "over_purity"))
    content, alt = accuracy_curves(*columns)
    return Picture(
        "accuracy.png",
        "Accuracy by epoch",
        "Test accuracy, measured with the labels after training: with clusters matched one to one "
        "to classes (Hungarian), and with overclusters counted as the majority class of the same "
        f"test images (purity). {run.phases}No epoch is selected by it; the last one is the "
        "result.",
        alt,
        f"{ACCURACY}",
        run.seed,
        content,
    )


def losses(run: Run) -> Picture:
    """Draw loss and mutual information of both heads by epoch."""
    content, first, last = loss_curves(run.history)
    return Picture(
        "losses.png",
        "Loss and mutual information by epoch",
        "Left: loss of both heads, mean over the batches of an epoch. It rises while alpha falls, "
        "since alpha weights its terms. Right: mutual information of the joint matrix of all pairs "
        "of an epoch, which does not depend on alpha. It is lower while some pairs are nearest "
        "neighbours."
        + (f" {run.phases}The student's loss is a cross-entropy." if run.phases else ""),
        f"Two panels of curves over {counted(len(run.history['epoch']), 'epoch')}, loss and mutual "
        "information of both heads; the mutual information of the clustering head goes from "
        f"{first:.2f} to {last:.2f} nats.",
        f"{HISTORY}",
        run.seed,
        content,
    )


def overclusters(run: Run) -> Picture:
    """Draw the overclusters by class, or by cluster if the data have no labels."""
    k = run.outputs(Head.OVERCLUSTER)
    if run.is_labelled:
        table, names = run.confusion(Head.OVERCLUSTER), run.short_names
        rows, whole = "label", "class"
        source = f"{SNAPSHOTS} (overcluster_test), {PREDICTIONS}"
    else:
        cluster, over = (run.snapshots[f"{head}_test"][-1] for head in Head)
        table = contingency_table(cluster, over, run.outputs(Head.CLUSTER), k)
        names, rows, whole = [str(c) for c in range(len(table))], "cluster", "cluster"
        source = f"{SNAPSHOTS} (cluster_test, overcluster_test)"
    order = np.lexsort((-table.max(axis=0), majority_match(table)))
    used = int((table.sum(axis=0) > 0).sum())
    figure = matrices.overclusters_figure(table, order, names, rows)
    cells = "numbers are counts" if figure.axes[0].texts else "colours on a square-root scale"
    return Picture(
        "overclusters.png",
        f"Overclusters by {whole}",
        f"Test images by {whole} and overcluster ({k} outputs), with the overclusters grouped by "
        f"their majority {whole}; {cells}. The images of a {whole} are spread over several "
        "overclusters, its styles.",
        f"Heat map of {len(table)} rows and {k} columns, {used} of them with images. Bright cells "
        f"form steps: most images of an overcluster belong to one {whole}.",
        source,
        run.seed,
        sharp_png(figure),
    )


def samples(run: Run, label: str) -> Picture:
    """Draw members of the overclusters of a class, with images of other classes framed.

    Args:
        run: The finished run.
        label: Name of the class; the first class is shown if the data have no such class.
    """
    wanted = run.class_of(label)
    name, hard = run.long_name(wanted), run.snapshots[f"{Head.OVERCLUSTER}_test"][-1]
    chosen, which = _overclusters_of(run, wanted)
    rows = []
    for overcluster in chosen:
        inside = np.flatnonzero(hard == overcluster)
        title = f"overcluster {overcluster}\n{counted(len(inside), 'image')}"
        rows.append(run.image_row(title, inside, run.labels != wanted))
    missing = (
        ""
        if label in run.names
        else f"The data have no class {label!r}; the first class is shown. "
    )
    return Picture(
        "samples.png",
        f"Overclusters of {name}",
        f"{missing}{which}, one row for each, at most {ROWS} rows: an even sample of the members "
        "from the test images, with other classes framed. The rows differ in style, such as slant "
        "or stroke width, which the network found without labels.",
        f"{counted(len(rows), 'row')} of images of {name}, one overcluster per row, alike "
        "within a row.",
        f"{IMAGES}, {SNAPSHOTS} (overcluster_test), {PREDICTIONS}",
        run.seed,
        sharp_png(mosaics.samples_figure(rows, SAMPLES)),
    )


def _overclusters_of(run: Run, label: int) -> tuple[np.ndarray, str]:
    """Overclusters of a class, largest first, and a phrase that says how they were chosen."""
    table = run.confusion(Head.OVERCLUSTER)
    own = np.flatnonzero(majority_match(table) == label)
    name = run.long_name(label)
    if len(own):
        order = own[np.argsort(-table[:, own].sum(axis=0), kind="stable")]
        return order[:ROWS], f"Overclusters with the majority class {name}, largest first"
    # No overcluster has this majority class: show the ones with the most images of it.
    most = np.argsort(-table[label], kind="stable")[:3]
    return most, f"Overclusters with the most images of {name}, the majority class of none"


def members(run: Run) -> Picture:
    """Draw members of the largest clusters, for data without labels."""
    order = np.argsort(-run.sizes[-1], kind="stable")[:ROWS]
    unframed = np.zeros(len(run.test_images), bool)
    rows = []
    for cluster in order:
        inside = np.flatnonzero(run.clusters == cluster)
        title = f"cluster {cluster}\n{counted(len(inside), 'image')}"
        rows.append(run.image_row(title, inside, unframed))
    return Picture(
        "samples.png",
        "Members of the clusters",
        f"One row for each cluster, largest first, at most {ROWS} rows: an even sample of the "
        "members from the test images.",
        f"{counted(len(rows), 'row')} of images, one cluster per row, alike within a row.",
        f"{IMAGES}, {PREDICTIONS}",
        run.seed,
        sharp_png(mosaics.samples_figure(rows, SAMPLES)),
    )


def _joint_source(run: Run) -> str:
    arrays = f"{SNAPSHOTS} (cluster_joint, cluster_test)"
    return f"{arrays}, {PREDICTIONS}" if run.is_labelled else arrays


def _epoch_title(run: Run, epoch: int) -> str:
    title = f"epoch {int(run.history['epoch'][epoch])}"
    if run.is_labelled:
        return f"{title}: test accuracy {100 * run.accuracy['acc'][epoch]:.2f} %"
    information = run.history[f"{Head.CLUSTER}_mutual_information"][epoch]
    return f"{title}: mutual information {information:.3f} nats"


def _joint_of_epoch(run: Run, epoch: int, room: figures.Room | None = None) -> Figure:
    order, names = run.cluster_order()
    p_ij, title = run.snapshots[f"{Head.CLUSTER}_joint"][epoch], _epoch_title(run, epoch)
    if run.is_labelled:
        table = run.confusion(Head.CLUSTER, epoch)
        return matrices.joint_figure(p_ij, table, order, (run.short_names, names), title, room)
    sizes, largest = run.sizes[epoch], int(run.sizes.max())
    return matrices.joint_and_sizes_figure(p_ij, sizes, order, names, title, largest, room)
