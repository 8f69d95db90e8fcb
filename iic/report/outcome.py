"""Pictures of what came out of a run: both joint matrices, their training, the overclusters."""

import numpy as np
from matplotlib.figure import Figure

from iic.core.constants import Head
from iic.model.matching import contingency_table, majority_match
from iic.render import figures, matrices, mosaics
from iic.render.pictures import Picture, animation, sharp_png
from iic.report.run import IMAGES, PREDICTIONS, ROWS, SAMPLES, SNAPSHOTS, Run

# More frames of the animation than this add bytes, not insight; nor may they grow the page.
MAX_FRAMES, FRAME_BYTES = 40, 2_500_000


def joint(run: Run) -> Picture:
    """P of the last epoch, beside the confusion matrix or the clusters' sizes."""
    p_ij = run.snapshots[f"{Head.CLUSTER}_joint"][-1]
    same = f"{100 * np.trace(p_ij):.1f} %"
    if run.is_labelled:
        title, right = (
            "Joint matrix and confusion matrix",
            (
                "Right: test images by label and cluster; in brackets the class that a cluster is "
                "matched to, one to one (Hungarian)."
            ),
        )
        alt = (
            "the confusion matrix, where the cluster of their class holds "
            f"{run.is_right.sum():,} of {len(run.labels):,} test images."
        )
    else:
        title, right = "Joint matrix and sizes", "Right: test images in each cluster."
        alt = f"bars of the sizes of {run.outputs(Head.CLUSTER)} clusters."
    return Picture(
        "joint.png",
        title,
        "Left: P over the training pairs of the last epoch. A bright diagonal means that both "
        f"views of an image get the same cluster ({same} of the pairs); an even one, that clusters "
        f"are of equal size. {right}",
        f"Two panels. Left, the joint matrix P with {same} of the pairs on its diagonal. "
        f"Right, {alt}",
        f"{SNAPSHOTS} (cluster_joint, cluster_test)"
        + (f", {PREDICTIONS}" if run.is_labelled else ""),
        run.seed,
        sharp_png(_joint_of_epoch(run, -1)),
    )


def training(run: Run) -> Picture:
    """The same by epoch."""
    epochs = len(run.history["epoch"])
    shown = np.unique(np.linspace(0, epochs - 1, min(epochs, MAX_FRAMES)).round().astype(int))
    content, frames = animation(
        [(_epoch_title(run, int(epoch)), _joint_of_epoch(run, int(epoch))) for epoch in shown],
        FRAME_BYTES,
    )
    return Picture(
        "training.gif",
        "Training, epoch by epoch",
        "The same two panels over training. "
        + ("Clusters keep the place of their class of the end. " if run.is_labelled else "")
        + "The colours of P follow its largest value.",
        f"The panels of the figure before at {len(frames)} of {epochs} epochs.",
        f"{SNAPSHOTS} (cluster_joint, cluster_test)"
        + (f", {PREDICTIONS}" if run.is_labelled else ""),
        run.seed,
        content,
        frames=frames,
    )


def accuracy(run: Run) -> Picture:
    """Accuracy of both heads by epoch."""
    acc, over_acc = run.accuracy["acc"], run.accuracy["over_acc"]
    curves = {
        "clustering head, one cluster a class": acc,
        "overclustering head, majority class": over_acc,
    }
    return Picture(
        "accuracy.png",
        "Accuracy by epoch",
        "Measured after training with the test labels; no epoch is chosen by it. The last epoch "
        "is the result.",
        f"Two curves over {len(acc)} epochs: the clustering head goes from {100 * acc[0]:.1f} to "
        f"{100 * acc[-1]:.1f} %, the overclustering head from {100 * over_acc[0]:.1f} to "
        f"{100 * over_acc[-1]:.1f} %.",
        "reports/accuracy.csv",
        run.seed,
        sharp_png(figures.accuracy_figure(run.accuracy["epoch"], curves)),
    )


def losses(run: Run) -> Picture:
    """Loss and mutual information of both heads by epoch."""
    panels = [
        (title, "nats", {head.full_name: run.history[f"{head}_{column}"] for head in Head})
        for title, column in (("Loss", "loss"), ("Mutual information", "mutual_information"))
    ]
    first, last = (run.history[f"{Head.CLUSTER}_mutual_information"][epoch] for epoch in (0, -1))
    return Picture(
        "losses.png",
        "Loss by epoch",
        "Left: the loss of both heads, the mean over the epoch's batches; it rises where alpha "
        "falls, since alpha weights its terms. Right: the mutual information of the pairs, which "
        "does not depend on alpha, from the joint matrix of all pairs of the epoch; it is lower "
        "while pairs of neighbours are among them.",
        f"Two panels of curves over {len(run.history['epoch'])} epochs, loss and mutual "
        f"information of both heads; that of the clustering head goes from {first:.2f} to "
        f"{last:.2f} nats.",
        "reports/history.csv",
        run.seed,
        sharp_png(figures.curves_figure(run.history["epoch"], panels)),
    )


def overclusters(run: Run) -> Picture:
    """Overclusters by class, or by cluster where there are no labels."""
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
    return Picture(
        "overclusters.png",
        "Overclustering",
        f"Test images by {whole} and overcluster ({k} outputs), ordered by the {whole} that is "
        f"most frequent in each; colours on a square-root scale. A {whole} spreads over several "
        "overclusters: its styles.",
        f"Heat map of {len(table)} rows and {k} columns, {used} of them with images. Bright cells "
        f"form steps: each overcluster belongs to one {whole} for the most part.",
        source,
        run.seed,
        sharp_png(matrices.overclusters_figure(table, order, names, rows)),
    )


def samples(run: Run, label: str) -> Picture:
    """Members of the overclusters of a class, other classes framed."""
    wanted = run.class_of(label)
    name, hard = run.long_name(wanted), run.snapshots[f"{Head.OVERCLUSTER}_test"][-1]
    chosen, which = _overclusters_of(run, wanted)
    is_wanted = run.labels == wanted
    rows = [
        run.row_of(overcluster, np.flatnonzero(hard == overcluster), "images", is_wanted)
        for overcluster in chosen
    ]
    missing = (
        "" if label in run.names else f"The data have no class {label!r}: the first is shown. "
    )
    return Picture(
        "samples.png",
        f"Overclusters of {name}",
        f"{missing}One row for each overcluster {which}, at most {ROWS}: members spread evenly "
        "over the test images, other classes framed. What the rows differ in, such as slant or "
        "stroke width, was found without a label.",
        f"{len(rows)} rows of images of {name}, one an overcluster, alike within a row.",
        f"{IMAGES}, {SNAPSHOTS} (overcluster_test), {PREDICTIONS}",
        run.seed,
        sharp_png(mosaics.samples_figure(rows, SAMPLES)),
    )


def _overclusters_of(run: Run, label: int) -> tuple[np.ndarray, str]:
    """The overclusters of a class, the largest first, and a word on their choice."""
    table = run.confusion(Head.OVERCLUSTER)
    own = np.flatnonzero(majority_match(table) == label)
    name = run.long_name(label)
    if len(own):
        order = own[np.argsort(-table[:, own].sum(axis=0), kind="stable")]
        return order[:ROWS], f"in which {name} is the most frequent class, the largest first"
    # None is mostly of this class: then those that hold the most of it.
    most = np.argsort(-table[label], kind="stable")[:3]
    return most, f"of those with the most images of {name}, which is most frequent in none"


def members(run: Run) -> Picture:
    """Members of the largest clusters, where there are no labels to choose by."""
    order = np.argsort(-run.sizes[-1], kind="stable")[:ROWS]
    clusters, all_of_them = run.clusters, np.ones(len(run.test_images), bool)
    rows = [
        run.row_of(cluster, np.flatnonzero(clusters == cluster), "images", all_of_them)
        for cluster in order
    ]
    return Picture(
        "samples.png",
        "Members of the clusters",
        f"One row a cluster, the largest first, at most {ROWS}: members spread evenly over "
        "the test images.",
        f"{len(rows)} rows of images, one a cluster, alike within a row.",
        f"{IMAGES}, {PREDICTIONS}",
        run.seed,
        sharp_png(mosaics.samples_figure(rows, SAMPLES)),
    )


def _epoch_title(run: Run, epoch: int) -> str:
    title = f"epoch {int(run.history['epoch'][epoch])}"
    if run.is_labelled:
        return f"{title}: {100 * run.accuracy['acc'][epoch]:.2f} % of the test images right"
    information = run.history[f"{Head.CLUSTER}_mutual_information"][epoch]
    return f"{title}: mutual information {information:.3f} nats"


def _joint_of_epoch(run: Run, epoch: int) -> Figure:
    order, names = run.cluster_order()
    p_ij, title = run.snapshots[f"{Head.CLUSTER}_joint"][epoch], _epoch_title(run, epoch)
    if run.is_labelled:
        table = run.confusion(Head.CLUSTER, epoch)
        return matrices.joint_figure(p_ij, table, order, (run.short_names, names), title)
    largest = int(run.sizes.max())
    return matrices.joint_and_sizes_figure(p_ij, run.sizes[epoch], order, names, title, largest)
