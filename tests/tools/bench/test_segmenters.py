"""Peers of the segmentation pipeline, the file of measurements and its tables."""

import json

import keras
import numpy as np
import pytest
from conftest import ROOT
from scipy.ndimage import gaussian_filter1d
from segmentation_settings import settings

from iic.core.errors import InputError
from iic.segmentation.network import build_trunk
from iic.segmentation.store import save_trunk
from iic.segmentation.tiling import Scenes
from tools.bench import pictures, segmentation
from tools.docs import segmentation as page

segmenters = pytest.importorskip("tools.bench.segmenters")


@pytest.fixture(scope="module")
def scenes():
    """Tiles of noise that is smooth along rows or columns, left and right of a border."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter1d(rng.normal(size=(96, 96)), 3, axis=1)
    stripes = (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    tiles, masks = [], []
    for border in rng.integers(32, 64, 6):
        left = np.arange(96) < border
        tiles.append(np.where(left, stripes, stripes.T))
        masks.append(np.tile(left, (96, 1)))
    tiles, masks = np.stack(tiles), np.stack(masks).astype(np.uint8)
    valid = np.ones_like(masks, bool)
    return Scenes(tiles[:4], valid[:4], masks[:4], tiles[4:], masks[4:], ("down", "across"))


@pytest.mark.parametrize(("name", "least"), [("energies", 0.85), ("slic", 0.7)])
def test_filter_energies_tell_textures_apart(scenes, name, least):
    method = segmenters.SEGMENTERS[name]
    found = segmenters.segment(method, scenes.train_tiles, scenes.test_tiles, 2, 0)
    assert found.shape == scenes.test_masks.shape
    share = (found == scenes.test_masks).mean()
    assert max(share, 1 - share) > least


def test_grey_values_say_nothing_about_equalised_textures(scenes):
    method = segmenters.SEGMENTERS["k-means"]
    found = segmenters.segment(method, scenes.train_tiles, scenes.test_tiles, 2, 0)
    share = (found == scenes.test_masks).mean()
    assert 0.4 < share < 0.6


def test_a_region_has_one_segment(scenes):
    tile = scenes.test_tiles[0]
    method = segmenters.SEGMENTERS["slic"]
    found = segmenters.segment(method, scenes.train_tiles, tile[None], 3, 0)[0]
    regions = method.regions(tile)
    for region in range(regions.max() + 1):
        assert len(np.unique(found[regions == region])) == 1


@pytest.mark.parametrize("name", list(segmenters.SEGMENTERS))
def test_colours_and_seeds_are_used(name):
    tiles = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    tiles[:, :, 20:] = (200, 30, 30)
    found = [
        segmenters.segment(segmenters.SEGMENTERS[name], tiles[:2], tiles[2:], 2, 5)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*found)
    assert len(np.unique(found[0])) == 2


@pytest.fixture
def measured(tmp_path, monkeypatch, scenes):
    """The command with one quick peer and two seeds, and a file of its own."""
    monkeypatch.setattr(segmentation, "RESULTS", tmp_path / "segmentation.json")
    monkeypatch.setattr(segmentation, "SEEDS", range(2))
    monkeypatch.setattr(segmentation, "load_scenes", lambda data, seed: scenes)
    monkeypatch.setattr(segmentation, "segmentation_recipe", lambda name: settings())
    return tmp_path / "segmentation.json"


def test_rows_are_kept_while_their_settings_are_the_same(measured, monkeypatch):
    calls = []

    def measure(scenes, params):
        calls.append((params.seed, params.model.overclusters))
        return {"pixel_acc": 0.5, "mean_iou": 0.25, "seconds": 60.0}

    for value, expected in ((5, 2), (5, 2), (6, 4)):
        params = settings({"model.overclusters": value})
        monkeypatch.setattr(segmentation, "_variants", lambda part, p=params: [("iic", p, measure)])
        segmentation.main(["default"])
        assert len(calls) == expected
    rows = json.loads(measured.read_text())["runs"]["default"]["iic"]
    assert set(rows) == {"0", "1"}
    assert rows["1"]["settings"]["model"]["overclusters"] == 6
    assert rows["1"]["commit"]


def test_a_part_measures_the_network_and_all_peers(measured, monkeypatch):
    monkeypatch.setattr(segmentation, "SEEDS", range(1))
    segmentation.main(["default"])
    runs = json.loads(measured.read_text())["runs"]["default"]
    assert set(runs) == {"iic", *segmenters.SEGMENTERS}
    for rows in runs.values():
        assert 0.3 < rows["0"]["pixel_acc"] <= 1
        assert rows["0"]["seconds"] > 0
    table = page.peers("default")
    assert table.splitlines()[0].startswith("| method | pixel accuracy")
    assert "**this project**" in table


def test_an_unknown_part_is_refused(measured):
    with pytest.raises(InputError, match=r"mars: not a part \(one of default, earth, study\)"):
        segmentation.main(["mars"])


def test_the_study_changes_alpha_and_reach_alone():
    base = settings()
    params = segmentation.study_params(base, 2.0, 3)
    assert (params.loss.alpha, params.loss.alpha_final) == (2.0, None)
    assert (params.loss.reach, params.loss.reach_final) == (3, 3)
    assert params.views == base.views
    assert params.model == base.model


def test_tables_say_what_is_not_measured(measured):
    assert "python -m tools.bench.segmentation earth" in page.peers("earth")
    assert "python -m tools.bench.segmentation study" in page.study()
    assert "python -m tools.bench.pictures" in page.pictures()


def test_time_and_memory_of_pictures_are_of_a_process_of_its_own(measured, tmp_path, monkeypatch):
    model = tmp_path / "segmentation/model"
    keras.utils.set_random_seed(0)
    save_trunk(build_trunk(settings().model, 1), settings().model, model, "float32")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(pictures, "RESULTS", measured)
    monkeypatch.setattr(pictures, "SIZES", ((60, 40),))
    pictures.main([])
    row = json.loads(measured.read_text())["pictures"]["60×40"]
    assert 1 < row["seconds"] < 100
    # TensorFlow alone needs hundreds of megabytes.
    assert 200 < row["peak_mb"] < 5000
    line = page.pictures()
    assert line.startswith("With its start, the command takes ")
    assert line.endswith(f"{row['peak_mb'] / 1000:.1f} GB for 60×40 pixels.")


def stored(params, name, acc):
    """A row as the file has it, measured with some settings."""
    scores = {"pixel_acc": acc, "mean_iou": acc / 2, "seconds": 60.0}
    return json.loads(json.dumps(scores | {"settings": segmentation._settings(params, name)}))


def write(measured, part, runs):
    measured.write_text(json.dumps({"machine": {}, "runs": {part: runs}}))


def test_the_table_of_the_study_has_all_values(measured):
    variants = segmentation._study().items()
    runs = {n: {"0": stored(p, n, 0.9), "1": stored(p, n, 0.8)} for n, p in variants}
    write(measured, "study", runs)
    table = page.study().splitlines()
    assert table[0] == "| alpha; 2 seeds | T = 0 | T = 1 | T = 2 | T = 3 |"
    assert table[2] == "| 1 | " + " | ".join(["85.0 ± 7.1 %"] * 4) + " |"


def test_rows_of_other_settings_are_not_in_the_table_of_the_study(measured):
    variants = segmentation._study()
    runs = {n: {"0": stored(p, n, 0.9), "1": stored(p, n, 0.8)} for n, p in variants.items()}
    name = "5.0 2"
    other = segmentation.study_params(settings({"model.overclusters": 9}), 5.0, 2)
    runs[name]["1"] = stored(other, name, 0.1)
    # A value that the study no longer has.
    runs["7.0 2"] = {"0": stored(segmentation.study_params(settings(), 7.0, 2), "7.0 2", 0.1)}
    write(measured, "study", runs)
    table = page.study().splitlines()
    assert table[0].startswith("| alpha; 1 seed |")
    assert "90.0 %" in table[2]
    runs[name]["0"] = stored(other, name, 0.1)
    write(measured, "study", runs)
    assert page.study() == "Not measured yet: `python -m tools.bench.segmentation study`."


def test_rows_of_other_settings_are_not_in_the_table_of_peers(measured):
    runs = {n: {"0": stored(settings(), n, 0.9)} for n in ("iic", *segmenters.SEGMENTERS)}
    other, more = settings({"model.clusters": 5}), settings({"model.overclusters": 9})
    runs["iic"]["1"] = stored(more, "iic", 0.1)
    # Overclusters are no setting of a peer, but segments are.
    runs["slic"] |= {"1": stored(more, "slic", 0.9), "2": stored(other, "slic", 0.1)}
    write(measured, "default", runs)
    rows = [line.split(" | ") for line in page.peers("default").splitlines()[2:]]
    assert {row[1] for row in rows} == {"90.0 %", "90.0 ± 0.0 %"}
    assert [row[4] for row in rows] == ["1", "1", "1", "1", "2"]
    runs["energies"] = {"0": stored(other, "energies", 0.9)}
    write(measured, "default", runs)
    assert (
        page.peers("default") == "Not measured yet: `python -m tools.bench.segmentation default`."
    )


def test_rows_measured_before_groups_existed_stay_those_of_a_network_without_groups():
    plain, grouped = settings(), settings({"model.grouped": True})
    found = segmentation._settings(plain, "iic")
    assert "grouped" not in found["model"]
    assert "grouping_alpha" not in found["loss"]
    other = settings({"loss.grouping_alpha": 0.5})
    assert segmentation._settings(other, "iic") == found
    assert segmentation._settings(grouped, "iic")["loss"]["grouping_alpha"] == 0.9
