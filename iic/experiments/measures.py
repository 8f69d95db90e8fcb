"""Measure one run of a study from the files of its experiment."""

from typing import NamedTuple

import numpy as np

from iic.core.errors import InputError
from iic.evaluation.paths import ACCURACY, CLASS_COLUMNS, PREDICTIONS
from iic.experiments.grid import Experiment
from iic.experiments.reading import columns_of, metrics_of
from iic.model.matching import contingency_table, majority_match, purity
from iic.pipeline.paths import HISTORY
from iic.report.sevens import CHECKED, SEVEN, crossed, gathering

ARTICLE_EPOCHS = 100
# Former names of columns of reports/accuracy.csv, which older runs and tables have.
RENAMED = {"over_acc": "over_purity"}


class Result(NamedTuple):
    """Measurements of one run.

    Attributes:
        experiment: Name of the DVC experiment.
        variant: Name of the variant.
        seed: Seed of the run.
        columns: Value by column of the study's table; NaN = not measured.
        curves: Array (epochs,) by name.
    """

    experiment: str
    variant: str
    seed: int
    columns: dict[str, float]
    curves: dict[str, np.ndarray]


def result_of(experiment: Experiment, test_images: np.ndarray) -> Result:
    """Measure a finished experiment.

    Args:
        experiment: Experiment that has results.
        test_images: Test images of its data, (n, h, w) uint8.

    Returns:
        The measurements.

    Raises:
        InputError: The data have no labels, or a result cannot be read.
    """
    name = experiment.name
    read = columns_of(name, HISTORY) | columns_of(name, ACCURACY)
    curves = {RENAMED.get(column, column): values for column, values in read.items()}
    del curves["epoch"]
    predictions = columns_of(name, PREDICTIONS, CLASS_COLUMNS)
    if "label" not in predictions:
        raise InputError(f"{name}: its data have no labels, which a study needs")
    classes, labels = np.unique(predictions["label"], return_inverse=True)
    heads = experiment.params.model.head_sizes
    clusters, overclusters = (
        contingency_table(labels, predictions[head].astype(int), len(classes), k)
        for head, k in heads.items()
    )
    metrics = metrics_of(name)
    has_sevens = experiment.params.data.name in CHECKED
    columns = {
        **accuracies(curves["acc"]),
        # If only the test images have labels, there is none.
        "train_acc": metrics.get("train_acc", np.nan),
        "nmi": curves["nmi"][-1],
        "ari": curves["ari"][-1],
        **merged_and_split(clusters),
        "evenness": curves["cluster_marginal_entropy"][-1] / np.log(clusters.shape[1]),
        "over_acc": metrics["over_acc"],
        "over_purity": purity(overclusters),
        "over_digits": np.isin(np.arange(len(classes)), majority_match(overclusters)).sum(),
        **(measure_crossed_sevens(predictions, test_images) if has_sevens else _NO_SEVENS),
    }
    return Result(
        name,
        experiment.variant,
        experiment.seed,
        {column: float(value) for column, value in columns.items()},
        curves,
    )


def accuracies(by_epoch: np.ndarray) -> dict[str, float]:
    """Return the columns of the study's table that depend on the accuracy of each epoch.

    Args:
        by_epoch: Test accuracy of each epoch, (epochs,), 0 to 1.

    Returns:
        Value by column; NaN = not measured.
    """
    articles = by_epoch[:ARTICLE_EPOCHS]
    last = articles[-1] if len(articles) == ARTICLE_EPOCHS else np.nan
    is_longer = len(by_epoch) > ARTICLE_EPOCHS
    return {
        "acc": by_epoch[-1],
        "best_acc": articles.max(),
        "best_epoch": articles.argmax() + 1,
        "acc_100": last,
        "change_after_100": by_epoch[-1] - last if is_longer else np.nan,
    }


def merged_and_split(clusters: np.ndarray) -> dict[str, int]:
    """Count the digits that are the majority of no cluster, and of several clusters.

    Args:
        clusters: Number of images of each digit in each cluster, (digits, k) integers.

    Returns:
        Both numbers by column, `merged` and `split`.
    """
    is_used = clusters.sum(axis=0) > 0
    owned = np.bincount(clusters.argmax(axis=0)[is_used], minlength=len(clusters))
    return {"merged": int((owned == 0).sum()), "split": int((owned > 1).sum())}


_NO_SEVENS = {"crossed_held": np.nan, "crossed_pure": np.nan}


def measure_crossed_sevens(
    predictions: dict[str, np.ndarray], test_images: np.ndarray
) -> dict[str, float]:
    """Measure how well one overcluster gathers the crossed sevens.

    Args:
        predictions: Columns "label" and "overcluster" of the test images, (n,) strings.
        test_images: Test images, (n, h, w) uint8.

    Returns:
        The largest share of the crossed sevens in one overcluster, and the share of crossed
        sevens among the sevens of that overcluster.
    """
    sevens = predictions["label"] == SEVEN
    is_crossed = crossed(test_images[sevens])
    if not is_crossed.any():
        return dict.fromkeys(_NO_SEVENS, 0.0)
    found = gathering(predictions["overcluster"][sevens].astype(int), is_crossed)
    return {
        "crossed_held": found.inside / found.style,
        "crossed_pure": found.inside / found.members,
    }
