"""Segmentation, stage 4, the only one that reads masks: match segments to classes and score."""

import json
import logging

from iic.core.appearance import read_appearance
from iic.core.files import read_arrays, read_table, write_arrays, write_table, write_text
from iic.core.quiet import quiet
from iic.evaluation.card import write_card
from iic.model.store import hash_of_weights
from iic.pipeline.paths import SEGMENTATION
from iic.pipeline.stage import run_stage
from iic.segmentation.card import SegmentationCard
from iic.segmentation.constants import IGNORED
from iic.segmentation.params import SegmentationParams, read_segmentation_params
from iic.segmentation.paths import (
    ACCURACY,
    APPEARANCE,
    HISTORY,
    MAP,
    MASKS,
    METRICS,
    MODEL,
    MODEL_CARD,
    SEGMENTS,
    SNAPSHOTS,
    TILES,
)
from iic.segmentation.scores import (
    Segmented,
    classes_of_segments,
    count_pixels,
    label_free_scores,
    scores_by_epoch,
    segmentation_scores,
)
from iic.segmentation.store import load_trunk, read_trunk_params

with quiet():
    from iic.segmentation.predict import segment_picture, segment_tiles

log = logging.getLogger(__name__)


def main(params: SegmentationParams) -> None:
    """Score each epoch's snapshot, then the trained model on all tiles; segment the map.

    Without masks of test tiles, the metrics need none, and the table has only the epochs.
    """
    network, saved = load_trunk(MODEL), read_trunk_params(MODEL)
    tiles = read_arrays(TILES, ["train_tiles", "test_tiles"])
    masks = read_arrays(MASKS, ["train_masks", "test_masks", "map", "names"])
    snapshots = read_arrays(SNAPSHOTS, ["cluster_test", "overcluster_test", "tiles"])
    (whole,) = read_arrays(MAP, ["picture"]).values()
    is_scored = bool((masks["test_masks"] != IGNORED).any())
    names = masks["names"].tolist() if is_scored else []
    sizes = (len(names), saved.clusters, saved.overclusters)
    if len(names) > saved.clusters:
        log.warning(
            "warning: %d classes for %d segments, so some classes get none; raise model.clusters",
            *sizes[:2],
        )
    train, test = (
        Segmented(
            *segment_tiles(network, saved.poolings, tiles[f"{split}_tiles"]),
            masks[f"{split}_masks"],
        )
        for split in ("train", "test")
    )
    last = {name: float(column[-1]) for name, column in read_table(HISTORY).items()}
    if names:
        counts = count_pixels(train, test, *sizes)
        metrics, (clusters, overclusters) = segmentation_scores(counts), classes_of_segments(counts)
    else:
        metrics = label_free_scores(last)
        clusters, overclusters = [None] * saved.clusters, [None] * saved.overclusters
    metrics = {name: round(value, 6) for name, value in (metrics | {"loss": last["loss"]}).items()}
    write_text(METRICS, json.dumps(metrics, indent=2) + "\n")
    recorded = masks["test_masks"][snapshots["tiles"]]
    write_table(ACCURACY, scores_by_epoch(recorded, snapshots, *sizes))
    write_arrays(
        SEGMENTS,
        {
            "cluster": test.cluster,
            "overcluster": test.overcluster,
            "masks": masks["test_masks"],
            "map": segment_picture(network, saved, whole).cluster,
            "map_masks": masks["map"],
        },
        compress=True,
    )
    card = SegmentationCard(
        seed=params.seed,
        data=params.data.name,
        tile=tiles["test_tiles"].shape[1],
        appearance=read_appearance(APPEARANCE),
        precision=saved.precision,
        labels=names,
        clusters=clusters,
        overclusters=overclusters,
        metrics=metrics,
        weights_sha256=hash_of_weights(MODEL),
    )
    write_card(card, MODEL_CARD)


if __name__ == "__main__":
    run_stage(main, read_segmentation_params, SEGMENTATION)
