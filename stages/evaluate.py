"""Stage 5, the only one that reads labels: match clusters to digits and score them."""

import json

import numpy as np

from iic.datasets import DIGITS
from iic.files import read_arrays, read_table, write_table, write_text
from iic.matching import (
    cluster_scores,
    contingency_table,
    hungarian_accuracy,
    hungarian_match,
    purity,
)
from iic.model import Assignments, load_network, predict
from iic.params import ModelParams, Params
from stages.common import (
    ACCURACY,
    ASSIGNMENTS,
    HISTORY,
    IMAGES,
    LABELS,
    METRICS,
    MODEL,
    PREDICTIONS,
    SNAPSHOTS,
    run,
)


def main(params: Params) -> None:
    """Score each epoch's snapshot, then the trained model on all images."""
    images = read_arrays(IMAGES, ["train_images", "test_images"])
    labels = read_arrays(LABELS, ["train_labels", "test_labels"])
    snapshots = read_arrays(SNAPSHOTS, ["cluster_test", "overcluster_test"])
    network = load_network(MODEL)
    train = predict(network, images["train_images"])
    test = predict(network, images["test_images"])

    _write_accuracy(labels["test_labels"], snapshots, params.model)
    _write_metrics(train, test, labels, params.model)
    _write_predictions(test, labels["test_labels"], params.model)
    _write_assignments({"train": train, "test": test})


def _write_accuracy(
    labels: np.ndarray, snapshots: dict[str, np.ndarray], model: ModelParams
) -> None:
    """One row an epoch, test split."""
    rows = []
    for epoch, (cluster, overcluster) in enumerate(
        zip(snapshots["cluster_test"], snapshots["overcluster_test"], strict=True), start=1
    ):
        over_table = contingency_table(labels, overcluster, DIGITS, model.overclusters)
        rows.append(
            {
                "epoch": epoch,
                "acc": hungarian_accuracy(
                    contingency_table(labels, cluster, DIGITS, model.clusters)
                ),
                **cluster_scores(labels, cluster),
                "over_acc": purity(over_table),
                "over_hungarian_acc": hungarian_accuracy(over_table),
            }
        )
    write_table(ACCURACY, {name: [row[name] for row in rows] for name in rows[0]})


def _write_metrics(
    train: Assignments, test: Assignments, labels: dict[str, np.ndarray], model: ModelParams
) -> None:
    """Flat and few, since `dvc exp show` makes a column of each; each split matched on its own."""
    cluster = test.cluster.argmax(axis=1)
    tables: dict[str, np.ndarray] = {
        "acc": contingency_table(labels["test_labels"], cluster, DIGITS, model.clusters),
        "train_acc": contingency_table(
            labels["train_labels"], train.cluster.argmax(axis=1), DIGITS, model.clusters
        ),
    }
    overclusters = contingency_table(
        labels["test_labels"], test.overcluster.argmax(axis=1), DIGITS, model.overclusters
    )
    metrics = {
        "acc": hungarian_accuracy(tables["acc"]),
        **cluster_scores(labels["test_labels"], cluster),
        "over_acc": purity(overclusters),
        "train_acc": hungarian_accuracy(tables["train_acc"]),
        "loss": float(read_table(HISTORY)["loss"][-1]),
    }
    rounded = {name: round(value, 6) for name, value in metrics.items()}
    write_text(METRICS, json.dumps(rounded, indent=2) + "\n")


def _write_predictions(test: Assignments, labels: np.ndarray, model: ModelParams) -> None:
    """The test split image by image: the confusion tables of `dvc plots` count its rows."""
    cluster = test.cluster.argmax(axis=1)
    mapping = hungarian_match(contingency_table(labels, cluster, DIGITS, model.clusters))
    write_table(
        PREDICTIONS,
        {
            "label": labels,
            "predicted": mapping[cluster],
            "cluster": cluster,
            "overcluster": test.overcluster.argmax(axis=1),
        },
    )


def _write_assignments(splits: dict[str, Assignments]) -> None:
    """Every image's clusters, and the probability of the first, without any label."""
    columns: dict[str, list[object]] = {
        name: [] for name in ("split", "index", "cluster", "overcluster", "probability")
    }
    for split, soft in splits.items():
        columns["split"] += [split] * len(soft.cluster)
        columns["index"] += range(len(soft.cluster))
        columns["cluster"] += soft.cluster.argmax(axis=1).tolist()
        columns["overcluster"] += soft.overcluster.argmax(axis=1).tolist()
        columns["probability"] += soft.cluster.max(axis=1).astype(float).tolist()
    write_table(ASSIGNMENTS, columns)


if __name__ == "__main__":
    run(main)
