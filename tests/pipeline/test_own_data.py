"""A user's own images in the whole pipeline, with labels and without."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import make_clone, override, run
from PIL import Image

from iic.cli.main import cli
from iic.pipeline.inputs import md5_of, outputs_in

pytestmark = pytest.mark.long

IMAGES = 300
# The metric of a second training, and a part of the page's text: so few steps may collapse.
SECOND = {
    "stability": "Two trainings with the seeds 0 and 1 assign",
    "collapsed_trainings": "at least one of the seeds 0 and 1 does",
}


@pytest.fixture(scope="module")
def scans(tmp_path_factory, digits) -> Path:
    """Black on white, 56×56, once in a single folder and once in a folder for each label."""
    folder = tmp_path_factory.mktemp("scans")
    for number, (image, label) in enumerate(
        zip(digits.train_images[:IMAGES], digits.train_labels[:IMAGES], strict=True)
    ):
        large = Image.fromarray(255 - image).resize((56, 56), Image.Resampling.NEAREST)
        for name in (f"labelled/= digit {label}", "plain"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            large.save(folder / name / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory, scans) -> Path:
    """A clone in which the pipeline has run on the labelled images."""
    folder = make_clone(
        tmp_path_factory.mktemp("own") / "clone",
        data__name="custom",
        data__path=str(scans / "labelled"),
        train__second_seed=1,
        model__clusters=12,
    )
    run("dvc", "repro", cwd=folder)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_folders_are_labels(clone, scans):
    metrics = json.loads((clone / "reports/metrics.json").read_text())
    scores = [name for name in metrics if not name.endswith("_chance")]
    assert scores[:-1] == ["acc", "nmi", "ari", "over_acc", "train_acc", "loss"]
    assert scores[-1] in SECOND
    card = json.loads((clone / "model-card.json").read_text())
    assert card["labels"] == [f"= digit {digit}" for digit in range(10)]
    # Two of the twelve clusters have no label, and more if no image of the class lies in them.
    named = [label for label in card["clusters"] if label is not None]
    assert len(set(named)) == len(named) <= 10
    assert card["data"] == "custom"
    found = {row["path"]: row for row in rows(clone / "reports/assignments.csv")}
    # Names that a spreadsheet would run as formulas get an apostrophe.
    assert {path.lstrip("'") for path in found} == {
        path.relative_to(scans / "labelled").as_posix() for path in scans.glob("labelled/*/*.png")
    }
    assert all(path.startswith("'= digit") for path in found)
    predictions = rows(clone / "reports/predictions.csv")
    assert len(predictions) == round(0.15 * IMAGES)
    assert {row["label"] for row in predictions} <= {f"'= digit {digit}" for digit in range(10)}
    right = np.mean([row["label"] == row["predicted"] for row in predictions])
    assert right == pytest.approx(metrics["acc"], abs=1e-6)
    page = (clone / "reports/index.html").read_text()
    assert "= digit 3" in page
    assert SECOND[scores[-1]] in page


def test_predict_gives_the_same_clusters(clone, scans, monkeypatch):
    monkeypatch.chdir(clone)
    cli.main(["predict", str(scans / "labelled"), "--out", "new.csv"], standalone_mode=False)
    names = ("cluster", "overcluster", "probability")
    known = {
        row["path"].lstrip("'"): [float(row[name]) for name in names]
        for row in rows(clone / "reports/assignments.csv")
    }
    found = {
        Path(row["path"]).relative_to(scans / "labelled").as_posix(): row
        for row in rows(clone / "new.csv")
    }
    assert found.keys() == known.keys()
    for path, row in found.items():
        assert [float(row[name]) for name in names] == pytest.approx(known[path], rel=1e-4)


def test_same_images_without_labels_keep_the_network_and_get_other_metrics(
    clone, scans, monkeypatch, capsys
):
    """Only stages that depend on labels rerun, since the images are the same."""
    lock = yaml.safe_load((clone / "dvc.lock").read_text())
    file = clone / "params.yaml"
    file.write_text(override(file.read_text(), {"data.path": str(scans / "plain")}))
    output = run("dvc", "repro", cwd=clone).stdout
    ran = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]
    assert ran == ["source", "download", "evaluate", "report"]
    after = yaml.safe_load((clone / "dvc.lock").read_text())
    assert after["stages"]["train"] == lock["stages"]["train"]

    metrics = json.loads((clone / "reports/metrics.json").read_text())
    *names, last = metrics
    assert names == [
        "mutual_information",
        "over_mutual_information",
        "confidence",
        "clusters_used",
        "loss",
    ]
    assert last in SECOND
    assert 0 < metrics["confidence"] <= 1
    card = json.loads((clone / "model-card.json").read_text())
    assert card["labels"] == []
    assert card["clusters"] == [None] * 12
    assert list(rows(clone / "reports/predictions.csv")[0]) == [
        "cluster",
        "overcluster",
        "probability",
    ]
    page = (clone / "reports/index.html").read_text()
    assert "accuracy" not in page.lower()
    assert "ccuracy.png" not in page
    monkeypatch.chdir(clone)
    cli.main(["predict", str(scans / "plain/000.png")], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[0] == "path,cluster,overcluster,probability"
    assert json.loads(run("dvc", "status", "--json", cwd=clone).stdout) == {}
    run("dvc", "plots", "show", cwd=clone)

    # A changed file makes `download` stale.
    extra = scans / "plain/new.png"
    Image.new("L", (56, 56), 255).save(extra)
    status = json.loads(run("dvc", "status", "--json", "download", cwd=clone).stdout)
    extra.unlink()
    assert list(status) == ["download"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, r"(missing|No such file).*scans"),
        (lambda folder: folder.mkdir(), r"error: .*scans: contains no images"),
        (
            lambda folder: (folder.mkdir(), (folder / "a.png").write_bytes(b"no")),
            r"error: .*a\.png: not a PNG",
        ),
    ],
)
def test_unusable_folder_is_reported_in_one_line_and_changes_no_result(
    pipeline_run, tmp_path, make, message
):
    folder = tmp_path / "clone"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    make(tmp_path / "scans")
    before = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    outputs = dict(outputs_in(folder / "dvc.lock"))
    file = folder / "params.yaml"
    values = {"data.name": "custom", "data.path": str(tmp_path / "scans")}
    file.write_text(override(file.read_text(), values))
    done = run("dvc", "repro", cwd=folder, check=False)
    assert done.returncode != 0
    assert re.search(message, done.stderr + done.stdout), done.stderr
    assert "Traceback" not in done.stderr
    after = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    assert {**after, "source": None} == {**before, "source": None}
    # Only the small output of the stage that checks the path may be gone or new.
    del outputs["data/source.json"]
    assert {name: md5_of(folder / name) for name in outputs} == outputs
