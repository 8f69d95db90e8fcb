"""Stage 6: draw the figures, the animation and the page from the outputs of the other stages."""

import matplotlib

from iic.core.errors import InputError
from iic.core.files import read_arrays, read_json, read_table, write_bytes, write_text
from iic.core.params import Params, shown_operations
from iic.evaluation.card import ModelCard
from iic.evaluation.paths import ACCURACY, CLASS_COLUMNS, METRICS, MODEL_CARD, PREDICTIONS
from iic.pipeline.paths import HISTORY, IMAGES, NEIGHBORS, SNAPSHOTS
from iic.pipeline.stage import run
from iic.report.gallery import render_pictures
from iic.report.page import render_page
from iic.report.paths import BENCHMARK, FIGURES, PAGE
from iic.report.run import Run


def main(params: Params) -> None:
    """Write each figure to a file, for papers and slides, and all of them to one page."""
    # Ignore the user's matplotlibrc.
    matplotlib.rcdefaults()
    card = ModelCard.read(MODEL_CARD)
    if card is None:
        raise InputError(f"{MODEL_CARD}: not found; run `dvc repro evaluate`")
    finished = Run(
        settings={
            "recipe": params.recipe,
            "seed": params.seed,
            "data.name": params.data.name,
            "augment.ops": ", ".join(params.augment.ops) or "none",
            "loss.alpha": params.loss.alpha,
            "loss.alpha_final": params.loss.alpha_final,
            "train.epochs": params.train.epochs,
            "student.teachers": params.student.teachers,
            "train.second_seed": params.train.second_seed,
        },
        normalizes_logits=params.model.normalize_logits,
        card=card,
        metrics=read_json(METRICS, "dvc repro evaluate"),
        history=read_table(HISTORY),
        accuracy=read_table(ACCURACY),
        predictions=read_table(PREDICTIONS, CLASS_COLUMNS),
        snapshots=read_arrays(
            SNAPSHOTS,
            [
                "cluster_joint",
                "cluster_test",
                "overcluster_joint",
                "overcluster_test",
                "examples",
                "second_test",
            ],
        ),
        **read_arrays(IMAGES, ["train_images", "test_images"]),
        **read_arrays(NEIGHBORS, ["neighbors"]),
        benchmark=read_json(BENCHMARK, "git restore reports/measurements/benchmark.json"),
        operations=shown_operations(params.augment.ops),
    )
    pictures = render_pictures(finished, params.report.label)
    for picture in pictures:
        write_bytes(FIGURES / picture.name, picture.content)
    write_text(PAGE, render_page(finished, pictures))


if __name__ == "__main__":
    run(main)
