"""Figures of joint matrices and of a fitted estimator.

Labels are used only to sort and name what a figure shows; the estimator has not seen them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.utils.validation import check_consistent_length

from iic import IIC
from iic.core.constants import Head
from iic.core.plurals import counted
from iic.core.quiet import quiet
from iic.core.sampling import evenly
from iic.model.matching import (
    UNMATCHED,
    contingency_table,
    hungarian_accuracy,
    hungarian_match,
    majority_match,
)
from iic.notebook.shown import ShownImage, ShownPage, show
from iic.render.figures import Room, measure_room
from iic.render.matrices import (
    COLOR_MAP,
    joint_and_sizes_figure,
    joint_figure,
    overclusters_figure,
)
from iic.render.mosaics import samples_figure
from iic.render.pictures import animation
from iic.serving.explore_page import MOST_IMAGES, ExplorerData, project, render_explorer

# TensorFlow's notes on the processor would stand in the notebook.
with quiet():
    from iic.estimator.backend import describe

# Most frames of an animation; its single frames are not kept.
_FRAMES, _NO_BUDGET = 20, 2**40
# Shares are written into the cells of matrices of up to this size.
_MAX_ANNOTATED = 6
_PAGE_HEIGHT = 820


def joint_matrices(matrices: Mapping[str, np.ndarray]) -> ShownImage:
    """Draw joint matrices side by side, with the same colours for the same shares.

    Args:
        matrices: Joint matrices (k, k) by title.
    """
    shares = {title: 100 * np.asarray(matrix) for title, matrix in matrices.items()}
    top = max(share.max() for share in shares.values())
    figure = Figure(figsize=(3.1 * len(shares) + 0.8, 3.5), layout="constrained")
    axes = figure.subplots(1, len(shares), squeeze=False)[0]
    for axis, (title, share) in zip(axes, shares.items(), strict=True):
        image = axis.imshow(share, cmap=COLOR_MAP, vmin=0, vmax=top)
        axis.set(title=title, xlabel="cluster of one view")
        names = [str(cluster) for cluster in range(len(share))]
        axis.set_xticks(range(len(names)), names)
        axis.set_yticks(range(len(names)), names)
        if len(share) <= _MAX_ANNOTATED:
            for (row, column), value in np.ndenumerate(share):
                color = "black" if value > top / 2 else "white"
                axis.text(column, row, f"{value:.0f}", ha="center", va="center", color=color)
    axes[0].set_ylabel("cluster of the other view")
    figure.colorbar(image, ax=list(axes), label="share of pairs (%)", shrink=0.8)
    diagonals = [f"{title}: {np.trace(share):.0f} %" for title, share in shares.items()]
    return show(figure, f"Joint matrices; on their diagonals, {'; '.join(diagonals)} of the pairs.")


def training_animation(estimator: IIC, labels_true: Any = None) -> ShownImage:  # noqa: ANN401 - array-like
    """Animate the joint matrix over the epochs of a training.

    Args:
        estimator: A fitted estimator.
        labels_true: Label (n,) of each training image; None draws the sizes of the clusters instead
            of the confusion matrix.

    Returns:
        An animation of at most 20 epochs.
    """
    epochs = estimator.n_iter_
    shown = evenly(epochs, _FRAMES)
    draw = (
        _frames_with_sizes(estimator)
        if labels_true is None
        else _frames_with_labels(estimator, labels_true)
    )
    # Measured once, since all frames have the same names.
    room = measure_room(lambda room: draw(epochs - 1, room))
    content, _ = animation([("", draw(epoch, room)) for epoch in shown.tolist()], _NO_BUDGET)
    joints = estimator.snapshots_[f"{Head.CLUSTER}_joint"]
    first, last = (100 * np.trace(joints[epoch]) for epoch in (0, -1))
    alt = (
        f"Animation of the joint matrix over {counted(epochs, 'epoch')}: the diagonal goes from "
        f"{first:.0f} % to {last:.0f} % of the pairs."
    )
    return ShownImage(content, "gif", alt)


_Draw = Callable[[int, Room], Figure]


def _frames_with_labels(estimator: IIC, labels_true: Any) -> _Draw:  # noqa: ANN401 - array-like
    """Return a function that draws P and the confusion matrix of an epoch."""
    classes, labels = np.unique(labels_true, return_inverse=True)
    joints, hard, k = _records(estimator)
    tables = [contingency_table(labels, clusters, len(classes), k) for clusters in hard]
    match = hungarian_match(tables[-1])
    order = np.lexsort((np.arange(k), np.where(match == UNMATCHED, len(classes), match)))
    titles = [f"{cluster} ({_name(classes, match[cluster])})" for cluster in order]
    names = [str(name) for name in classes], titles

    def draw(epoch: int, room: Room) -> Figure:
        title = f"epoch {epoch + 1}: accuracy {100 * hungarian_accuracy(tables[epoch]):.1f} %"
        return joint_figure(joints[epoch], tables[epoch], order, names, title, room)

    return draw


def _frames_with_sizes(estimator: IIC) -> _Draw:
    """Return a function that draws P and the sizes of the clusters of an epoch."""
    joints, hard, k = _records(estimator)
    sizes = [np.bincount(clusters, minlength=k) for clusters in hard]
    names, largest = [str(cluster) for cluster in range(k)], int(np.max(sizes))

    def draw(epoch: int, room: Room) -> Figure:
        title = f"epoch {epoch + 1}"
        figure = joint_and_sizes_figure(
            joints[epoch], sizes[epoch], np.arange(k), names, title, largest, room
        )
        # The images of an estimator are not those of a test split.
        figure.axes[1].set_ylabel("images")
        return figure

    return draw


def _records(estimator: IIC) -> tuple[np.ndarray, np.ndarray, int]:
    """Return joint matrices (epochs, k, k) and clusters (epochs, n) of the epochs, and k."""
    joints, hard = (estimator.snapshots_[f"{Head.CLUSTER}_{kind}"] for kind in ("joint", "test"))
    return joints, hard.astype(int), len(estimator.joint_)


def _name(classes: np.ndarray, label: int) -> str:
    return "none" if label == UNMATCHED else str(classes[label])


def overclusters_by_class(estimator: IIC, labels_true: Any) -> ShownImage:  # noqa: ANN401 - array-like
    """Draw the number of training images by class and overcluster.

    Args:
        estimator: A fitted estimator.
        labels_true: Label (n,) of each training image.
    """
    names, labels = np.unique(labels_true, return_inverse=True)
    k = estimator.params_.model.overclusters
    table = contingency_table(labels, estimator.overclusters_, len(names), k)
    order = np.lexsort((-table.max(axis=0), majority_match(table)))
    used = counted(int((table.sum(axis=0) > 0).sum()), "overcluster")
    figure = overclusters_figure(table, order, [str(name) for name in names], "label")
    return show(figure, f"Images by class and overcluster; {used} of {k} hold images.")


def members(
    images: np.ndarray, groups: np.ndarray, shown: Sequence[int], columns: int = 10
) -> ShownImage:
    """Draw members of groups, one group per row.

    Args:
        images: Images (n, h, w) of light ink on dark paper, or (n, h, w, 3); numbers from 0.
        groups: Group (n,) of each image.
        shown: Groups to draw.
        columns: Largest number of images in a row; of more, an even sample is drawn.
    """
    pixels = (np.asarray(images) * (255 / images.max())).round().astype(np.uint8)
    rows = []
    for group in shown:
        inside = np.flatnonzero(groups == group)
        some = inside[evenly(len(inside), columns)]
        title = f"{group}\n{counted(len(inside), 'image')}"
        rows.append((title, pixels[some], np.zeros(len(some), bool)))
    said = ", ".join(str(group) for group in shown)
    return show(samples_figure(rows, columns), f"Images of the groups {said}, one group per row.")


def explorer(estimator: IIC, images: Any, labels_true: Any = None) -> ShownPage:  # noqa: ANN401 - array-like
    """Draw the map of images as the page that `iic explore` writes.

    Args:
        estimator: A fitted estimator.
        images: Images (n, h, w), (n, h, w, 3) or (n, h*w), or what `load_images` returns; of more
            than 20,000, an even sample is shown, with their indices among all.
        labels_true: Label (n,) of each image, or None.
    """
    pixels = estimator.network_input(images)
    check_consistent_length(pixels, labels_true)
    index = evenly(len(pixels), MOST_IMAGES)
    features, soft = describe(estimator.network_, pixels[index])
    params = estimator.params_
    known = [] if labels_true is None else np.asarray(labels_true)[index]
    classes, labels = np.unique(known, return_inverse=True)
    names: list[list[str]] = [[], []]
    if labels_true is not None:
        hard, overs = soft.hard_cluster, soft.hard_overcluster
        tables = [
            contingency_table(labels, clusters, len(classes), k)
            for clusters, k in ((hard, params.model.clusters), (overs, params.model.overclusters))
        ]
        matches = hungarian_match(tables[0]), majority_match(tables[1])
        names = [[_name(classes, label) for label in match] for match in matches]
    data = ExplorerData(
        images=pixels[index],
        split="train",
        total=len(pixels),
        index=index,
        features=features,
        points=project(features),
        cluster=soft.cluster,
        overcluster=soft.overcluster,
        labels=None if labels_true is None else labels,
        names=[str(name) for name in classes],
        cluster_names=names[0],
        overcluster_names=names[1],
        paths=None,
        settings=f"recipe {params.recipe}, seed {params.seed}",
    )
    return ShownPage(render_explorer(data), "Map of the images by their features", _PAGE_HEIGHT)
