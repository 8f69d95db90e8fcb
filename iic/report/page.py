"""The report as one self-contained HTML page: method, results, confidence, errors and cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from iic.core.constants import Head
from iic.evaluation.paths import METRICS, PREDICTIONS
from iic.evaluation.scores import agreement
from iic.model.diagnosis import diagnose
from iic.model.matching import UNMATCHED
from iic.pipeline.paths import HISTORY, LOCK, PARAMS
from iic.render.html import render_html
from iic.render.pictures import Picture, data_uri, tile
from iic.report.mistakes import GALLERY, find_crossed_sevens
from iic.report.paths import FIGURES
from iic.report.run import Run
from iic.report.sevens import SEVEN, gathering
from iic.report.tables import Bin, confused_pairs, kept_together, reliability_bins, worst_mistakes

# Rows of the table of confusions.
PAIRS = 10
# Most classes whose sizes are listed one by one.
_LISTED_SIZES = 20
# Meaning of each setting in the table of settings.
MEANINGS = {
    "recipe": "name of the settings; no effect on the run",
    "seed": "seed of the random draws, the initial weights and the order of the images",
    "data.name": "data set",
    "augment.ops": "augmentation operations",
    "loss.alpha": "weight of the marginal entropies in the loss, at the start",
    "loss.alpha_final": "the same weight at the end; none: constant",
    "train.epochs": "passes over the training images of each network but the student",
    "student.teachers": "networks trained first, whose clusters teach the final one; 0: none",
    "train.second_seed": "seed of a second training, which measures the stability of the clusters",
}


@dataclass(frozen=True)
class PageSection:
    """A section of the page.

    Attributes:
        anchor: Target of links.
        title: Heading.
        entries: Titles of the headings in the section, by anchor.
        pictures: Figures in the section, by anchor.
    """

    anchor: str
    title: str
    entries: Mapping[str, str]
    pictures: Mapping[str, Picture]


class Row(NamedTuple):
    """A row of a table: name, value and meaning, as text."""

    title: str
    value: str
    meaning: str


class Tile(NamedTuple):
    """A misclassified test image.

    Attributes:
        image: Data URI of the image.
        number: Index of the test image.
        label: Name of its class.
        predicted: Name of the predicted class; None if its cluster has no class.
        probability: Confidence, from 0 to 1.
    """

    image: str
    number: int
    label: str
    predicted: str | None
    probability: float


# Headings of entries that consist of text and may have no figure.
TEXT_ENTRIES = {"information": "Mutual information", "stability": "Stability between two seeds"}
# Anchor and heading of each section, and anchors of its figures and texts, if the page has them.
PAGE_SECTIONS = (
    ("method", "Method and settings", ("operations", "neighbors")),
    ("results", "Results", ("joint", "training", "accuracy", "losses", "overclusters", "samples")),
    (
        "confidence-and-calibration",
        "Confidence and calibration",
        ("calibration", "confidence", "sizes", "information", "stability"),
    ),
    ("errors", "Errors", ("mistakes", "confusion", "crossed-sevens", "uncertain")),
    ("cost", "Cost of training", ("scaling",)),
    ("reproduce", "Reproduce", ()),
)


def render_page(run: Run, pictures: Sequence[Picture]) -> str:
    """Render the page of a run as self-contained HTML.

    Args:
        run: The finished run.
        pictures: Figures of the page, as from iic.report.gallery.render_pictures.

    Returns:
        HTML that needs no other file.
    """
    last = {name: float(column[-1]) for name, column in run.history.items()}
    return render_html(
        "iic.report",
        "report.html.j2",
        run=run,
        seed=run.card.seed,
        has_player=any(len(picture.frames) > 1 for picture in pictures),
        files={
            "figures": FIGURES,
            "history": HISTORY,
            "lock": LOCK,
            "metrics": METRICS,
            "params": PARAMS,
            "predictions": PREDICTIONS,
        },
        settings=[
            Row(name, "none" if value is None else str(value), MEANINGS[name])
            for name, value in run.settings.items()
        ],
        pictures=pictures,
        texts=TEXT_ENTRIES,
        sections={section.anchor: section for section in _sections(pictures)},
        findings=diagnose(
            last,
            {head: run.outputs(head) for head in Head},
            normalizes_logits=run.normalizes_logits,
        ),
        headlines=headlines(run),
        renamed=_renamed(run),
        information=_information(run, last),
        bins=_bins(run),
        stability=_stability(run),
        mistakes=_mistakes(run),
        pairs=_pairs(run),
        sevens=_sevens(run),
    )


def headlines(run: Run) -> list[Row]:
    """Metrics of reports/metrics.json with their meaning, as rows of a table.

    The chance level of a score stands beside it; the sizes of the classes follow the accuracy.
    """
    k, over_k = (run.outputs(head) for head in Head)
    labels = "training" if "train_acc" in run.metrics else "same"
    known = {
        "acc": ("Accuracy, test", _percent, "share of the images in the cluster matched to their "
                "class (one to one, Hungarian algorithm)"),
        "train_acc": ("Accuracy, train", _percent, "accuracy on the training images, with their "
                      "own matching"),
        "nmi": ("NMI, test", _number, "normalised mutual information of clusters and classes, "
                "from 0 to 1"),
        "ari": ("ARI, test", _number, "adjusted Rand index of clusters and classes: 0 for chance, "
                "1 for identical partitions"),
        "over_acc": ("Overclustering accuracy, test", _percent, f"accuracy with each of the "
                     f"{over_k} overclusters counted as its majority class among the {labels} "
                     "images"),
        "mutual_information": ("Mutual information", _nats, "clustering head, training pairs; at "
                               f"most ln {k} = {math.log(k):.3f}"),
        "over_mutual_information": ("Mutual information, overclusters", _nats, "overclustering "
                                    f"head, training pairs; at most ln {over_k} = "
                                    f"{math.log(over_k):.3f}"),
        "confidence": ("Confidence, test", _percent, "mean probability of an image's cluster"),
        "clusters_used": ("Clusters used", _count, f"clusters with test images, of {k}"),
        "stability": ("Stability", _number, "adjusted Rand index of the test images' clusters in "
                      "two trainings: 0 for chance, 1 for identical partitions"),
        "collapsed_trainings": ("Collapsed trainings", _count, "trainings, of the two that measure "
                                "stability, with all test images in one cluster"),
        "loss": ("Loss", _number, "loss of the last epoch; depends on alpha"),
    }  # fmt: skip
    rows = []
    for key, (title, form, meaning) in known.items():
        if key in run.metrics:
            chance = run.metrics.get(f"{key}_chance")
            beside = "" if chance is None else f" (chance: {form(chance)})"
            rows.append(Row(title, form(run.metrics[key]) + beside, meaning))
        if key == "acc" and run.is_labelled:
            rows.append(_class_sizes(run))
    return rows


def _class_sizes(run: Run) -> Row:
    """Share of the largest class, with which an accuracy has to be compared, and all sizes."""
    sizes = np.bincount(run.labels, minlength=len(run.names))
    if len(sizes) > _LISTED_SIZES:
        listed = f"{len(sizes)} classes of {sizes.min():,} to {sizes.max():,} test images"
    else:
        listed = "test images by class: " + ", ".join(
            f"{run.long_name(label)}: {size:,}" for label, size in enumerate(sizes)
        )
    return Row(
        "Largest class, test",
        _percent(sizes.max() / sizes.sum()),
        f"accuracy of a single cluster of all images; {listed}",
    )


def _sections(pictures: Sequence[Picture]) -> list[PageSection]:
    drawn = {picture.anchor: picture for picture in pictures}
    titles = TEXT_ENTRIES | {anchor: picture.title for anchor, picture in drawn.items()}
    sections = [
        PageSection(
            anchor,
            title,
            {name: titles[name] for name in names if name in titles},
            {name: drawn[name] for name in names if name in drawn},
        )
        for anchor, title, names in PAGE_SECTIONS
    ]
    return [section for section in sections if section.pictures or section.anchor != "cost"]


def _renamed(run: Run) -> list[tuple[str, str]]:
    """Names of classes in figures and on the page, for classes whose names differ."""
    return [
        (short.replace("\\$", "$"), run.long_name(label))
        for label, (short, name) in enumerate(zip(run.short_names, run.names, strict=True))
        if short.replace("\\$", "$") != " ".join(name.split())
    ]


def _information(run: Run, last: Mapping[str, float]) -> list[dict[str, object]]:
    return [
        {
            "head": head.full_name,
            "outputs": run.outputs(head),
            "used": int(last[f"{head}s_used"]),
            "information": last[f"{head}_mutual_information"],
            "entropy": last[f"{head}_marginal_entropy"],
            "most": math.log(run.outputs(head)),
        }
        for head in Head
    ]


def _bins(run: Run) -> list[Bin]:
    bins = reliability_bins(run.probability, run.is_correct if run.is_labelled else None)
    return [row for row in bins if row.images]


def _stability(run: Run) -> dict[str, float] | None:
    """Agreement of both trainings and the least stable cluster; None if there is no stability."""
    if not run.has_stability:
        return None
    shares = kept_together(run.clusters, run.second_clusters, run.outputs(Head.CLUSTER))
    return {
        **agreement(run.clusters, run.second_clusters),
        "cluster": int(np.nanargmin(shares)),
        "lowest": float(np.nanmin(shares)),
    }


def _mistakes(run: Run) -> list[Tile]:
    if not run.is_labelled:
        return []
    return [
        Tile(
            data_uri("png", tile(run.test_images[index])),
            int(index),
            run.long_name(run.labels[index]),
            None if run.predicted[index] == UNMATCHED else run.long_name(run.predicted[index]),
            float(run.probability[index]),
        )
        for index in worst_mistakes(run.is_correct, run.probability, GALLERY)
    ]


def _pairs(run: Run) -> list[dict[str, object]]:
    if not run.is_labelled:
        return []
    return [
        {
            "label": run.long_name(pair.label),
            "predicted": None if pair.predicted == UNMATCHED else run.long_name(pair.predicted),
            "images": pair.images,
            "share": pair.share,
        }
        for pair in confused_pairs(run.labels, run.predicted, len(run.names), PAIRS)
    ]


def _sevens(run: Run) -> dict[str, float] | None:
    """Overcluster and accuracy of the crossed sevens; None if there are none."""
    found = find_crossed_sevens(run)
    if not len(found):
        return None
    all_sevens = np.flatnonzero(run.labels == run.class_of(SEVEN))
    gathered = gathering(run.overclusters[all_sevens], np.isin(all_sevens, found))
    plain = np.setdiff1d(all_sevens, found)
    return {
        **gathered._asdict(),
        "sevens": len(all_sevens),
        "correct": int(run.is_correct[found].sum()),
        "plain": len(plain),
        "plain_correct": int(run.is_correct[plain].sum()),
    }


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _number(value: float) -> str:
    return f"{value:.4f}"


def _nats(value: float) -> str:
    return f"{value:.3f} nats"


def _count(value: float) -> str:
    return f"{value:,.0f}"
