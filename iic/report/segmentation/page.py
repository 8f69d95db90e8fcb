"""The report of a segmentation as one self-contained HTML page."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from iic.core.constants import Head
from iic.model.diagnosis import diagnose
from iic.pipeline.paths import SEGMENTATION
from iic.render.html import render_html
from iic.render.palette import palette_image
from iic.render.pictures import Picture, data_uri
from iic.report.page import PageSection, Row
from iic.report.segmentation.figures import COMMAND
from iic.report.segmentation.run import SegmentedRun
from iic.segmentation.constants import IGNORED
from iic.segmentation.paths import FIGURES, HISTORY, METRICS

# Meaning of each setting in the table of settings.
MEANINGS = {
    "seed": "seed of the mosaics, the initial weights, the order of the tiles and their views",
    "data.name": "data set",
    "data.tile": "height and width of a tile, pixels",
    "views": "operations that make the two views of a tile, with their ranges",
    "model.grouped": "whether segments are groups of overclusters",
    "loss.alpha": "weight of the marginal entropies in the loss, at the start",
    "loss.alpha_final": "the same weight at the end; none: constant",
    "loss.reach": "largest displacement, cells of the coarse map, at the start",
    "loss.reach_final": "the same at the end",
    "train.epochs": "passes over the training tiles",
}
# Anchor and heading of each section, and anchors of its figures.
_SECTIONS = (
    ("method", "Method and settings", ()),
    ("results", "Results", ("scenes", "training", "accuracy", "losses", "confusion")),
    ("overclusters-section", "Overclusters", ("overclusters", "textures")),
    ("map", "Map", ()),
    ("study-section", "Study", ("study",)),
    ("reproduce", "Reproduce", ()),
)
# Quality of the map's JPEG, 1 to 100.
_QUALITY = 80


class MapPicture(NamedTuple):
    """A whole picture with what can be laid over it.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        picture: Data URI of the picture.
        layers: Data URI of each layer by its title.
    """

    width: int
    height: int
    picture: str
    layers: Mapping[str, str]


class LegendEntry(NamedTuple):
    """A segment in the legend: its name, its colour in CSS, and its share of the test pixels."""

    name: str
    color: str
    share: float


def render_page(run: SegmentedRun, pictures: Sequence[Picture]) -> str:
    """Render the page of a run as self-contained HTML.

    Args:
        run: The finished run.
        pictures: Figures of the page, as from iic.report.segmentation.figures.render_pictures.

    Returns:
        HTML that needs no other file.
    """
    last = {name: float(column[-1]) for name, column in run.history.items()}
    drawn = {picture.anchor: picture for picture in pictures}
    shown_map = _map(run)
    sections = {
        anchor: PageSection(
            anchor,
            title,
            {name: drawn[name].title for name in names if name in drawn},
            {name: drawn[name] for name in names if name in drawn},
        )
        for anchor, title, names in _SECTIONS
        if (anchor != "map" or shown_map) and (anchor != "study-section" or run.study)
    }
    return render_html(
        "iic.report.segmentation",
        "segmentation.html.j2",
        run=run,
        seed=run.card.seed,
        files={
            "figures": FIGURES,
            "history": HISTORY,
            "lock": SEGMENTATION.lock,
            "metrics": METRICS,
            "params": SEGMENTATION.params,
        },
        command=COMMAND,
        has_player=any(len(picture.frames) > 1 for picture in pictures),
        settings=[
            Row(name, "none" if value is None else str(value), MEANINGS[name])
            for name, value in run.settings.items()
        ],
        sections=sections,
        pictures=pictures,
        findings=diagnose(last, {head: run.outputs(head) for head in Head}, normalizes_logits=True),
        headlines=headlines(run, last),
        legend=_legend(run),
        map=shown_map,
    )


def headlines(run: SegmentedRun, last: Mapping[str, float]) -> list[Row]:
    """Return the metrics with their meaning, as rows of a table."""
    k, over_k = (run.outputs(head) for head in Head)
    known = {
        "pixel_acc": ("Pixel accuracy, test", 100, " %", "share of the pixels in the segment "
                      "matched to their class (one to one, Hungarian algorithm)"),
        "mean_iou": ("Mean IoU, test", 100, " %", "intersection over union of class and segment, "
                     "mean over the classes"),
        "nmi": ("NMI, test", 1, "", "normalised mutual information of segments and classes, from 0 "
                "to 1"),
        "over_acc": ("Overclustering accuracy, test", 100, " %", f"accuracy with each of the "
                     f"{over_k} overclusters counted as its majority class among the training "
                     "pixels, or the test pixels if only these have masks"),
        "train_pixel_acc": ("Pixel accuracy, train", 100, " %", "the same for the training tiles, "
                            "with their own matching"),
        "mutual_information": ("Mutual information", 1, " nats", "clustering head, training pairs; "
                               f"at most ln {k} = {math.log(k):.3f}"),
        "over_mutual_information": ("Mutual information, overclusters", 1, " nats",
                                    f"at most ln {over_k} = {math.log(over_k):.3f}"),
        "clusters_used": ("Segments used", 1, "", f"segments with pixels, of {k}"),
        "loss": ("Loss", 1, "", "loss of the last epoch; depends on alpha"),
    }  # fmt: skip
    values = dict(run.metrics)
    values.setdefault("mutual_information", last[f"{Head.CLUSTER}_mutual_information"])
    return [
        Row(title, f"{factor * values[key]:.{2 if factor == 100 else 4}f}{unit}", meaning)
        for key, (title, factor, unit, meaning) in known.items()
        if key in values
    ]


def _legend(run: SegmentedRun) -> list[LegendEntry]:
    """Return the segments with their colours; classes without a segment have no share."""
    sizes = np.bincount(run.segments[Head.CLUSTER].ravel(), minlength=len(run.card.clusters))
    entries = [
        LegendEntry(run.segment_name(segment), _css(color), float(sizes[segment] / sizes.sum()))
        for segment, color in enumerate(run.colors[Head.CLUSTER])
    ]
    lost = set(range(len(run.card.labels))) - set(run.card.clusters)
    return entries + [
        LegendEntry(f"no segment: {run.card.labels[label]}", _css(run.class_colors[label]), 0.0)
        for label in sorted(lost)
    ]


def _css(color: np.ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color.tolist())


def _map(run: SegmentedRun) -> MapPicture | None:
    """Return the whole picture with its segments, truth and errors; None for data without one."""
    if not run.map.size:
        return None
    height, width = run.map.shape[:2]
    layers = {"segments": _palette_png(run.map_segments, run.colors[Head.CLUSTER])}
    if run.is_labelled:
        layers["truth"] = _palette_png(run.map_truth, run.class_colors)
    buffer = io.BytesIO()
    Image.fromarray(run.map).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return MapPicture(width, height, data_uri("jpeg", buffer.getvalue()), layers)


def _palette_png(segments: np.ndarray, colors: np.ndarray) -> str:
    """Encode segments (h, w) as the data URI of a PNG with a palette; the rest is transparent."""
    buffer = io.BytesIO()
    palette_image(segments, colors).save(buffer, "PNG", optimize=True, transparency=IGNORED)
    return data_uri("png", buffer.getvalue())
