"""Measurements of one run: accuracies, merged and split digits, crossed sevens."""

import numpy as np
import pytest

from iic.core.params import Params
from iic.evaluation.paths import ACCURACY, PREDICTIONS
from iic.experiments import measures
from iic.experiments.grid import Experiment
from iic.experiments.measures import (
    Result,
    accuracies,
    measure_crossed_sevens,
    merged_and_split,
    result_of,
)
from iic.pipeline.paths import HISTORY
from iic.report.sevens import bar_width, crossed


def test_best_and_last_epoch_of_the_article_are_measured():
    by_epoch = np.linspace(0.5, 0.7, 120)
    by_epoch[[29, 110]] = 0.8, 0.9
    found = accuracies(by_epoch)
    assert found["acc"] == by_epoch[119]
    assert (found["best_acc"], found["best_epoch"]) == (0.8, 30)
    assert found["acc_100"] == by_epoch[99]
    assert found["change_after_100"] == pytest.approx(by_epoch[119] - by_epoch[99])


def test_epochs_beyond_a_short_training_are_not_measured():
    short, exact = accuracies(np.linspace(0.5, 0.7, 4)), accuracies(np.linspace(0.5, 0.7, 100))
    assert np.isnan([short["acc_100"], short["change_after_100"], exact["change_after_100"]]).all()
    assert exact["acc_100"] == exact["acc"] == exact["best_acc"] == 0.7
    assert short["best_epoch"] == 4


def test_merged_and_split_digits_equal_counts_by_hand():
    # Digit 0 is the majority of two clusters, 1 of one, 2 of none; the last cluster is empty.
    clusters = np.array([[9, 8, 0, 0], [0, 1, 9, 0], [2, 0, 8, 0]])
    assert merged_and_split(clusters) == {"merged": 1, "split": 1}
    assert merged_and_split(np.diag([5, 5, 5])) == {"merged": 0, "split": 0}


def seven(bar: bool) -> np.ndarray:
    """Draw a seven with a slanted stem, with or without a bar through it."""
    image = np.zeros((28, 28), np.uint8)
    image[4:6, 8:20] = 255
    for row in range(6, 24):
        image[row, 18 - row // 3 : 20 - row // 3] = 255
    if bar:
        image[13:15, 9:20] = 255
    return image


def test_crossed_sevens_are_measured_in_one_overcluster():
    images = np.stack([seven(bar) for bar in (True, True, True, False, False, True)])
    predictions = {
        "label": np.array(["7", "7", "7", "7", "7", "1"]),
        "overcluster": np.array([4, 4, 2, 4, 0, 2]),
    }
    found = measure_crossed_sevens(predictions, images)
    assert found["crossed_held"] == pytest.approx(2 / 3)
    assert found["crossed_pure"] == pytest.approx(2 / 3)
    nothing = measure_crossed_sevens(predictions, np.stack([seven(False)] * 6))
    assert nothing == {"crossed_held": 0.0, "crossed_pure": 0.0}


def test_a_seven_is_crossed_only_if_a_bar_goes_through_its_stem():
    np.testing.assert_array_equal(crossed(np.stack([seven(True), seven(False)])), [True, False])
    assert bar_width(seven(False) / 255) < 2
    assert bar_width(np.zeros((28, 28))) == 0


@pytest.fixture
def measured(params, monkeypatch):
    """Measure a run of four test images, two of them crossed sevens, from the files of its stages.

    By the test images, overcluster 1 is a seven; by the training images, it may be a one.
    """
    files = {
        HISTORY: {"epoch": np.array([1.0]), "cluster_marginal_entropy": np.array([1.0])},
        ACCURACY: {name: np.array([1.0]) for name in ("epoch", "acc", "nmi", "ari")},
        PREDICTIONS: {
            "label": np.array(["7", "7", "7", "1"]),
            "cluster": np.array(["0", "0", "0", "1"]),
            "overcluster": np.array(["1", "1", "2", "1"]),
        },
    }
    images = np.stack([seven(bar) for bar in (True, True, False, False)])

    def measure(data: str, metrics: dict[str, float]) -> Result:
        monkeypatch.setattr(measures, "columns_of", lambda name, path, *_: dict(files[path]))
        monkeypatch.setattr(measures, "metrics_of", lambda name: metrics)
        settings: Params = params.with_values(data={"name": data})
        return result_of(Experiment("run", "variant", 0, settings, []), images)

    return measure


def test_the_accuracy_of_overclusters_is_the_metric_and_the_purity_another_column(measured):
    columns = measured("mnist", {"over_acc": 0.25, "train_acc": 0.5}).columns
    assert columns["over_acc"] == 0.25
    assert columns["over_purity"] == 0.75
    assert columns["train_acc"] == 0.5


def test_training_images_without_labels_have_no_accuracy(measured):
    assert np.isnan(measured("mnist", {"over_acc": 0.25}).columns["train_acc"])


@pytest.mark.parametrize(("data", "held"), [("mnist", 1.0), ("digits", np.nan), ("custom", np.nan)])
def test_crossed_sevens_are_measured_only_where_the_detector_was_checked(measured, data, held):
    columns = measured(data, {"over_acc": 0.25}).columns
    np.testing.assert_equal([columns["crossed_held"], columns["crossed_pure"]], [held, held])
