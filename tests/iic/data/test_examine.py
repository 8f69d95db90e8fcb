"""Value range, ink, paper and margins, decided once for a set and kept for new images."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from iic.core.appearance import Appearance
from iic.data.custom import custom_dataset
from iic.data.datasets import digits_dataset
from iic.data.examine import examine
from iic.data.images import ArraySource, FileSource, Reading, read_images

DIGITS = digits_dataset().train_images[:40]


def converted(source, reading: Reading, known: Appearance | None = None) -> np.ndarray:
    """Examine and read all images of a source."""
    appearance = examine([source], reading.ink, known).appearance
    batches = read_images(source, appearance, reading, pytest.fail)
    return np.concatenate([batch.images for batch in batches])


def from_array(array: np.ndarray, ink: str = "auto", size: str = "fit") -> np.ndarray:
    return converted(ArraySource("x", array), Reading(ink=ink, size=size))


def saved(folder: Path, images, suffix: str = "png", **options) -> FileSource:
    folder.mkdir(exist_ok=True)
    paths = []
    for number, image in enumerate(images):
        path = folder / f"{number:03d}.{suffix}"
        whole = image if isinstance(image, Image.Image) else Image.fromarray(image)
        whole.save(path, **options)
        paths.append(path)
    return FileSource(str(folder), paths)


def warnings_of(source) -> str:
    return "\n".join(examine([source], "auto").warnings)


# Value ranges


def test_overshoot_of_rounding_is_clipped():
    numbers = DIGITS / 255
    numbers[0, 14, 14] = 1.0000002
    numbers[1, 0, 0] = -1e-9
    np.testing.assert_array_equal(from_array(numbers), np.rint(numbers.clip(0, 1) * 255))
    assert from_array(numbers).max() == 255
    assert warnings_of(ArraySource("x", numbers)) == ""


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (DIGITS / 255 * 16, "0 to 16"),
        (np.rint(DIGITS / 2.55).astype(np.uint8), "0 to 100"),
        ((DIGITS * (4095 / 255)).astype(np.uint16), "0 to 4095"),
        (DIGITS.astype(np.uint16) * 257, "0 to 65535"),
        (DIGITS / 127.5 - 1, "-1 to 1"),
        (-DIGITS.astype(float), "-255 to 0; scaled so that -255 is black and 0 is white"),
        ((DIGITS > 127).astype(np.uint8), "0 to 1"),
        ((DIGITS - 128.0).astype(np.int8), "-128 to 127"),
        (DIGITS + 1000.0, "1000 to 1255"),
        (DIGITS / 255, ""),
        (DIGITS.astype(np.float16), ""),
        (DIGITS > 127, ""),
    ],
)
@pytest.mark.parametrize("channel", [None, 1, -1])
def test_unusual_ranges_fill_the_contrast_and_are_said(array, said, channel):
    shaped = array if channel is None else np.expand_dims(array, channel)
    source = ArraySource("x", shaped)
    assert said in warnings_of(source)
    assert bool(said) == bool(warnings_of(source))
    expected = np.where(DIGITS > 127, 255, 0) if len(np.unique(array)) == 2 else DIGITS
    found = from_array(shaped, "dark" if array.min() == -255 else "light").astype(int)
    np.testing.assert_allclose(found, expected, atol=2)


@settings(derandomize=True, database=None, deadline=None, max_examples=60)
@given(
    scale=st.floats(1e-6, 1e6),
    shift=st.sampled_from([0, -0.5, -1, -3]),
    dtype=st.sampled_from([np.float32, np.float64, np.int16, np.int32, np.uint16]),
    is_negative=st.booleans(),
)
def test_any_range_gives_the_same_images(scale, shift, dtype, is_negative):
    if np.dtype(dtype).kind != "f":
        scale = 1 + scale % 30
    numbers = scale * (DIGITS + 255.0 * shift)
    if is_negative and dtype != np.uint16:
        numbers = -numbers
    if dtype == np.uint16:
        numbers = numbers - min(numbers.min(), 0)
    array = (np.rint(numbers) if np.dtype(dtype).kind != "f" else numbers).astype(dtype)
    # Dim images in a usual range stay dim.
    top = float(array.max())
    assume(array.min() < 0 or not (0.5 <= top < 0.99 or 127.5 <= top < 254))
    source = ArraySource("x", array)
    found = converted(source, Reading()).astype(int)
    np.testing.assert_allclose(found, DIGITS, atol=2)
    limits = next(iter(examine([source], "auto").appearance.ranges.values()))
    is_scaled = limits not in ((0, 255), (0, 1))
    assert ("scaled so that" in warnings_of(source)) == is_scaled


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (DIGITS / 255 * 0.6, "0 to 0.6 only, where 0 is black and 1 is white"),
        (DIGITS // 2 + np.uint8(40), "40 to 167 only, where 0 is black and 255 is white"),
        (DIGITS // 5 * np.uint8(4), ""),
    ],
)
def test_a_part_of_a_usual_range_is_kept_and_named(array, said):
    found = examine([ArraySource("x", array)], "auto")
    assert next(iter(found.appearance.ranges.values())) in ((0, 1), (0, 255))
    assert found.warnings == () if not said else said in found.warnings[0]


@pytest.mark.parametrize(
    ("convert", "suffix", "said"),
    [
        (lambda a: a.astype(np.uint16) * 16, "png", "0 to 4080"),
        (lambda a: (a * 4.0).astype(np.uint16), "tif", "0 to 1020"),
        (lambda a: (a > 127).astype(np.uint8), "png", "0 to 1"),
        (lambda a: (a / 255).astype(np.float32), "tif", ""),
        (lambda a: (a * 257.0).astype(np.float32), "tif", "0 to 65535"),
    ],
)
def test_range_of_files_is_that_of_the_whole_set(tmp_path, convert, suffix, said):
    """The darkest image has half of the range; it stays as dark as it is."""
    images = DIGITS.copy()
    images[3] //= 2
    source = saved(tmp_path / "x", [convert(image) for image in images], suffix)
    assert said in warnings_of(source)
    found = converted(source, Reading(ink="light"))
    if said != "0 to 1":
        np.testing.assert_allclose(found.astype(int), images, atol=2)
    assert found.max() == 255


def test_8_and_16_bit_images_in_one_set(tmp_path):
    mixed = [image.astype(np.uint16) * 257 if k % 2 else image for k, image in enumerate(DIGITS)]
    np.testing.assert_array_equal(converted(saved(tmp_path / "x", mixed), Reading()), DIGITS)


@pytest.mark.parametrize("level", [20, 128, 230])
@pytest.mark.parametrize("size", ["fit", "crop"])
@pytest.mark.parametrize("side", [28, 60])
def test_noise_is_never_stretched(random, level, size, side):
    noise = (level + random.integers(-15, 16, (20, side, side))).astype(np.uint8)
    assert max(np.ptp(image) for image in from_array(noise, size=size)) <= 31


# Ink, paper, transparency


def test_twins_on_transparent_paper_become_the_same(tmp_path):
    cut_outs = [
        Image.merge("LA", (Image.new("L", (28, 28), ink), Image.fromarray(image)))
        for image in DIGITS[:6]
        for ink in (20, 235)
    ]
    for ink in ("auto", "light", "dark"):
        found = converted(saved(tmp_path / "x", cut_outs), Reading(ink=ink)).astype(int)
        assert np.median(found[:, 0], axis=1).max() < 128
        assert np.abs(found[::2] - found[1::2]).mean(axis=(1, 2)).max() < 64
    assert found.max() > 200


@pytest.mark.parametrize("as_files", [True, False])
def test_black_cut_outs_keep_their_soft_edges(tmp_path, as_files):
    clear = np.zeros((len(DIGITS), 28, 28, 4), np.uint8)
    clear[..., 3] = DIGITS
    source = saved(tmp_path / "x", clear) if as_files else ArraySource("x", clear)
    assert warnings_of(source) == ""
    np.testing.assert_array_equal(converted(source, Reading()), DIGITS)


def test_opaque_images_with_an_alpha_channel_are_as_without(tmp_path):
    opaque = [Image.fromarray(255 - image).convert("RGBA") for image in DIGITS]
    np.testing.assert_array_equal(converted(saved(tmp_path / "x", opaque), Reading()), DIGITS)


def test_round_corners_are_filled_with_paper(tmp_path):
    icons = []
    for image in DIGITS:
        icon = Image.fromarray(255 - image).resize((56, 56)).convert("RGBA")
        mask = Image.new("L", icon.size)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, 55, 55), 12, fill=255)
        icon.putalpha(mask)
        icons.append(icon)
    found = converted(saved(tmp_path / "x", icons), Reading())
    assert found[:, 0, 0].max() < 40


@pytest.mark.parametrize(
    ("convert", "suffix", "options"),
    [
        (lambda a: Image.fromarray(255 - a), "tif", {"tiffinfo": {262: 0}}),
        (lambda a: Image.fromarray(a).convert("CMYK"), "jpg", {"quality": 100}),
        (lambda a: Image.fromarray(255 - a).convert("P"), "png", {}),
        (lambda a: Image.fromarray(a), "webp", {"lossless": True}),
        (lambda a: Image.fromarray(a).convert("RGB"), "bmp", {}),
    ],
)
def test_modes_of_files(tmp_path, convert, suffix, options):
    source = saved(tmp_path / "x", map(convert, DIGITS), suffix, **options)
    assert np.abs(converted(source, Reading()).astype(int) - DIGITS).mean() < 8


# Margins


def tight(image: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero((image > 60).any(axis=axis)) for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def shapes() -> list[np.ndarray]:
    """Bars, a dot, an E and others that are cut along their ink, which fills much of the border."""
    bar, dot = np.full((40, 8), 255, np.uint8), np.full((9, 9), 255, np.uint8)
    e = np.zeros((40, 30), np.uint8)
    e[:, :8] = e[:8] = e[16:24] = e[32:] = 255
    return [bar, bar.T, dot, e, e.T, e[:, ::-1], np.full((30, 25), 255, np.uint8), e[::-1].T]


@pytest.mark.parametrize("is_dark", [False, True])
def test_images_cut_along_their_ink_get_a_margin(tmp_path, is_dark):
    images = [*map(tight, DIGITS[:12]), *shapes()]
    pages = [255 - image if is_dark else image for image in images]
    found = converted(
        saved(tmp_path / "x", pages), Reading(ink="dark" if is_dark else "light")
    ).astype(int)
    edges = np.concatenate([found[:, 0], found[:, -1], found[:, :, 0], found[:, :, -1]], axis=1)
    assert np.median(edges, axis=1).max() < 128
    assert np.ptp(found, axis=(1, 2)).min() >= 128


# Pages with `crop`


def page(number: int, ink: int = 60, shadow: float = 0, noise: float = 6, *, blank: bool = False):
    """A page of 300 × 300 pixels with a digit; a shadow falls on the lower right corner."""
    random = np.random.default_rng(number)
    paper = np.full((300, 300), 225.0)
    if not blank:
        digit = np.asarray(Image.fromarray(DIGITS[number]).resize((112, 112))) / 255
        top, left = random.integers(20, 168, 2)
        paper[top : top + 112, left : left + 112] -= digit * (225 - ink)
    light = 1 - np.linspace(0, shadow, 300)[None] * np.linspace(0.5, 1, 300)[:, None]
    return (paper * light + random.normal(0, noise, paper.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "look",
    [{}, {"shadow": 0.5}, {"ink": 175, "noise": 3}, {"ink": 170, "noise": 3, "shadow": 0.4}],
    ids=str,
)
def test_digits_on_pages_are_cropped_to_their_ink(look):
    pages = np.stack([page(number, **look) for number in range(20)])
    found = from_array(pages, size="crop").astype(float)
    expected = from_array(DIGITS[:20], size="crop").astype(float)
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(found, expected, strict=True)]
    assert min(alike) > 0.85
    assert found[:, 0].max() == 0
    assert found.max(axis=(1, 2)).min() > 150


@pytest.mark.parametrize("shadow", [0, 0.3])
def test_blank_pages_among_digits_stay_blank(shadow):
    pages = [page(number, blank=number % 3 == 0, shadow=shadow) for number in range(12)]
    found = from_array(np.stack(pages), size="crop")
    assert [not image.any() for image in found] == [number % 3 == 0 for number in range(12)]


# New images for a trained network


def test_new_images_have_the_look_of_the_training_set(tmp_path):
    """Alone, a picture would look otherwise: dark, with the opposite ink, in another range."""
    numbers = DIGITS / 255 * 16
    np.savez(tmp_path / "x.npz", images=numbers)
    known = custom_dataset(tmp_path / "x.npz", Reading(), 0.2, 100).appearance
    dim = ArraySource("x", numbers[:1] / 2)
    np.testing.assert_allclose(converted(dim, Reading(), known)[0], DIGITS[0] / 2, atol=1)
    light = np.full((1, 28, 28), 16.0)
    assert converted(ArraySource("x", light), Reading(), known).min() == 255


@pytest.mark.parametrize("has_colors", [False, True])
def test_known_ranges_are_kept_for_images_that_are_not_examined(tmp_path, monkeypatch, has_colors):
    """The only 16-bit image is not in the sample; the training set had such images."""
    known = Appearance(ranges={"bytes": (0, 255), "integers": (0, 4095)}, ink="light")
    monkeypatch.setattr("iic.data.examine._EXAMINED", 2)
    deep = (DIGITS[1] * (4095 / 255)).round().astype(np.uint16)
    source = saved(tmp_path / "x", [DIGITS[0], deep, DIGITS[2]])
    found = examine([source], "auto", known, has_colors=has_colors).appearance
    assert found.ranges == known.ranges
    # A range that training did not have is added.
    floats = saved(tmp_path / "y", [(DIGITS[0] / 255).astype(np.float32)], "tif")
    ranges = examine([floats], "auto", known, has_colors=has_colors).appearance.ranges
    assert ranges == known.ranges | {"floats": (0, 1)}
    if not has_colors:
        np.testing.assert_allclose(converted(source, Reading(), known), DIGITS[:3], atol=1)


def test_images_unlike_the_training_set_are_named():
    known = examine([ArraySource("x", DIGITS)], "auto").appearance
    dark = examine([ArraySource("x", 255 - DIGITS)], "auto", known)
    assert "40 of 40 images have a border of ink, unlike the training set" in dark.warnings[0]
    assert "--ink dark" in dark.warnings[0]
    dim = examine([ArraySource("x", DIGITS // 16)], "auto", known)
    assert "values range from 0 to 15, unlike the training set: 0 is black" in dim.warnings[0]
    assert examine([ArraySource("x", DIGITS)], "auto", known).warnings == ()
