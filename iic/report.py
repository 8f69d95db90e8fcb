"""The report: tables in, figures, animation and a self-contained page out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from iic import figures
from iic.datasets import DIGITS
from iic.diagnosis import HEADS, diagnose
from iic.matching import UNMATCHED, contingency_table, hungarian_match, majority_match
from iic.pages import render_html
from iic.params import OPERATIONS
from iic.pictures import Picture, gif, png

SAMPLES = 8
# Panels of the cost of training: keys of the benchmark's section, and what they count.
SCALING = {
    "images": "training images",
    "overclusters": "overclusters",
    "width": "width of the trunk",
    "head_layers": "dense layers of a head",
}
# Images whose neighbours are shown, and how many of them.
NEIGHBOR_ROWS, NEIGHBOR_COLUMNS = 6, 8
# More frames of the animation than this add bytes, not insight.
MAX_FRAMES = 40


@dataclass(frozen=True)
class Run:
    """What a finished run left behind, all of it read from the pipeline's files.

    Attributes:
        settings: name and value of the parameters that the page shows.
        metrics: reports/metrics.json.
        history: columns of reports/history.csv, one row an epoch.
        accuracy: columns of reports/accuracy.csv, one row an epoch.
        predictions: columns of reports/predictions.csv, one row a test image.
        snapshots: arrays of data/snapshots.npz.
        train_images: (n, 28, 28) uint8.
        neighbors: (n, k) int32, the array of data/neighbors.npz.
        test_images: (m, 28, 28) uint8.
        benchmark: sections of reports/benchmark.json, which `make bench` measures; may be empty.
    """

    settings: Mapping[str, object]
    metrics: Mapping[str, float]
    history: Mapping[str, np.ndarray]
    accuracy: Mapping[str, np.ndarray]
    predictions: Mapping[str, np.ndarray]
    snapshots: Mapping[str, np.ndarray]
    train_images: np.ndarray
    neighbors: np.ndarray
    test_images: np.ndarray
    benchmark: Mapping[str, Any]

    @property
    def labels(self) -> np.ndarray:
        """(m,) digit of each test image."""
        return self.predictions["label"].astype(int)

    def confusion(self, head: str, epoch: int = -1) -> np.ndarray:
        """(digits, k) counts of the test images of an epoch (an index, the last by default)."""
        joint, hard = self.snapshots[f"{head}_joint"], self.snapshots[f"{head}_test"]
        return contingency_table(self.labels, hard[epoch], DIGITS, joint.shape[-1])


def render_pictures(run: Run, digit: int) -> list[Picture]:
    """Draw all figures; `digit` is the one whose overclusters are shown as images."""
    return [
        _operations(run),
        *([_neighbors(run)] if run.neighbors.shape[1] else []),
        _losses(run),
        _accuracy(run),
        _joint(run),
        _animation(run),
        _overclusters(run),
        _samples(run, digit),
        *([_scaling(run)] if {"machine", "scaling"} <= run.benchmark.keys() else []),
    ]


def render_page(run: Run, pictures: Sequence[Picture]) -> str:
    """The HTML page, self-contained."""
    last_row = {name: float(column[-1]) for name, column in run.history.items()}
    sizes = {head: run.snapshots[f"{head}_joint"].shape[-1] for head in HEADS}
    return render_html(
        "report.html.j2",
        run=run,
        pictures=pictures,
        findings=diagnose(last_row, sizes),
        last=last_row,
        sizes=sizes,
    )


def _operations(run: Run) -> Picture:
    figure = figures.grid_figure(
        run.snapshots["examples"], ["original", *OPERATIONS, "the run's set"]
    )
    return Picture(
        "operations.png",
        "The operations",
        "Training images, each operation alone at full strength, and the run's set of operations "
        "together. A pair of such views shows the same digit; the network learns to give both "
        "the same cluster.",
        "data/snapshots.npz (examples)",
        png(figure),
    )


def _neighbors(run: Run) -> Picture:
    k = run.neighbors.shape[1]
    ranks = np.unique(np.linspace(0, k - 1, min(k, NEIGHBOR_COLUMNS)).round().astype(int))
    first = np.arange(min(NEIGHBOR_ROWS, len(run.train_images)))
    shown = np.column_stack([first, run.neighbors[first][:, ranks]])
    titles = ["image", *(f"no. {rank + 1}" for rank in ranks)]
    return Picture(
        "neighbors.png",
        "The neighbours",
        f"Training images and some of their {k} nearest neighbours. Early in training the second "
        "image of a pair is one of them, which joins the styles of a digit; the few that show "
        "another digit do no lasting harm, since later pairs are two views of one image.",
        "data/images.npz, data/neighbors.npz",
        png(figures.grid_figure(run.train_images[shown], titles)),
    )


def _losses(run: Run) -> Picture:
    panels = [
        (title, "nats", {f"{head}ing head": run.history[f"{head}_{column}"] for head in HEADS})
        for title, column in (("Loss", "loss"), ("Mutual information", "mutual_information"))
    ]
    return Picture(
        "losses.png",
        "Loss by epoch",
        "Left: the loss of both heads, the mean over the epoch's batches; it rises where alpha "
        "falls, since alpha weights its terms. Right: the mutual information of the pairs, which "
        "does not depend on alpha, from the joint matrix of all pairs of the epoch; it is lower "
        "while pairs of neighbours are among them.",
        "reports/history.csv",
        png(figures.curves_figure(run.history["epoch"], panels)),
    )


def _accuracy(run: Run) -> Picture:
    curves = {
        "clustering head, one cluster a digit": run.accuracy["acc"],
        "overclustering head, majority digit": run.accuracy["over_acc"],
    }
    return Picture(
        "accuracy.png",
        "Accuracy by epoch",
        "Measured after training with the test labels; no epoch is chosen by it. The last epoch "
        "is the result.",
        "reports/accuracy.csv",
        png(figures.accuracy_figure(run.accuracy["epoch"], curves)),
    )


def _cluster_order(run: Run) -> tuple[np.ndarray, list[str]]:
    """Clusters ordered by the digit matched to them in the last epoch, and their names."""
    mapping = hungarian_match(run.confusion(HEADS[0]))
    order = np.lexsort((np.arange(len(mapping)), np.where(mapping == UNMATCHED, DIGITS, mapping)))
    names = [f"{c} ({'-' if mapping[c] == UNMATCHED else mapping[c]})" for c in order]
    return order, names


def _joint_of_epoch(run: Run, epoch: int) -> Figure:
    order, names = _cluster_order(run)
    acc = 100 * run.accuracy["acc"][epoch]
    title = f"epoch {int(run.accuracy['epoch'][epoch])}: {acc:.2f} % of the test images right"
    return figures.joint_figure(
        run.snapshots[f"{HEADS[0]}_joint"][epoch],
        run.confusion(HEADS[0], epoch),
        order,
        names,
        title,
    )


def _joint(run: Run) -> Picture:
    return Picture(
        "joint.png",
        "Joint matrix and confusion matrix",
        "Left: P over the training pairs of the last epoch. A bright diagonal means that both "
        "views of an image get the same cluster; an even one, that clusters are of equal size. "
        "Right: test images by digit and cluster; the number in brackets is the digit that the "
        "Hungarian matching gives the cluster.",
        "data/snapshots.npz (cluster_joint, cluster_test), reports/predictions.csv",
        png(_joint_of_epoch(run, -1)),
    )


def _animation(run: Run) -> Picture:
    epochs = len(run.accuracy["epoch"])
    shown = np.unique(np.linspace(0, epochs - 1, min(epochs, MAX_FRAMES)).round().astype(int))
    return Picture(
        "training.gif",
        "Training, epoch by epoch",
        "The same two matrices over training. Clusters keep the place of the digit that they are "
        "matched to at the end. The colours of P follow its largest value.",
        "data/snapshots.npz (cluster_joint, cluster_test), reports/predictions.csv",
        gif([_joint_of_epoch(run, int(epoch)) for epoch in shown]),
    )


def _overclusters(run: Run) -> Picture:
    table = run.confusion(HEADS[1])
    order = np.lexsort((-table.max(axis=0), majority_match(table)))
    return Picture(
        "overclusters.png",
        "Overclustering",
        f"Test images by digit and overcluster ({table.shape[1]} outputs), ordered by the digit "
        "that is most frequent in each; colours on a square-root scale. A digit spreads over "
        "several overclusters: its styles.",
        "data/snapshots.npz (overcluster_test), reports/predictions.csv",
        png(figures.overclusters_figure(table, order)),
    )


def _samples(run: Run, digit: int) -> Picture:
    table = run.confusion(HEADS[1])
    chosen = np.flatnonzero(majority_match(table) == digit)
    chosen = chosen[np.argsort(-table[:, chosen].sum(axis=0), kind="stable")]
    hard = run.snapshots[f"{HEADS[1]}_test"][-1]
    columns = []
    for overcluster in chosen:
        members = np.flatnonzero(hard == overcluster)
        # Evenly over the file, so that no writer dominates.
        picked = members[np.linspace(0, len(members) - 1, min(SAMPLES, len(members))).astype(int)]
        title = f"no. {overcluster}\n{len(members)} images"
        columns.append((title, run.test_images[picked], run.labels[picked] == digit))
    return Picture(
        "samples.png",
        f"Overclusters of the digit {digit}",
        f"One column for each overcluster in which {digit} is the most frequent digit: members "
        "spread evenly over the test split, other digits framed. What the columns differ in, "
        "slant, stroke width, a crossing bar, was found without a label.",
        "data/images.npz, data/snapshots.npz (overcluster_test), reports/predictions.csv",
        png(figures.samples_figure(columns, SAMPLES)),
    )


def _scaling(run: Run) -> Picture:
    panels = [
        (label, {float(x): seconds for x, seconds in run.benchmark["scaling"][kind].items()})
        for kind, label in SCALING.items()
    ]
    return Picture(
        "scaling.png",
        "What training costs",
        "Seconds of an epoch of the recipe fast with one thing changed, on "
        f"{run.benchmark['machine']['cores']} cores of {run.benchmark['machine']['processor']}. "
        "Images: with start-up, which does not grow. Width: factor on the channels of all "
        "convolutions. Not of this run: measured once, and kept with the repository.",
        "reports/benchmark.json (scaling, by make bench)",
        png(figures.cost_figure(panels, "seconds an epoch")),
    )
