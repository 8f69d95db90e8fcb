"""Several runs on one self-contained page: settings, curves, confusions, images that change."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from iic import figures
from iic.datasets import DIGITS
from iic.errors import InputError
from iic.matching import contingency_table
from iic.pages import render_html
from iic.pictures import data_uri, png, sprite

# Shown in the table beside the settings that differ; of scores a larger one is better.
SCORES = ("acc", "nmi", "ari", "over_acc")
METRICS = (*SCORES, "loss")
# Images that some run assigns differently; a page with more would be slow on a phone.
MAX_IMAGES = 3000
_SPRITE_COLUMNS = 60


@dataclass(frozen=True)
class ComparedRun:
    """What is compared of a run.

    Attributes:
        name: of the experiment or commit.
        settings: value by "section.key" of all parameters.
        metrics: reports/metrics.json.
        history: columns of reports/history.csv.
        accuracy: columns of reports/accuracy.csv.
        predictions: columns of reports/predictions.csv, one row a test image.
    """

    name: str
    settings: Mapping[str, object]
    metrics: Mapping[str, float]
    history: Mapping[str, np.ndarray]
    accuracy: Mapping[str, np.ndarray]
    predictions: Mapping[str, np.ndarray]

    @property
    def labels(self) -> np.ndarray:
        """(m,) digit of each test image."""
        return self.predictions["label"].astype(int)

    @property
    def predicted(self) -> np.ndarray:
        """(m,) digit that the image's cluster is matched to."""
        return self.predictions["predicted"].astype(int)


def render_comparison(runs: Sequence[ComparedRun], test_images: np.ndarray) -> str:
    """The HTML page.

    Args:
        runs: two or more, on the same test images.
        test_images: (m, 28, 28) uint8.

    Raises:
        InputError: the runs are of different data.
    """
    for run in runs[1:]:
        if not np.array_equal(run.labels, runs[0].labels):
            raise InputError(
                f"{run.name}: other test images than {runs[0].name}; compare runs on one data set"
            )
    all_disputed = disputed(runs)
    shown = all_disputed[:MAX_IMAGES]
    return render_html(
        "compare.html.j2",
        runs=runs,
        settings=differing(runs),
        metrics=METRICS,
        best={name: max(run.metrics[name] for run in runs) for name in SCORES},
        curves=data_uri("png", png(_curves(runs))),
        confusions=[(run.name, data_uri("png", png(_confusion(run)))) for run in runs],
        disputed=len(all_disputed),
        shown=len(shown),
        columns=_SPRITE_COLUMNS,
        sprite=data_uri("png", sprite(test_images[shown], _SPRITE_COLUMNS)),
        data=_json(runs, shown),
    )


def differing(runs: Sequence[ComparedRun]) -> list[str]:
    """Names of the settings that are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    first = runs[0].settings
    return [
        name for name in names if any(run.settings.get(name) != first.get(name) for run in runs)
    ]


def disputed(runs: Sequence[ComparedRun]) -> np.ndarray:
    """Indices of the test images that not all runs give the same digit."""
    predicted = np.stack([run.predicted for run in runs])
    return np.flatnonzero((predicted != predicted[0]).any(axis=0))


def _curves(runs: Sequence[ComparedRun]) -> Figure:
    panels = [
        ("Accuracy, test", "share of images"),
        ("Loss", "nats"),
        ("Mutual information", "nats"),
    ]
    return figures.variants_figure(
        panels,
        {
            run.name: [
                column[None]
                for column in (
                    run.accuracy["acc"],
                    run.history["loss"],
                    run.history["cluster_mutual_information"],
                )
            ]
            for run in runs
        },
    )


def _confusion(run: ComparedRun) -> Figure:
    """Digits by the digit of their cluster; those in a cluster without one are left out."""
    named = run.predicted >= 0
    return figures.confusion_figure(
        contingency_table(run.labels[named], run.predicted[named], DIGITS, DIGITS), run.name
    )


def _json(runs: Sequence[ComparedRun], shown: np.ndarray) -> str:
    """What the page's script needs of the disputed images."""
    content = {
        "runs": [run.name for run in runs],
        "index": shown.tolist(),
        "label": runs[0].labels[shown].tolist(),
        "predicted": [run.predicted[shown].tolist() for run in runs],
    }
    # Inside a script element nothing but its end tag could end it.
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
