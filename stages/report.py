"""Stage 6: draw figures, animation and page from what the other stages wrote."""

from iic.files import read_arrays, read_json, read_table, write_bytes, write_text
from iic.params import Params
from iic.report import Run, render_page, render_pictures
from stages.common import (
    ACCURACY,
    BENCHMARK,
    FIGURES,
    HISTORY,
    IMAGES,
    METRICS,
    NEIGHBORS,
    PAGE,
    PREDICTIONS,
    SNAPSHOTS,
    run,
)


def main(params: Params) -> None:
    """Every figure is also a file of its own, for papers and slides."""
    finished = Run(
        settings={
            "recipe": params.recipe,
            "seed": params.seed,
            "data.name": params.data.name,
            "augment.ops": ", ".join(params.augment.ops) or "none",
            "loss.alpha": params.loss.alpha,
            "loss.alpha_final": params.loss.alpha_final,
            "train.epochs": params.train.epochs,
        },
        metrics=read_json(METRICS, "dvc repro evaluate"),
        history=read_table(HISTORY),
        accuracy=read_table(ACCURACY),
        predictions=read_table(PREDICTIONS),
        snapshots=read_arrays(
            SNAPSHOTS,
            ["cluster_joint", "cluster_test", "overcluster_joint", "overcluster_test", "examples"],
        ),
        **read_arrays(IMAGES, ["train_images", "test_images"]),
        **read_arrays(NEIGHBORS, ["neighbors"]),
        benchmark=read_json(BENCHMARK, "git restore reports/benchmark.json"),
    )
    pictures = render_pictures(finished, params.report.label)
    for picture in pictures:
        write_bytes(FIGURES / picture.name, picture.content)
    write_text(PAGE, render_page(finished, pictures))


if __name__ == "__main__":
    run(main)
