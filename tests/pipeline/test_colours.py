"""Larger images in colour in the whole pipeline and in the commands."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import make_clone, run
from PIL import Image

from iic.cli.main import cli
from iic.core.files import read_arrays

IMAGES, SIDE = 90, 40


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Discs of three colours on two backgrounds, in folders by colour."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    y, x = np.indices((50, 70))
    for number in range(IMAGES):
        image = np.full((50, 70, 3), (30, 230)[number % 2], np.uint8)
        disc = np.hypot(y - random.uniform(15, 35), x - random.uniform(20, 50)) < 12
        image[disc] = np.roll((220, 40, 60), number % 3)
        place = folder / ("red", "green", "blue")[number % 3]
        place.mkdir(exist_ok=True)
        Image.fromarray(image).save(place / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory, photos) -> Path:
    folder = make_clone(
        tmp_path_factory.mktemp("colours") / "clone",
        data__name="custom",
        data__path=str(photos),
        data__image_size=SIDE,
        data__channels=3,
        augment__ops=["rotation", "distortion", "noise", "flip", "color"],
        augment__neighbors=5,
        train__batch_size=30,
        train__epochs=1,
        model__overclusters=6,
        model__clusters=3,
    )
    run("dvc", "repro", cwd=folder)
    return folder


def test_every_stage_keeps_size_and_colour(clone):
    images = read_arrays(clone / "data/images.npz", ["train_images", "test_images"])
    assert images["train_images"].shape[1:] == (SIDE, SIDE, 3)
    corners = images["train_images"][:, 0, 0].astype(int)
    assert {30, 230} == set(corners.ravel().tolist())
    examples = read_arrays(clone / "data/snapshots.npz", ["examples"])["examples"]
    # The original, the article's four operations, flip, color and all that the run uses.
    assert examples.shape == (6, 8, SIDE, SIDE, 3)
    assert json.loads((clone / "model/model.json").read_text())["input_shape"] == [SIDE, SIDE, 3]
    assert "acc" in json.loads((clone / "reports/metrics.json").read_text())
    page = (clone / "reports/index.html").read_text()
    assert "mirrored or not, in other colours, and with all operations" in page


def test_commands_take_size_and_colour_from_the_model(clone, photos, monkeypatch, capsys):
    monkeypatch.chdir(clone)
    cli.main(["predict", str(photos), "--out", "new.csv"], standalone_mode=False)
    assert "90 images, in colour" in capsys.readouterr().err
    with Path("new.csv").open(newline="") as file:
        found = {
            row["path"].removeprefix(f"{photos}/"): row["cluster"] for row in csv.DictReader(file)
        }
    with Path("reports/assignments.csv").open(newline="") as file:
        assert found == {row["path"]: row["cluster"] for row in csv.DictReader(file)}
    cli.main(["explore", "--out", "map.html"], standalone_mode=False)
    assert f'"size":{SIDE},"colors":true' in Path("map.html").read_text().replace(" ", "")
    cli.main(["export", "--format", "keras"], standalone_mode=False)
    described = json.loads(Path("iic-custom.keras.json").read_text())
    assert described["input"]["shape"] == ["n", SIDE, SIDE, 3]
    capsys.readouterr()
    cli.main(["info", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["model"]["input"] == [SIDE, SIDE, 3]


@pytest.mark.parametrize(
    ("option", "message"),
    [(["--ink", "dark"], "--ink dark: the network sees colours, without ink and paper"),
     (["--size", "crop"], "--size crop: the network sees colours, without ink to crop to")],
)  # fmt: skip
def test_options_without_meaning_in_colour_are_refused(clone, photos, monkeypatch, option, message):
    monkeypatch.chdir(clone)
    with pytest.raises(Exception, match=message):
        cli.main(["predict", str(photos), *option], standalone_mode=False)
