"""A self-contained page that compares runs: parameters, metrics, curves, confusion, images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from iic.core.errors import InputError
from iic.core.ordering import natural_order
from iic.core.pixels import fit_budget
from iic.model.matching import contingency_table
from iic.render import figures, matrices
from iic.render.html import page_json, render_html
from iic.render.names import plain_text, short_names
from iic.render.pictures import data_uri, png, sprite

# Metrics in the table, after the parameters that differ. For scores, larger is better.
SCORES = ("acc", "nmi", "ari", "over_acc")
SHOWN_METRICS = (*SCORES, "loss")
# Largest number of images on the page; with more it would be slow on a phone.
MAX_IMAGES = 3000
_SPRITE_COLUMNS = 60
# Pixels of all images together: the page shows each with 56×56.
_SPRITE_PIXELS = MAX_IMAGES * 56 * 56


@dataclass(frozen=True)
class ComparedRun:
    """The data of a run that the page shows.

    Attributes:
        name: Name of the experiment or commit.
        settings: Value of each parameter, by "section.key".
        metrics: Content of reports/metrics.json.
        history: Columns (epochs,) of reports/history.csv.
        accuracy: Columns (epochs,) of reports/accuracy.csv.
        predictions: Columns (m,) of reports/predictions.csv, one row per test image.
    """

    name: str
    settings: Mapping[str, object]
    metrics: Mapping[str, float]
    history: Mapping[str, np.ndarray]
    accuracy: Mapping[str, np.ndarray]
    predictions: Mapping[str, np.ndarray]

    @property
    def labels(self) -> np.ndarray:
        """Class of each test image, (m,) strings."""
        return self.predictions["label"]

    @property
    def predicted(self) -> np.ndarray:
        """Class that each image's cluster is matched to, (m,) strings, empty if there is none."""
        names = self.predictions["predicted"]
        # Older runs write class numbers, and -1 for no class.
        return names if "-1" in self.labels else np.where(names == "-1", "", names)


def render_comparison(runs: Sequence[ComparedRun], test_images: np.ndarray) -> str:
    """Render the page as HTML.

    Args:
        runs: Two or more runs on the same test images.
        test_images: Test images, (m, h, w) or (m, h, w, 3) uint8.

    Returns:
        Self-contained HTML.

    Raises:
        InputError: The runs used different data, or their data have no labels.
    """
    for run in runs:
        if "label" not in run.predictions:
            raise InputError(f"{run.name}: its data have no labels; compare runs with labels")
    for run in runs[1:]:
        if not np.array_equal(run.labels, runs[0].labels):
            raise InputError(
                f"{run.name}: other test images than {runs[0].name}; compare runs on the same data"
            )
    all_disputed = disputed(runs)
    shown = all_disputed[:MAX_IMAGES]
    tiles = fit_budget(test_images[shown], _SPRITE_PIXELS)
    return render_html(
        "iic.experiments",
        "compare.html.j2",
        runs=runs,
        settings=differing(runs),
        metrics=SHOWN_METRICS,
        best={name: max(run.metrics[name] for run in runs) for name in SCORES},
        curves=data_uri("png", png(_curves_figure(runs))),
        confusions=[(run.name, data_uri("png", png(_confusion_figure(run)))) for run in runs],
        disputed=len(all_disputed),
        shown=len(shown),
        columns=_SPRITE_COLUMNS,
        sprite=data_uri("png", sprite(tiles, _SPRITE_COLUMNS)),
        data=_script_data(runs, shown),
    )


def differing(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the names of the parameters that differ between runs."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    first = runs[0].settings
    return [
        name for name in names if any(run.settings.get(name) != first.get(name) for run in runs)
    ]


def disputed(runs: Sequence[ComparedRun]) -> np.ndarray:
    """Return the indices of the test images that the runs assign to different classes."""
    predicted = np.stack([run.predicted for run in runs])
    return np.flatnonzero((predicted != predicted[0]).any(axis=0))


def _curves_figure(runs: Sequence[ComparedRun]) -> Figure:
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


def classes_of(run: ComparedRun) -> list[str]:
    """Return the classes that a run's test images have or are assigned to, in natural order."""
    names = {*run.labels.tolist(), *run.predicted.tolist()} - {""}
    return sorted(names, key=natural_order)


def _confusion_figure(run: ComparedRun) -> Figure:
    """Draw the confusion matrix; images in a cluster without a class are left out."""
    classes = classes_of(run)
    numbers = {name: number for number, name in enumerate(classes)}
    true, predicted = (
        np.array([numbers[name] for name in column[run.predicted != ""].tolist()], int)
        for column in (run.labels, run.predicted)
    )
    table = contingency_table(true, predicted, len(classes), len(classes))
    return matrices.confusion_figure(table, short_names(classes), plain_text(run.name))


def _script_data(runs: Sequence[ComparedRun], shown: np.ndarray) -> str:
    """Return the data of the disputed images for the page's script."""
    content = {
        "runs": [run.name for run in runs],
        "index": shown.tolist(),
        "label": runs[0].labels[shown].tolist(),
        "predicted": [run.predicted[shown].tolist() for run in runs],
    }
    return page_json(content)
