"""Segmentation, stage 5: draw the figures, the animation and the page."""

import matplotlib

from iic.core.constants import Head
from iic.core.errors import InputError
from iic.core.files import read_arrays, read_json, read_table, write_bytes, write_text
from iic.pipeline.paths import SEGMENTATION
from iic.pipeline.stage import run_stage
from iic.report.segmentation.figures import render_pictures
from iic.report.segmentation.page import render_page
from iic.report.segmentation.run import SegmentedRun, complete_study
from iic.segmentation.card import SegmentationCard
from iic.segmentation.params import SegmentationParams, read_segmentation_params
from iic.segmentation.paths import (
    ACCURACY,
    FIGURES,
    HISTORY,
    MAP,
    METRICS,
    MODEL_CARD,
    PAGE,
    RESULTS,
    SEGMENTS,
    SNAPSHOTS,
    TILES,
)


def main(params: SegmentationParams) -> None:
    """Write each figure to a file, for papers and slides, and all of them to one page."""
    # Ignore the user's matplotlibrc.
    matplotlib.rcdefaults()
    card = SegmentationCard.read(MODEL_CARD)
    if card is None:
        raise InputError(f"{MODEL_CARD}: not found; {SegmentationCard.remedy}")
    segments = read_arrays(SEGMENTS, ["cluster", "overcluster", "masks", "map", "map_masks"])
    changed = {name: value for name, value in params.views.model_dump().items() if value}
    finished = SegmentedRun(
        settings={
            "seed": params.seed,
            "data.name": params.data.name,
            "data.tile": params.data.tile,
            "views": ", ".join(f"{name} {value}" for name, value in changed.items()) or None,
            "model.grouped": params.model.grouped,
            "loss.alpha": params.loss.alpha,
            "loss.alpha_final": params.loss.alpha_final,
            "loss.reach": params.loss.reach,
            "loss.reach_final": params.loss.reach_final,
            "train.epochs": params.train.epochs,
        },
        card=card,
        metrics=read_json(METRICS, SegmentationCard.remedy),
        history=read_table(HISTORY),
        accuracy=read_table(ACCURACY),
        snapshots=read_arrays(SNAPSHOTS, ["cluster_test", "tiles"]),
        tiles=read_arrays(TILES, ["test_tiles"])["test_tiles"],
        masks=segments["masks"],
        segments={head: segments[head] for head in Head},
        map=read_arrays(MAP, ["picture"])["picture"],
        map_truth=segments["map_masks"],
        map_segments=segments["map"],
        study=complete_study(
            read_json(RESULTS, f"git restore {RESULTS}").get("runs", {}).get("study", {})
        ),
    )
    pictures = render_pictures(finished)
    for picture in pictures:
        write_bytes(FIGURES / picture.name, picture.content)
    write_text(PAGE, render_page(finished, pictures))


if __name__ == "__main__":
    run_stage(main, read_segmentation_params, SEGMENTATION)
