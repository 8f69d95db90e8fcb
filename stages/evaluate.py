"""Stage 5, the only one that reads labels: match clusters to classes and score them."""

import json

import numpy as np

from iic.core.appearance import read_appearance
from iic.core.files import read_arrays, read_table, sha256_of, write_table, write_text
from iic.core.params import Params
from iic.core.quiet import quiet
from iic.evaluation.card import ModelCard, ink_share, write_card
from iic.evaluation.paths import ACCURACY, ASSIGNMENTS, METRICS, MODEL_CARD, PREDICTIONS
from iic.evaluation.scores import (
    Split,
    accuracy_by_epoch,
    agreement,
    assignments_table,
    classes_of_clusters,
    label_free_scores,
    predictions_table,
    scores,
    with_chance,
)
from iic.model.store import hash_of_weights, load_network, read_model_params
from iic.pipeline.paths import APPEARANCE, HISTORY, IMAGES, LABELS, MODEL, SNAPSHOTS
from iic.pipeline.stage import run

with quiet():
    from iic.model.network import predict


def main(params: Params) -> None:
    """Score each epoch's snapshot, then the trained model on all images.

    For data without labels, the metrics need none, and the tables lack the columns of labels.
    """
    known = read_arrays(
        LABELS, ["train_labels", "test_labels", "names", "train_paths", "test_paths"]
    )
    # Without labels of the test images, nothing can be scored by labels.
    names = known["names"] if len(known["test_labels"]) else known["names"][:0]
    snapshots = read_arrays(
        SNAPSHOTS,
        ["cluster_joint", "cluster_test", "overcluster_joint", "overcluster_test", "second_test"],
    )
    images = read_arrays(IMAGES, ["train_images", "test_images"])
    splits = _assign(images, known)
    train, test = splits["train"], splits["test"]
    clusters, overclusters = classes_of_clusters(train, test, names)

    last = {name: float(column[-1]) for name, column in read_table(HISTORY).items()}
    metrics = (
        with_chance(scores(train, test, names), train, test, names)
        if len(names)
        else label_free_scores(test, last)
    )
    metrics["loss"] = last["loss"]
    if len(snapshots["second_test"]):
        metrics |= agreement(test.soft.hard_cluster, snapshots["second_test"])
    # Flat and few, since `dvc exp show` shows each as a column.
    metrics = {name: round(value, 6) for name, value in metrics.items()}

    write_text(METRICS, json.dumps(metrics, indent=2) + "\n")
    write_table(ACCURACY, accuracy_by_epoch(known["test_labels"], names, snapshots))
    write_table(PREDICTIONS, predictions_table(test, names, clusters))
    paths = {split: known[f"{split}_paths"] for split in splits}
    write_table(ASSIGNMENTS, assignments_table(splits, paths))
    card = ModelCard(
        recipe=params.recipe,
        seed=params.seed,
        data=params.data.name,
        size=params.data.size,
        ink=params.data.ink,
        appearance=read_appearance(APPEARANCE),
        ink_share=ink_share(images["train_images"]),
        precision=read_model_params(MODEL).precision,
        labels=names.tolist(),
        clusters=clusters,
        overclusters=overclusters,
        metrics=metrics,
        weights_sha256=hash_of_weights(MODEL),
        images_sha256=sha256_of(IMAGES),
    )
    write_card(card, MODEL_CARD)


def _assign(images: dict[str, np.ndarray], known: dict[str, np.ndarray]) -> dict[str, Split]:
    """Assign the images of both splits to clusters with the trained model."""
    network = load_network(MODEL)
    return {
        split: Split(predict(network, images[f"{split}_images"]), known[f"{split}_labels"])
        for split in ("train", "test")
    }


if __name__ == "__main__":
    run(main)
