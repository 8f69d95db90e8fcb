"""The stages and the whole pipeline, on the digits data set in a clone of the repository."""

import csv
import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import TINY, exit_code_of, override, run
from dvc.repo import Repo
from sklearn.metrics import adjusted_rand_score

from iic.core.files import sha256_of
from iic.model.matching import contingency_table, hungarian_accuracy, majority_match, purity
from iic.pairs.neighbors import nearest_neighbors
from iic.pipeline.stage import one_line_errors

STAGES = ["source", "download", "augment", "neighbors", "train", "evaluate", "report"]
EPOCHS = TINY["train.epochs"]
OVERCLUSTERS = TINY["model.overclusters"]
WEIGHTS = "model/model.weights.h5"


@pytest.fixture
def clone(pipeline_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished pipeline with its cache, which a test may change."""
    folder = tmp_path / "clone"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def set_params(folder: Path, **values: object) -> None:
    file = folder / "params.yaml"
    settings = {key.replace("__", "."): value for key, value in values.items()}
    file.write_text(override(file.read_text(), settings))


def stages_run(folder: Path, *arguments: str) -> list[str]:
    """Run `dvc repro`, and return the names of the stages that it runs rather than skips."""
    output = run("dvc", "repro", *arguments, cwd=folder).stdout
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


def test_download_stores_labels_in_a_separate_file(pipeline_run, digits):
    with np.load(pipeline_run / "data/images.npz") as images:
        assert sorted(images) == ["test_images", "train_images"]
        np.testing.assert_array_equal(images["train_images"], digits.train_images)
        np.testing.assert_array_equal(images["test_images"], digits.test_images)
    with np.load(pipeline_run / "data/labels.npz") as labels:
        # Names and paths reveal labels.
        assert set(labels) == {"train_labels", "test_labels", "names", "train_paths", "test_paths"}
        assert labels["names"].tolist() == list(digits.names)
        assert len(labels["train_paths"]) == len(labels["test_paths"]) == 0
        np.testing.assert_array_equal(labels["test_labels"], digits.test_labels)


def test_augment_draws_seeds_for_each_image_and_view(pipeline_run, digits):
    with np.load(pipeline_run / "data/draws.npz") as draws:
        assert draws["draws"].shape[:2] == (TINY["augment.views"], len(digits.train_images))
        assert draws["noise_seeds"].shape == (TINY["augment.views"], len(digits.train_images))


def test_neighbors_come_from_the_training_images_alone(pipeline_run, digits, params):
    with np.load(pipeline_run / "data/neighbors.npz") as arrays:
        found = arrays["neighbors"]
    np.testing.assert_array_equal(
        found, nearest_neighbors(digits.train_images, params.augment.neighbors)
    )


def test_stage_records_its_cost_if_iic_costs_is_set(clone):
    file = clone / "costs"
    for _ in range(2):
        run("python", "-m", "stages.augment", cwd=clone, env={"IIC_COSTS": str(file)})
    lines = [line.split() for line in file.read_text().splitlines()]
    assert [name for name, _, _ in lines] == ["augment", "augment"]
    assert all(0 < float(seconds) < 60 for _, seconds, _ in lines)
    # NumPy alone takes more than 20 MB; TensorFlow would take more than 300.
    assert all(20 < float(peak) < 300 for _, _, peak in lines)


def test_train_writes_model_history_and_snapshots(pipeline_run, digits):
    assert sorted(p.name for p in (pipeline_run / "model").iterdir()) == [
        "model.json",
        "model.weights.h5",
    ]
    history = rows(pipeline_run / "reports/history.csv")
    assert [row["epoch"] for row in history] == [str(e + 1) for e in range(EPOCHS)]
    with np.load(pipeline_run / "data/snapshots.npz") as snapshots:
        shapes = {name: snapshots[name].shape for name in snapshots}
    assert shapes == {
        "cluster_joint": (EPOCHS, 10, 10),
        "cluster_test": (EPOCHS, len(digits.test_images)),
        "overcluster_joint": (EPOCHS, OVERCLUSTERS, OVERCLUSTERS),
        "overcluster_test": (EPOCHS, len(digits.test_images)),
        "examples": (6, 6, 28, 28),
        "second_test": (0,),
    }


def test_metrics_are_flat_and_agree_with_the_snapshots(pipeline_run, digits):
    metrics = json.loads((pipeline_run / "reports/metrics.json").read_text())
    assert list(metrics) == ["acc", "nmi", "ari", "over_acc", "train_acc", "loss"]
    with np.load(pipeline_run / "data/snapshots.npz") as snapshots:
        cluster, overcluster = (snapshots[f"{h}_test"][-1] for h in ("cluster", "overcluster"))
    assigned = rows(pipeline_run / "reports/assignments.csv")[: len(digits.train_labels)]
    train_overcluster = np.array([int(row["overcluster"]) for row in assigned])
    table = contingency_table(digits.test_labels, cluster, 10, 10)
    over_table = contingency_table(digits.test_labels, overcluster, 10, OVERCLUSTERS)
    assert metrics["acc"] == pytest.approx(hungarian_accuracy(table), abs=1e-6)
    majority = majority_match(
        contingency_table(digits.train_labels, train_overcluster, 10, OVERCLUSTERS)
    )
    right = (majority[overcluster] == digits.test_labels).mean()
    assert metrics["over_acc"] == pytest.approx(right, abs=1e-6)
    history = rows(pipeline_run / "reports/history.csv")
    assert metrics["loss"] == pytest.approx(float(history[-1]["loss"]))
    accuracy = rows(pipeline_run / "reports/accuracy.csv")
    assert len(accuracy) == EPOCHS
    for name in ("acc", "nmi", "ari"):
        assert float(accuracy[-1][name]) == pytest.approx(metrics[name], abs=1e-5)
    assert float(accuracy[-1]["over_purity"]) == pytest.approx(purity(over_table), abs=1e-5)
    assert float(accuracy[-1]["over_hungarian_acc"]) == pytest.approx(
        hungarian_accuracy(over_table), abs=1e-5
    )


def test_assignments_list_all_images_and_no_labels(pipeline_run, digits):
    table = rows(pipeline_run / "reports/assignments.csv")
    assert list(table[0]) == ["split", "index", "cluster", "overcluster", "probability"]
    splits = {"train": len(digits.train_images), "test": len(digits.test_images)}
    for split, size in splits.items():
        chosen = [row for row in table if row["split"] == split]
        assert [int(row["index"]) for row in chosen] == list(range(size))
    assert len(table) == sum(splits.values())
    with np.load(pipeline_run / "data/snapshots.npz") as snapshots:
        expected = snapshots["cluster_test"][-1]
    assert [int(r["cluster"]) for r in table if r["split"] == "test"] == expected.tolist()
    assert all(0.1 <= float(row["probability"]) <= 1 for row in table)


def test_predictions_name_clusters_by_the_hungarian_matching(pipeline_run, digits):
    table = rows(pipeline_run / "reports/predictions.csv")
    assert [int(row["label"]) for row in table] == digits.test_labels.tolist()
    right = np.mean([row["label"] == row["predicted"] for row in table])
    metrics = json.loads((pipeline_run / "reports/metrics.json").read_text())
    assert right == pytest.approx(metrics["acc"], abs=1e-6)
    card = json.loads((pipeline_run / "model-card.json").read_text())
    assert card["labels"] == list(digits.names)
    assert card["metrics"] == metrics
    assert (card["data"], card["recipe"], card["seed"]) == ("digits", "default", 0)
    names = [None if c is None else card["labels"][c] for c in card["clusters"]]
    for row in table:
        assert row["predicted"] == (names[int(row["cluster"])] or "")
    evidence = {(int(row["cluster"]), row["label"]) for row in table}
    assert all(name is None or (c, name) in evidence for c, name in enumerate(names))
    assert card["images_sha256"] == sha256_of(pipeline_run / "data/images.npz")


def test_report_is_one_page_without_external_links(pipeline_run):
    page = (pipeline_run / "reports/index.html").read_text()
    figures = sorted(p.name for p in (pipeline_run / "reports/figures").iterdir())
    assert figures == [
        "accuracy.png",
        "calibration.png",
        "confusion.png",
        "joint.png",
        "losses.png",
        "mistakes.png",
        "neighbors.png",
        "operations.png",
        "overclusters.png",
        "samples.png",
        "scaling.png",
        "sizes.png",
        "training.gif",
    ]
    assert all(f"reports/figures/{figure}</code> from " in page for figure in figures)
    assert page.count("<img ") == page.count('<img src="data:image/') == page.count(" alt=")
    for outside in ("http:", "https:", "<link", "url(", "@import"):
        assert outside not in page
    metrics = json.loads((pipeline_run / "reports/metrics.json").read_text())
    assert f"{100 * metrics['acc']:.2f} %" in page


def test_output_has_no_line_that_looks_like_an_error(pipeline_run):
    """TensorFlow writes such lines on machines without a GPU, and its log level is not set here."""
    output = (pipeline_run.parent / "output.txt").read_text("utf-8")
    assert re.findall(r"Running stage '(.+)'", output) == STAGES
    assert not re.findall(r"^(?:[IWE]\d{4} |WARNING: All log).*", output, re.MULTILINE)
    for note in ("E0000", "I0000", "W0000", "cuInit", "oneDNN", "absl", "rebuild TensorFlow"):
        assert note not in output
    assert re.search(r"^training on the (CPU|GPU .+)$", output, re.MULTILINE)


def test_output_has_one_line_for_each_epoch_and_no_progress_bar(pipeline_run):
    output = (pipeline_run.parent / "output.txt").read_text("utf-8")
    epochs = re.findall(rf"^Epoch (\d)/{EPOCHS} - ", output, re.MULTILINE)
    assert epochs == [str(epoch + 1) for epoch in range(EPOCHS)]
    assert not set("━\b\r") & set(output)


def test_nothing_is_out_of_date_afterwards(pipeline_run):
    assert json.loads(run("dvc", "status", "--json", cwd=pipeline_run).stdout) == {}
    assert not run("git", "status", "--porcelain", cwd=pipeline_run).stdout


@pytest.mark.long
def test_two_forced_runs_give_the_same_lock_file(clone):
    """All stages but train, which the next test and that of a killed pipeline cover."""
    before = (clone / "dvc.lock").read_bytes()
    others = [stage for stage in STAGES if stage != "train"]
    assert stages_run(clone, "--force", "--single-item", *others) == others
    assert (clone / "dvc.lock").read_bytes() == before


def test_training_never_sees_a_label(clone):
    """If all labels are zero, every output of train keeps its bytes."""

    def locked_outputs() -> str:
        lock = yaml.safe_load((clone / "dvc.lock").read_text())
        return json.dumps(lock["stages"]["train"]["outs"])

    before = locked_outputs()
    script = clone / "stages/download.py"
    text = script.read_text()
    changed = text.replace('_labels": dataset.', '_labels": 0 * dataset.')
    assert changed.count("0 * ") == 2
    script.write_text(changed)
    chosen = ["download", "train"]
    assert stages_run(clone, "--force", "--single-item", *chosen) == chosen
    with np.load(clone / "data/labels.npz") as labels:
        assert not labels["train_labels"].any()
    assert locked_outputs() == before


@pytest.mark.long
def test_second_training_changes_no_output_of_the_first_and_the_run_cache_holds_both(clone):
    first = {path: (clone / path).read_bytes() for path in ("reports/history.csv", WEIGHTS)}
    accuracy = (clone / "reports/accuracy.csv").read_bytes()
    set_params(clone, train__second_seed=1)
    assert stages_run(clone, "evaluate") == ["train", "evaluate"]
    assert {path: (clone / path).read_bytes() for path in first} == first
    assert (clone / "reports/accuracy.csv").read_bytes() == accuracy
    with np.load(clone / "data/snapshots.npz") as snapshots:
        one, two = snapshots["cluster_test"][-1], snapshots["second_test"]
    assert one.shape == two.shape
    assert (one != two).any()
    metrics = json.loads((clone / "reports/metrics.json").read_text())
    assert metrics["stability"] == pytest.approx(adjusted_rand_score(one, two), abs=1e-6)

    # The run-cache restores the previous variant without training.
    snapshots = (clone / "data/snapshots.npz").read_bytes()
    set_params(clone, train__second_seed=None)
    said = run("dvc", "repro", "train", cwd=clone).stdout
    assert "Stage 'train' is cached - skipping run" in said
    assert (clone / "data/snapshots.npz").read_bytes() != snapshots


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"loss__alpha": 2.0}, ["train", "evaluate", "report"]),
        ({"augment__ops": ["noise"]}, ["train", "evaluate", "report"]),
        ({"augment__views": 3}, ["augment", "train", "evaluate", "report"]),
        ({"augment__neighbors": 5}, ["neighbors", "train", "evaluate", "report"]),
        ({"augment__neighbor_share": 0.5}, ["train", "evaluate", "report"]),
        ({"report__label": 3}, ["report"]),
    ],
)
def test_changed_parameter_reruns_only_the_stages_that_use_it(clone, values, expected, monkeypatch):
    set_params(clone, **values)
    monkeypatch.chdir(clone)
    with Repo(clone) as repo:
        status = repo.status()
    first = [stage for stage in expected if stage in status]
    assert first[0] == expected[0]
    # All other stages are up to date before anything runs.
    unexpected = set(STAGES) - set(expected)
    assert not unexpected & set(status)


@pytest.mark.parametrize("stage", STAGES)
def test_invalid_parameter_stops_every_stage_with_one_line(clone, monkeypatch, stage):
    set_params(clone, loss__alpha="high")
    code = exit_code_of(f"stages/{stage}.py", cwd=clone, monkeypatch=monkeypatch)
    assert code == "error: params.yaml: loss.alpha: 'high' should be a number"


def test_invalid_override_of_an_experiment_is_refused_before_any_work(clone):
    result = run("dvc", "exp", "run", "-S", "augment.ops=[rotatoin]", cwd=clone, check=False)
    assert result.returncode != 0
    assert "unknown value 'rotatoin'; did you mean 'rotation'?" in result.stderr + result.stdout
    assert "Traceback" not in result.stderr


def test_damaged_input_stops_a_stage_with_one_line(clone, monkeypatch):
    (clone / "data/draws.npz").unlink()
    (clone / "data/draws.npz").write_bytes(b"PK damaged")
    code = exit_code_of("stages/train.py", cwd=clone, monkeypatch=monkeypatch)
    assert code.startswith("error: data/draws.npz: not a readable NPZ file")
    assert len(code.splitlines()) == 1


def test_too_little_memory_is_reported_in_one_line():
    with pytest.raises(SystemExit) as stopped, one_line_errors("nothing is lost"):
        np.empty(1 << 60, np.uint8)
    message = str(stopped.value.code)
    assert message.startswith("error: not enough memory (Unable to allocate 1.00 EiB for an array")
    assert "; close other programs, or lower train.batch_size, " in message


def test_missing_parameter_file_is_reported_without_a_traceback(clone):
    (clone / "params.yaml").unlink()
    result = run("python", "-m", "stages.download", cwd=clone, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: params.yaml: not found")
    assert "Traceback" not in result.stderr


def experiments(folder: Path) -> list[dict[str, str]]:
    """The finished experiments that `dvc exp show` lists."""
    table = run("dvc", "exp", "show", "--csv", "--hide-workspace", cwd=folder).stdout
    return [row for row in csv.DictReader(table.splitlines()) if row["typ"] != "baseline"]


def wait_for_the_queue(folder: Path, seconds: float = 300) -> None:
    give_up = time.monotonic() + seconds
    while "Running" in (status := run("dvc", "queue", "status", cwd=folder).stdout) or (
        "Queued" in status
    ):
        assert time.monotonic() < give_up, status
        time.sleep(2)
    assert "Failed" not in status, status


@pytest.mark.long
def test_experiments_run_in_a_temporary_folder_and_in_the_queue(clone):
    noise = ("-S", "augment.ops=[noise]")
    run("dvc", "exp", "run", "--temp", "--name", "one", *noise, cwd=clone)
    run("dvc", "exp", "run", "--queue", "--name", "two", *noise, "-S", "report.label=3", cwd=clone)
    run("dvc", "queue", "start", cwd=clone)
    wait_for_the_queue(clone)
    one, two = sorted(experiments(clone), key=lambda row: row["Experiment"])
    assert (one["Experiment"], two["Experiment"]) == ("one", "two")
    assert (one["report.label"], two["report.label"]) == ("7", "3")
    # The run-cache also saves experiments in the queue a training.
    assert one["loss"] == two["loss"]
    logs = run("dvc", "queue", "logs", "two", cwd=clone).stdout
    assert "Stage 'train' is cached" in logs
    assert "Running stage 'report'" in logs
    assert not run("git", "status", "--porcelain", cwd=clone).stdout
