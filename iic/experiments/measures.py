"""What a study measures of one run, from the files of its experiment."""

from typing import NamedTuple

import numpy as np

from iic.core.errors import InputError
from iic.evaluation.paths import ACCURACY, CLASS_COLUMNS, PREDICTIONS
from iic.experiments.grid import Experiment
from iic.experiments.reading import columns_of, metrics_of
from iic.model.matching import contingency_table, majority_match, purity
from iic.pipeline.paths import HISTORY
from iic.report.sevens import HANDWRITTEN, SEVEN, crossed, gathering

ARTICLE_EPOCHS = 100


class Result(NamedTuple):
    """What one run gave: its columns, and its curves (epochs,) by name."""

    experiment: str
    variant: str
    seed: int
    columns: dict[str, float]
    curves: dict[str, np.ndarray]


def result_of(experiment: Experiment, test_images: np.ndarray) -> Result:
    """What a run gave.

    Args:
        experiment: one that has run.
        test_images: (n, h, w) of its data.

    Raises:
        InputError: the data have no labels.
    """
    name = experiment.name
    curves = columns_of(name, HISTORY) | columns_of(name, ACCURACY)
    del curves["epoch"]
    predictions = columns_of(name, PREDICTIONS, CLASS_COLUMNS)
    if "label" not in predictions:
        raise InputError(f"{name}: its data have no labels, and a study measures by them")
    classes, labels = np.unique(predictions["label"], return_inverse=True)
    heads = experiment.params.model.head_sizes
    clusters, overclusters = (
        contingency_table(labels, predictions[head].astype(int), len(classes), k)
        for head, k in heads.items()
    )
    is_handwritten = experiment.params.data.name in HANDWRITTEN
    columns = {
        **accuracies(curves["acc"]),
        "train_acc": metrics_of(name)["train_acc"],
        "nmi": curves["nmi"][-1],
        "ari": curves["ari"][-1],
        **ownership(clusters),
        "evenness": curves["cluster_marginal_entropy"][-1] / np.log(clusters.shape[1]),
        "over_acc": purity(overclusters),
        "over_digits": np.isin(np.arange(len(classes)), majority_match(overclusters)).sum(),
        **(crossed_sevens(predictions, test_images) if is_handwritten else _NO_SEVENS),
    }
    return Result(
        name,
        experiment.variant,
        experiment.seed,
        {column: float(value) for column, value in columns.items()},
        curves,
    )


def accuracies(by_epoch: np.ndarray) -> dict[str, float]:
    """The last, the best and the article's last of a run's accuracies (epochs,)."""
    articles = by_epoch[:ARTICLE_EPOCHS]
    last = articles[-1] if len(articles) == ARTICLE_EPOCHS else np.nan
    goes_on = len(by_epoch) > ARTICLE_EPOCHS
    return {
        "acc": by_epoch[-1],
        "best_acc": articles.max(),
        "best_epoch": articles.argmax() + 1,
        "acc_100": last,
        "change_after_100": by_epoch[-1] - last if goes_on else np.nan,
    }


def ownership(clusters: np.ndarray) -> dict[str, int]:
    """How many digits own no cluster, and how many own several.

    Args:
        clusters: (digits, k) images of each digit in each cluster.
    """
    is_used = clusters.sum(axis=0) > 0
    owned = np.bincount(clusters.argmax(axis=0)[is_used], minlength=len(clusters))
    return {"merged": int((owned == 0).sum()), "split": int((owned > 1).sum())}


_NO_SEVENS = {"crossed_held": np.nan, "crossed_pure": np.nan}


def crossed_sevens(predictions: dict[str, np.ndarray], test_images: np.ndarray) -> dict[str, float]:
    """Largest share of the crossed sevens in one overcluster, and their share of its sevens."""
    sevens = predictions["label"] == SEVEN
    is_crossed = crossed(test_images[sevens])
    if not is_crossed.any():
        return dict.fromkeys(_NO_SEVENS, 0.0)
    found = gathering(predictions["overcluster"][sevens].astype(int), is_crossed)
    return {
        "crossed_held": found.inside / found.style,
        "crossed_pure": found.inside / found.members,
    }
