"""The segmentation pipeline as a user runs it, on tiny mosaics."""

import csv
import importlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, commit, flip_a_bit, make_repository, override, run
from PIL import Image

from iic.experiments.scratch import copy_working_tree
from iic.pipeline.inputs import md5_of, outputs_in
from iic.pipeline.paths import SEGMENTATION
from iic.segmentation.card import SegmentationCard
from iic.segmentation.params import read_segmentation_params

TINY = {
    "data.tile": 32,
    "data.train_tiles": 12,
    "data.test_tiles": 3,
    "model.widths": [4, 6],
    "train.epochs": 2,
    "train.batch_size": 4,
}
FILE = str(SEGMENTATION.stages)
HISTORY = "reports/segmentation/history.csv"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A repository in which the pipeline has run."""
    pytest.importorskip("skimage")
    folder = tmp_path_factory.mktemp("segmentation")
    lock = f":!{SEGMENTATION.lock}"
    settings = (".dvc", ".dvcignore", ".gitignore")
    copy_working_tree(ROOT, folder, "iic", "stages", "segmentation", *settings, lock)
    shutil.copytree(ROOT / "reports/measurements", folder / "reports/measurements")
    set_values(folder, TINY)
    make_repository(folder)
    run("dvc", "repro", FILE, cwd=folder)
    commit(folder)
    return folder


@pytest.fixture
def repository(finished, tmp_path, monkeypatch):
    """A copy of the finished repository as the current folder."""
    folder = tmp_path / "repository"
    shutil.copytree(finished, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def set_values(folder, values):
    file = folder / SEGMENTATION.params
    file.write_text(override(file.read_text("utf-8"), values), "utf-8")


def run_stage(name):
    params = read_segmentation_params(SEGMENTATION.params)
    importlib.import_module(f"stages.segmentation.{name}").main(params)


def found():
    listed = dict(outputs_in(SEGMENTATION.lock))
    return {name: md5_of(Path(name)) for name in listed if Path(name).exists()}, listed


def test_a_finished_pipeline_is_up_to_date(repository):
    assert json.loads(run("dvc", "status", "--json", FILE, cwd=repository).stdout) == {}


def test_metrics_are_those_of_the_last_epoch(finished):
    metrics = json.loads((finished / "reports/segmentation/metrics.json").read_text())
    assert list(metrics) == ["pixel_acc", "mean_iou", "nmi", "over_acc", "train_pixel_acc", "loss"]
    rows = (finished / "reports/segmentation/accuracy.csv").read_text().splitlines()
    last = dict(zip(rows[0].split(","), rows[-1].split(","), strict=True))
    for name in ("pixel_acc", "mean_iou", "nmi"):
        assert float(last[name]) == pytest.approx(metrics[name], abs=1e-5)


def test_training_does_not_depend_on_masks(repository):
    """Without any mask, training gives the same bytes."""
    before, listed = found()
    Path("data/segmentation/masks.npz").unlink()
    for name in ("segmentation/model", "data/segmentation/snapshots.npz", HISTORY, ".dvc/cache"):
        shutil.rmtree(name) if Path(name).is_dir() else Path(name).unlink()
    run_stage("train")
    after, _ = found()
    del before["data/segmentation/masks.npz"]
    assert after == before
    assert len(listed) == len(before) + 1


def test_masks_are_not_stored_with_the_tiles(finished):
    with np.load(finished / "data/segmentation/tiles.npz") as arrays:
        assert set(arrays) == {"train_tiles", "train_valid", "test_tiles"}


def test_the_page_shows_the_metrics(finished):
    page = (finished / "reports/segmentation/index.html").read_text("utf-8")
    metrics = json.loads((finished / "reports/segmentation/metrics.json").read_text())
    assert f"{100 * metrics['pixel_acc']:.2f} %" in page
    drawn = {path.name for path in (finished / "reports/segmentation/figures").iterdir()}
    assert {"scenes.png", "training.gif", "confusion.png", "textures.png"} <= drawn


def test_the_card_names_the_segments(finished):
    card = SegmentationCard.of(finished / "segmentation/model")
    assert card.labels == ["brick", "grass", "gravel"]
    assert set(card.cluster_names()) <= {*card.labels, None}
    assert (card.tile, card.data, card.appearance) == (32, "textures", None)


def test_pictures_without_masks_run_through_all_stages(repository):
    random = np.random.default_rng(0)
    Path("photos").mkdir()
    for index in range(3):
        values = random.integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(values).save(f"photos/{index}.png")
    set_values(repository, {"data.name": "custom", "data.path": "photos"})
    run("dvc", "repro", FILE, cwd=repository)
    metrics = json.loads(Path("reports/segmentation/metrics.json").read_text())
    assert list(metrics) == [
        "mutual_information",
        "over_mutual_information",
        "clusters_used",
        "loss",
    ]
    assert Path("reports/segmentation/accuracy.csv").read_text() == "epoch\n1\n2\n"
    page = Path("reports/segmentation/index.html").read_text("utf-8")
    assert "no masks" in page
    done = run(
        *("python", "-m", "iic.cli", "segment", "photos", "--out", "segments"), cwd=repository
    )
    assert "Traceback" not in done.stderr
    assert {path.name for path in Path("segments").iterdir()} >= {"0.png", "segments.csv"}


def test_a_missing_path_of_pictures_ends_the_run_and_takes_nothing_away(repository):
    before, _ = found()
    set_values(repository, {"data.name": "custom", "data.path": "nowhere"})
    done = run("dvc", "repro", FILE, cwd=repository, check=False)
    assert done.returncode != 0
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    del before["data/segmentation/source.json"]
    assert found()[0] == before


def test_only_the_training_repeats_after_a_change_of_the_loss(repository):
    set_values(repository, {"loss.alpha": 4.0})
    changed = json.loads(run("dvc", "status", "--json", FILE, cwd=repository).stdout)
    # The report shows the settings of the loss.
    assert set(changed) == {f"{FILE}:train", f"{FILE}:report"}


def test_a_mistake_in_the_parameters_is_one_line_and_keeps_the_outputs(repository):
    before, _ = found()
    set_values(repository, {"train.epochs": 0})
    done = run("dvc", "repro", FILE, cwd=repository, check=False)
    assert done.returncode != 0
    line = "error: segmentation/params.yaml: train.epochs: 0 should be greater than or equal to 1"
    assert line in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert found()[0] == before


def test_a_damaged_input_is_detected_before_training(repository):
    run("dvc", "status", FILE, cwd=repository)  # DVC records the times of these files
    flip_a_bit(Path("data/segmentation/tiles.npz"))
    command = ("dvc", "repro", "--force", "--single-item", f"{FILE}:train")
    done = run(*command, cwd=repository, check=False)
    assert done.returncode != 0
    assert (
        "data/segmentation/tiles.npz: damaged, its MD5 is not that in segmentation" in done.stderr
    )
    assert "training on" not in done.stderr


def test_an_experiment_changes_a_parameter_of_segmentation(repository):
    change = f"{SEGMENTATION.params}:loss.alpha=4.0"
    run("dvc", "exp", "run", "--name", "balanced", "-S", change, FILE, cwd=repository)
    shown = run("dvc", "exp", "show", "--csv", cwd=repository).stdout
    rows = list(csv.DictReader(io.StringIO(shown)))
    (row,) = (row for row in rows if row["Experiment"] == "balanced")
    (committed,) = (row for row in rows if row["rev"] == "main")
    assert float(row["loss.alpha"]) == 4.0
    assert row["loss"] != committed["loss"]


def test_repair_puts_a_missing_output_back(repository):
    before, _ = found()
    Path("data/segmentation/masks.npz").unlink()
    command = ("python", "-m", "iic.cli", "repair", "--stage", f"{FILE}:scenes")
    run(*command, cwd=repository)
    assert found()[0] == before
