"""The report: one self-contained page of what was asked, what came out, and how far it holds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from iic.core.constants import Head
from iic.model.diagnosis import diagnose
from iic.model.matching import UNMATCHED, cluster_scores
from iic.render.html import render_html
from iic.render.pictures import Picture, data_uri, tile
from iic.report.doubts import GALLERY, crossed_sevens
from iic.report.run import Run
from iic.report.sevens import SEVEN, gathering
from iic.report.tables import Bin, confused_pairs, kept_together, reliability, worst_mistakes

# Pairs of classes in the table of confusions.
PAIRS = 10
# What the settings of the page mean to somebody who has not seen params.yaml.
MEANINGS = {
    "recipe": "what these settings are called; decides nothing",
    "seed": "of the draws, the first weights and the order of images",
    "data.name": "the images",
    "augment.ops": "operations that make views of an image",
    "loss.alpha": "weight of even clusters in the loss, at first",
    "loss.alpha_final": "the same at the end",
    "train.epochs": "passes over the training images",
    "train.second_seed": "of a second training, to see how stable the clusters are",
}


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        anchor: for links.
        title: its heading.
        entries: title of each heading in it, by anchor.
        pictures: those in it, by anchor.
    """

    anchor: str
    title: str
    entries: Mapping[str, str]
    pictures: Mapping[str, Picture]


class Row(NamedTuple):
    """One figure of a table: what, how much, and what it means."""

    title: str
    value: str
    meaning: str


class Tile(NamedTuple):
    """An image of the data beside what it was taken for; `predicted` is None for no class."""

    image: str
    number: int
    label: str
    predicted: str | None
    probability: float


# Headings that stand without a picture, too.
TEXTS = {"information": "Mutual information", "stability": "Stability between two seeds"}
# Anchor and heading of each section, and anchors of what belongs to it where it is there.
SECTIONS = (
    ("asked", "What was asked", ("operations", "neighbors")),
    (
        "came-out",
        "What came out",
        ("joint", "training", "accuracy", "losses", "overclusters", "samples"),
    ),
    ("sure", "How sure", ("certainty", "sizes", "information", "stability")),
    ("fails", "Where it fails", ("mistakes", "confusion", "crossed-sevens", "uncertain")),
    ("cost", "What training costs", ("scaling",)),
    ("again", "How to make it again", ()),
)


def render_page(run: Run, pictures: Sequence[Picture]) -> str:
    """The HTML page, self-contained."""
    last = {name: float(column[-1]) for name, column in run.history.items()}
    return render_html(
        "iic.report",
        "report.html.j2",
        run=run,
        settings=[
            Row(name, "none" if value is None else str(value), MEANINGS[name])
            for name, value in run.settings.items()
        ],
        pictures=pictures,
        texts=TEXTS,
        sections={section.anchor: section for section in _sections(pictures)},
        findings=diagnose(last, {head: run.outputs(head) for head in Head}),
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
    """The figures of reports/metrics.json, as far as the data allow them."""
    k, over_k = (run.outputs(head) for head in Head)
    known = {
        "acc": ("Accuracy, test", _percent, "images in the cluster of their class, each cluster "
                "matched to one class (Hungarian)"),
        "train_acc": ("Accuracy, train", _percent, "the same on the training images"),
        "nmi": ("NMI, test", _number, "normalised mutual information of clusters and classes, "
                "0 to 1"),
        "ari": ("ARI, test", _number, "adjusted Rand index, 0 for chance, 1 for agreement"),
        "over_acc": ("Overclusters, test", _percent, f"each of the {over_k} overclusters counted "
                     "as its most frequent class"),
        "mutual_information": ("Mutual information", _nats, "of the clusters of training pairs, "
                               f"at most ln {k} = {math.log(k):.3f}"),
        "over_mutual_information": ("The same of overclusters", _nats,
                                    f"at most ln {over_k} = {math.log(over_k):.3f}"),
        "confidence": ("Confidence, test", _percent, "mean probability of an image's cluster"),
        "clusters_used": ("Clusters used", _count, f"of {k}, by test images"),
        "stability": ("Stability", _number, "adjusted Rand index of the clusters of two trainings, "
                      "0 for chance, 1 for the same"),
        "loss": ("Loss", _number, "of the last epoch; depends on alpha"),
    }  # fmt: skip
    return [
        Row(title, form(run.metrics[key]), meaning)
        for key, (title, form, meaning) in known.items()
        if key in run.metrics
    ]


def _sections(pictures: Sequence[Picture]) -> list[Section]:
    drawn = {picture.anchor: picture for picture in pictures}
    titles = TEXTS | {anchor: picture.title for anchor, picture in drawn.items()}
    sections = [
        Section(
            anchor,
            title,
            {name: titles[name] for name in names if name in titles},
            {name: drawn[name] for name in names if name in drawn},
        )
        for anchor, title, names in SECTIONS
    ]
    return [section for section in sections if section.pictures or section.anchor != "cost"]


def _renamed(run: Run) -> list[tuple[str, str]]:
    """Names of classes as the figures and as the page have them, where they differ."""
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
    bins = reliability(run.probability, run.is_right if run.is_labelled else None)
    return [row for row in bins if row.images]


def _stability(run: Run) -> dict[str, float] | None:
    """Agreement of both trainings, and the cluster that changes most; None without a second."""
    if not len(run.second):
        return None
    shares = kept_together(run.clusters, run.second, run.outputs(Head.CLUSTER))
    return {
        "ari": cluster_scores(run.clusters, run.second)["ari"],
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
        for index in worst_mistakes(run.is_right, run.probability, GALLERY)
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
    """Where the crossed sevens lie, and how many of them are right; None where there are none."""
    found = crossed_sevens(run)
    if not len(found):
        return None
    all_sevens = np.flatnonzero(run.labels == run.class_of(SEVEN))
    where = gathering(run.overclusters[all_sevens], np.isin(all_sevens, found))
    plain = np.setdiff1d(all_sevens, found)
    return {
        **where._asdict(),
        "sevens": len(all_sevens),
        "right": int(run.is_right[found].sum()),
        "plain": len(plain),
        "plain_right": int(run.is_right[plain].sum()),
    }


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _number(value: float) -> str:
    return f"{value:.4f}"


def _nats(value: float) -> str:
    return f"{value:.3f} nats"


def _count(value: float) -> str:
    return f"{value:,.0f}"
