"""Images of other sizes and in colour in every stage and every command."""

import csv
import json
import re
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT, TINY, make_clone, override, run
from PIL import Image

from iic.cli.main import cli
from iic.core.files import read_arrays
from iic.core.params import parse_params
from iic.core.shapes import array_shape
from iic.experiments.scratch import STAGES
from iic.report.paths import BENCHMARK

IMAGES = 90
CHANGES = {
    "data.name": "custom",
    "augment.ops": ["rotation", "distortion", "noise", "flip", "color"],
    "augment.neighbors": 5,
    "model.clusters": 3,
    "model.overclusters": 6,
    "train.batch_size": 30,
    "train.epochs": 1,
}
# Each size with both channels; one of them is worth the time in `make test`.
OTHERS = ((16, 1), (16, 3), (28, 1), (28, 3), (64, 1), (128, 1), (128, 3))
SHAPES = [(64, 3), *(pytest.param(shape, marks=pytest.mark.long) for shape in OTHERS)]


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


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: "{}x{}".format(*shape))
def trained(request, tmp_path_factory, photos, params_text) -> tuple[Path, tuple[int, int, int]]:
    """A folder in which all stages ran on the photos, in this process, and the network's input."""
    side, channels = request.param
    folder = tmp_path_factory.mktemp("trained")
    source = {"data.path": str(photos), "data.image_size": side, "data.channels": channels}
    text = override(params_text, TINY | CHANGES | source)
    (folder / "params.yaml").write_text(text)
    (folder / BENCHMARK).parent.mkdir(parents=True)
    shutil.copy(ROOT / BENCHMARK, folder / BENCHMARK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stage in STAGES:
            import_module(f"stages.{stage}").main(parse_params(text, "params.yaml"))
    return folder, (side, side, channels)


def test_every_stage_keeps_size_and_colour(trained):
    folder, shape = trained
    side, _, channels = shape
    images = read_arrays(folder / "data/images.npz", ["train_images", "test_images"])
    for split in images.values():
        assert split.shape[1:] == array_shape(shape)
    if channels == 3:
        # The photos are wider than high; their own background continues above and below.
        corners = images["train_images"][:, 0, 0].astype(int)
        assert {30, 230} == set(corners.ravel().tolist())
    examples = read_arrays(folder / "data/snapshots.npz", ["examples"])["examples"]
    # The original, the article's four operations, flip, color and all that the run uses.
    assert examples.shape == (6, 8, *array_shape(shape))
    model = json.loads((folder / "model/model.json").read_text())
    assert model.get("input_shape", [28, 28, 1]) == [side, side, channels]
    assert "acc" in json.loads((folder / "reports/metrics.json").read_text())
    page = (folder / "reports/index.html").read_text()
    assert "mirrored or not, in other colours, and with all operations" in page


def test_commands_take_size_and_colour_from_the_model(trained, photos, monkeypatch, capsys):
    folder, shape = trained
    side, _, channels = shape
    monkeypatch.chdir(folder)
    cli.main(["predict", str(photos), "--out", "new.csv"], standalone_mode=False)
    assert ("in colour" in capsys.readouterr().err) == (channels == 3)
    with Path("new.csv").open(newline="") as file:
        found = {
            row["path"].removeprefix(f"{photos}/"): row["cluster"] for row in csv.DictReader(file)
        }
    with Path("reports/assignments.csv").open(newline="") as file:
        assert found == {row["path"]: row["cluster"] for row in csv.DictReader(file)}
    cli.main(["explore", "--out", "map.html"], standalone_mode=False)
    described = f'"size":{side},"colors":{str(channels == 3).lower()}'
    assert described in Path("map.html").read_text().replace(" ", "")
    cli.main(["export", "--format", "keras"], standalone_mode=False)
    described = json.loads(Path("iic-custom.keras.json").read_text())
    assert described["input"]["shape"] == ["n", *array_shape(shape)]
    capsys.readouterr()
    cli.main(["info", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["model"]["input"] == list(shape)
    options = {"--ink": ("dark", "without ink and paper"), "--size": ("crop", "without ink to")}
    for option, (value, reason) in options.items() if channels == 3 else ():
        message = f"{option} {value}: the network sees colours, {reason}"
        with pytest.raises(Exception, match=message):
            cli.main(["predict", str(photos), option, value], standalone_mode=False)


@pytest.mark.long
def test_numbers_of_clusters_are_compared_in_colour(tmp_path, photos):
    source = {"data.path": str(photos), "data.image_size": 16, "data.channels": 3}
    values = {key.replace(".", "__"): value for key, value in (CHANGES | source).items()}
    clone = make_clone(tmp_path / "clone", **values)
    chosen = run("iic", "choose", "3", cwd=clone)
    assert re.search(r"^ +3 .* nats ", chosen.stdout, re.MULTILINE)
    assert yaml.safe_load((clone / "params.yaml").read_text())["data"]["channels"] == 3
