"""Conversion to the network's size, grey and in colour."""

import numpy as np
import pytest
from PIL import Image

from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.data.custom import custom_dataset
from iic.data.examine import examine
from iic.data.fitting import resized
from iic.data.images import ArraySource, FileSource, Reading, read_images

PLAIN = Appearance(ranges={"bytes": (0, 255)}, ink="light")
SHAPES = [(16, 16, 1), (28, 28, 3), (64, 64, 1), (64, 64, 3), (128, 128, 3)]


def converted(source, **reading) -> np.ndarray:
    settings = Reading(**reading)
    known = examine([source], settings.ink, has_colors=settings.has_colors).appearance
    return np.concatenate([b.images for b in read_images(source, known, settings, pytest.fail)])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", ["fit", "stretch"])
def test_images_of_any_size_get_the_shape_of_the_network(random, shape, size):
    for height, width in ((40, 20), (200, 130), (5, 9)):
        images = random.integers(0, 256, (3, height, width, 3), np.uint8)
        found = converted(ArraySource("x", images), size=size, shape=shape)
        assert found.shape == (3, *shape)[: 4 if shape[2] == 3 else 3]
        assert found.dtype == np.uint8


@pytest.mark.parametrize("side", [16, 28, 64, 128])
def test_images_of_the_right_size_stay_unchanged(random, side):
    colors = random.integers(0, 256, (3, side, side, 3), np.uint8)
    for size in ("fit", "stretch", "refuse"):
        found = converted(ArraySource("x", colors), size=size, shape=(side, side, 3))
        np.testing.assert_array_equal(found, colors)
        grey = resized(colors[0, ..., 0], size, PLAIN, side)
        np.testing.assert_array_equal(grey, colors[0, ..., 0])


@pytest.mark.parametrize("side", [16, 28, 64, 128])
def test_cropped_ink_has_20_of_28_pixels(side):
    page = np.zeros((300, 200), np.uint8)
    page[20:120, 30:60] = 255
    rows, columns = np.nonzero(resized(page, "crop", PLAIN, side))
    assert np.ptp(rows) + 1 == round(20 / 28 * side)
    assert rows.mean() == pytest.approx((side - 1) / 2, abs=0.6)
    assert columns.mean() == pytest.approx((side - 1) / 2, abs=0.6)


def test_colours_are_padded_with_the_median_of_the_border():
    image = np.full((64, 32, 3), (10, 200, 90), np.uint8)
    image[20:40, 8:24] = 255
    image[0, :5] = 0
    found = resized(image, "fit", PLAIN, 64)
    np.testing.assert_array_equal(found[:, 16:48], image)
    assert (found[:, :16] == (10, 200, 90)).all()
    assert (found[:, 48:] == (10, 200, 90)).all()


def test_transparent_pixels_of_colours_become_white(tmp_path):
    image = np.zeros((28, 28, 4), np.uint8)
    image[5:9, 5:9] = (255, 0, 0, 255)
    image[20:22, 5:9] = (0, 0, 255, 51)
    Image.fromarray(image).save(tmp_path / "a.png")
    (found,) = converted(FileSource("x", [tmp_path / "a.png"]), shape=(28, 28, 3))
    assert (found[5:9, 5:9] == (255, 0, 0)).all()
    assert (found[20:22, 5:9] == (204, 204, 255)).all()
    assert (found[0] == 255).all()


def test_grey_images_have_three_equal_channels_and_a_word(digits):
    source = ArraySource("x", digits.train_images[:5])
    found = converted(source, shape=(28, 28, 3))
    np.testing.assert_array_equal(found, np.repeat(digits.train_images[:5, ..., None], 3, axis=3))
    examination = examine([source], "auto", has_colors=True)
    assert examination.warnings == ("no colours in the images examined; data.channels 1 is faster",)
    assert str(examination) == "in colour"


def test_dark_and_light_colours_are_not_inverted(random):
    for low in (0, 128):
        images = random.integers(low, low + 128, (9, 28, 28, 3), np.uint8)
        # The range of a set reaches from 0 to its largest value.
        images[0, 0, 0] = 0, 128, 255
        found = converted(ArraySource("x", images), shape=(28, 28, 3))
        np.testing.assert_array_equal(found, images)


def test_refused_size_names_both_sizes_and_the_remedy():
    image = np.zeros((40, 20, 3), np.uint8)
    with pytest.raises(ValueError, match=r"^20×40 pixels instead of 64×64; .* fit, stretch$"):
        resized(image, "refuse", PLAIN, 64)
    with pytest.raises(ValueError, match="fit, stretch or crop$"):
        resized(image[..., 0], "refuse", PLAIN, 64)


def test_too_little_memory_is_told_before_images_are_read(tmp_path, random, monkeypatch):
    np.savez(tmp_path / "x.npz", images=random.integers(0, 256, (40, 20, 20, 3), np.uint8))
    monkeypatch.setattr("iic.data.custom.usable_memory", lambda: 1_200_000_000)
    monkeypatch.setattr("iic.data.custom._FIXED", 1_000_000)
    monkeypatch.setattr("iic.data.custom._PER_PIXEL", 1_000)
    data = custom_dataset(tmp_path / "x.npz", Reading(shape=(64, 64, 1)), 0.2, 100)
    assert data.train_images.shape == (32, 64, 64)
    monkeypatch.setattr("iic.data.custom.examine", lambda *_, **__: pytest.fail("read"))
    reading = Reading(shape=(128, 128, 3))
    with pytest.raises(
        InputError, match=r"40 images of 128×128 pixels and 3 channels need 2\.0 GB"
    ):
        custom_dataset(tmp_path / "x.npz", reading, 0.2, 100)


def test_dataset_in_colour(tmp_path, random):
    np.savez(tmp_path / "x.npz", images=random.integers(0, 256, (40, 20, 30, 3), np.uint8))
    data = custom_dataset(tmp_path / "x.npz", Reading(shape=(64, 64, 3)), 0.2, 100)
    assert data.train_images.shape == (32, 64, 64, 3)
    assert data.test_images.shape == (8, 64, 64, 3)
    assert data.appearance.ink == "light"
