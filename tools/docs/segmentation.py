"""Tables of docs/segmentation.md: segmentation beside peers, a study, and the cost of pictures."""

import statistics
from collections.abc import Mapping
from typing import Any

from iic.core.plurals import counted
from iic.report.segmentation.run import complete_study
from tools.bench.segmentation import ALPHAS, REACHES, present_rows, read_results
from tools.docs.tables import MINUTES, SECONDS, SHARE, markdown_table

_NOT_MEASURED = "Not measured yet: `python -m tools.bench.segmentation {part}`."
# Titles of the methods that need no extra package here.
_TITLES = {
    "iic": "**this project**",
    "k-means": "k-means on pixels",
    "energies": "k-means on filter energies",
    "felzenszwalb": "Felzenszwalb, then k-means on its regions",
    "slic": "SLIC, then k-means on its superpixels",
}


def peers(part: str) -> str:
    """Return a table of the methods on one data set, mean ± deviation over the seeds.

    Rows of other settings than the present ones are left out.

    Args:
        part: Name of the recipe, "default" for textures.
    """
    runs = present_rows(part)
    if not all(runs.get(name) for name in _TITLES):
        return _NOT_MEASURED.format(part=part)
    rows = []
    for name, title in _TITLES.items():
        found = list(runs[name].values())
        acc = [row["pixel_acc"] for row in found]
        rows.append(
            (
                title,
                SHARE.mean(acc),
                SHARE(min(acc)),
                SHARE.mean([row["mean_iou"] for row in found]),
                str(len(found)),
                MINUTES(statistics.median(row["seconds"] for row in found)),
            )
        )
    titles = "method | pixel accuracy, test | lowest | mean IoU | seeds | minutes"
    return markdown_table(titles, rows)


def pictures() -> str:
    """Return a sentence with the time and the peak memory of `iic segment` for large pictures."""
    rows: Mapping[str, Any] = read_results().get("pictures", {})
    if not rows:
        return "Not measured yet: `python -m tools.bench.pictures`."
    costs = [
        f"{SECONDS(row['seconds'])} and {row['peak_mb'] / 1000:.1f} GB for {size} pixels"
        for size, row in rows.items()
    ]
    return f"With its start, the command takes {', '.join(costs)}."


def study() -> str:
    """Return a table of the pixel accuracy by alpha and reach, mean ± deviation over the seeds.

    Rows of other settings than the present ones are left out.
    """
    runs = complete_study(present_rows("study"))
    if not {f"{alpha} {reach}" for alpha in ALPHAS for reach in REACHES} <= runs.keys():
        return _NOT_MEASURED.format(part="study")
    rows = [
        (
            f"{alpha:g}",
            *(
                SHARE.mean([row["pixel_acc"] for row in runs[f"{alpha} {reach}"].values()])
                for reach in REACHES
            ),
        )
        for alpha in ALPHAS
    ]
    title = f"alpha; {counted(len(next(iter(runs.values()))), 'seed')}"
    return markdown_table(" | ".join((title, *(f"T = {reach}" for reach in REACHES))), rows)
