"""Segmentation, stage 3, the only one that reads masks: match segments to classes and score."""

import json

import numpy as np

from iic.core.files import read_arrays, read_table, write_arrays, write_table, write_text
from iic.core.quiet import quiet
from iic.pipeline.paths import SEGMENTATION
from iic.pipeline.stage import run_stage
from iic.segmentation.params import SegmentationParams, read_segmentation_params
from iic.segmentation.paths import (
    ACCURACY,
    HISTORY,
    MASKS,
    METRICS,
    MODEL,
    SEGMENTS,
    SNAPSHOTS,
    TILES,
)
from iic.segmentation.scores import Segmented, scores_by_epoch, segmentation_scores
from iic.segmentation.store import load_trunk, read_trunk_params

with quiet():
    from iic.segmentation.predict import segment_tiles


def main(params: SegmentationParams) -> None:  # noqa: ARG001 - the same for all stages
    """Score each epoch's snapshot, then the trained model on all tiles."""
    network, saved = load_trunk(MODEL), read_trunk_params(MODEL)
    tiles = read_arrays(TILES, ["train_tiles", "test_tiles"])
    masks = read_arrays(MASKS, ["train_masks", "test_masks", "names"])
    snapshots = read_arrays(SNAPSHOTS, ["cluster_test", "overcluster_test"])
    sizes = (len(masks["names"]), saved.clusters, saved.overclusters)
    train, test = (
        Segmented(
            *segment_tiles(network, saved.poolings, tiles[f"{split}_tiles"]),
            masks[f"{split}_masks"],
        )
        for split in ("train", "test")
    )
    last = {name: float(column[-1]) for name, column in read_table(HISTORY).items()}
    metrics = segmentation_scores(train, test, *sizes) | {"loss": last["loss"]}
    metrics = {name: round(value, 6) for name, value in metrics.items()}
    write_text(METRICS, json.dumps(metrics, indent=2) + "\n")
    write_table(
        ACCURACY,
        scores_by_epoch(
            masks["test_masks"], snapshots["cluster_test"], snapshots["overcluster_test"], *sizes
        ),
    )
    write_arrays(
        SEGMENTS,
        {
            "cluster": test.cluster.astype(np.uint8),
            "overcluster": test.overcluster.astype(np.uint8),
        },
        compress=True,
    )


if __name__ == "__main__":
    run_stage(main, read_segmentation_params, SEGMENTATION)
