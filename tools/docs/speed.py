"""Tables of speed and memory: trainings, stages, other methods and predictions."""

import math

from iic.core.constants import IMAGE_SIZE
from iic.core.shapes import GREY_SHAPE
from iic.experiments.recipes import DEFAULT
from tools.bench.memory import bounds
from tools.bench.results import read_benchmark
from tools.bench.sizes import SHAPES, name_of, read_sizes
from tools.docs.results import article_seconds
from tools.docs.tables import NOT_MEASURED, PERCENT, SECONDS, markdown_table


def speed() -> str:
    """Return a table of the training of each recipe and of the article's."""
    measured = read_benchmark()
    if not {"steps", "trainings"} <= set(measured):
        return NOT_MEASURED
    steps, trainings = measured["steps"]["recipes"], measured["trainings"]
    article = f"{article_seconds(trainings):,.0f} s, by its step"
    rows = [("`article`", article, "1", "", *_step(steps["article"]), "")]
    for recipe, row in trainings.items():
        count = row["trainings"]
        rows.append(
            (
                f"`{recipe}`",
                f"{row['seconds']:,.0f} s" + (f", median of {count}" if count > 1 else ""),
                f"1/{row['times_faster_than_the_article']:.1f}",
                f"{row['preparing_seconds']:.0f} s",
                *(_step(steps[recipe]) if recipe in steps else ("", "")),
                f"{row['peak_mb']:,} MB",
            )
        )
    titles = (
        "recipe | training | share of the article's time | preparation | pairs per second "
        "| share of the float32 peak | peak memory"
    )
    return markdown_table(titles, rows)


def _step(step: dict[str, float]) -> tuple[str, str]:
    return f"{step['pairs_per_second']:,}", f"{100 * step['share_of_float32_peak']:.0f} %"


def details() -> str:
    """Return the costs of augmentation and snapshots, and a table of time and memory by stage."""
    measured = read_benchmark()
    if not {"steps", "stages"} <= set(measured):
        return NOT_MEASURED
    steps = measured["steps"]
    share = 100 * steps["recipes"][DEFAULT]["augmentation_share"]
    said = (
        f"In `{DEFAULT}`, augmentation takes {share:.1f} % of a step and the snapshot of the test "
        f"images {steps['snapshot_seconds']:.1f} s an epoch; the float32 peak is "
        f"{steps['peak_gflops']['float32']:,.0f} GFLOP/s."
    )
    rows = [
        (f"`{stage}`", f"{cost['seconds']:,.0f} s", f"{cost['peak_mb']:,.0f} MB")
        for stage, cost in measured["stages"].items()
    ]
    table = markdown_table(f"stage of `{DEFAULT}` | time | peak memory", rows)
    return f"{said}\n\n{table}"


def command() -> str:
    """Say where the seconds of an experiment go, from the command to the prompt."""
    measured = read_benchmark()
    if "command" not in measured:
        return NOT_MEASURED
    cost = measured["command"]
    stages = {name: seconds for name, seconds in cost["stages"].items() if seconds >= 0.5}
    parts = ", ".join(f"`{name}` {SECONDS(seconds)}" for name, seconds in stages.items())
    rest = cost["seconds"] - sum(cost["stages"].values())
    return (
        f"`dvc exp run --temp $(iic recipe {cost['recipe']})` takes {SECONDS(cost['seconds'])} "
        f"from the command to the prompt: {parts}, and {SECONDS(rest)} for the start of the stages "
        "(Python, TensorFlow) and for DVC."
    )


def memory() -> str:
    """Return a table of upper bounds of memory: fixed part and multiple of the images."""
    stated = bounds()
    if not stated:
        return "Not measured yet: `python -m tools.bench.memory`."
    rows = [
        (_stage_title(name), f"{fixed:,} MB", f"{times:.1f} ×")
        for name, (fixed, times) in stated.items()
    ]
    # A million images have as many MB as one has bytes.
    needs = {
        fixed + times * IMAGE_SIZE**2: _stage_title(name) for name, (fixed, times) in stated.items()
    }
    most = max(needs)
    table = markdown_table("stage | fixed part | multiple of the training images", rows)
    return f"{table}\n\nSo a million images need {most / 1000:.1f} GB, in {needs[most]}."


def _stage_title(name: str) -> str:
    stage, *rest = name.split(" ", 1)
    return " ".join([f"`{stage}`", *rest])


def sizes() -> str:
    """Return a table of time and memory by size and channels of the images."""
    measured = read_sizes()
    if not measured:
        return NOT_MEASURED
    rows = []
    for shape in SHAPES:
        row = measured["shapes"][name_of(shape)]
        pixels = math.prod(shape) / math.prod(GREY_SHAPE)
        rows.append(
            (
                f"{shape[0]}×{shape[1]} {'grey' if shape[2] == 1 else 'colour'}",
                f"{pixels:.2g} ×",
                *(f"{row[key]:.2g} ×" for key in ("step_times", "predict_times")),
                f"{row['peak_mb']:,.0f} MB",
            )
        )
    titles = "images | bytes of an image | training step | prediction | peak memory of a training"
    return markdown_table(titles, rows)


def methods() -> str:
    """Return a table of accuracy, time and memory of other methods and of IIC.

    Times are shares of that of the article's training, whose step is timed beside each method, so
    that rows of different machines can be compared.
    """
    measured = read_benchmark()
    if not {"trainings", "alternatives"} <= set(measured):
        return NOT_MEASURED
    found = dict(measured["alternatives"])
    for recipe, row in measured["trainings"].items():
        seconds = row["seconds"] + row["preparing_seconds"]
        found[f"IIC, `{recipe}`, seed 0"] = row | {"seconds": seconds}
    ended = {name: row for name, row in found.items() if "acc" in row}
    rows = [
        (
            name,
            PERCENT(row["acc"]),
            f"{row['nmi']:.3f}" if "nmi" in row else "",
            f"1/{row['article_seconds'] / row['seconds']:.1f}",
            f"{row['peak_mb']:,} MB",
        )
        for name, row in sorted(ended.items(), key=lambda item: item[1]["acc"])
    ]
    rows += [
        (name, _unfinished(row), "", "", "") for name, row in found.items() if name not in ended
    ]
    titles = "method | accuracy, test | NMI | share of the article's time | peak memory"
    return markdown_table(titles, rows)


def _unfinished(row: dict[str, float]) -> str:
    if "limit_seconds" not in row:
        return "ended with an error"
    return f"not finished after {row['limit_seconds'] / 3600:g} h"


def prediction() -> str:
    """Describe the time of `iic predict`, beside that of the network alone."""
    measured = read_benchmark()
    if "predict" not in measured:
        return NOT_MEASURED
    cost = measured["predict"]
    images = f"{cost['images']:,} images"
    return (
        f"One image takes {cost['one']:.1f} s. From {cost['least']:,} images on, the command needs "
        f"TensorFlow: {cost['start']:.1f} s for these, {cost['npz']:.1f} s for {images} from an "
        f"NPZ file, {cost['png']:.1f} s from PNG files. The network alone takes "
        f"{cost['network']:.1f} s for {images}."
    )
