"""Conversion of images to the network's input: polarity, size, colour, damaged files."""

import os
import re
import struct

import numpy as np
import pytest
from PIL import Image

from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.data.examine import examine
from iic.data.images import (
    ArraySource,
    EncodedSource,
    FileSource,
    Reading,
    UnreadableImageError,
    describe_skipped,
    read_images,
)
from iic.data.values import scaled

LIGHT = Appearance(ranges={"bytes": (0, 255)}, ink="light")
DARK = Appearance(ranges={"bytes": (0, 255)}, ink="dark")


def fail(error: InputError) -> None:
    raise AssertionError(error)


def read(source, reading=Reading(), appearance=LIGHT) -> list[np.ndarray]:  # noqa: B008 - frozen
    batches = read_images(source, appearance, reading, fail)
    return [image for batch in batches for image in batch.images]


def read_examined(source, reading=Reading(ink="light")) -> list[np.ndarray]:  # noqa: B008 - frozen
    """Read images in the value range that they have."""
    return read(source, reading, examine([source], reading.ink).appearance)


def bar(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    image = np.zeros((height, width), np.uint8)
    image[rows, columns] = 255
    return image


@pytest.fixture
def saved(tmp_path):
    """Function that saves an image and returns a source of it."""

    def save(image: Image.Image | np.ndarray, name: str = "a.png", **options) -> FileSource:
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image)
        image.save(tmp_path / name, **options)
        return FileSource("folder", [tmp_path / name])

    return save


def test_image_of_the_right_size_stays_unchanged(saved, random):
    image = random.integers(0, 256, (28, 28), np.uint8)
    np.testing.assert_array_equal(read(saved(image))[0], image)
    np.testing.assert_array_equal(read(saved(255 - image), appearance=DARK)[0], image)


def test_majority_of_images_decides_the_polarity(digits):
    images = digits.test_images.copy()
    light = examine([ArraySource("x", images)], "auto")
    assert ((light.appearance.ink == "dark"), light.opposite) == (False, 0)
    # An image whose ink reaches the border is outvoted.
    images[0] = 255
    images[:, 0, 0] = 255
    mixed = examine([ArraySource("x", images)], "auto")
    assert ((mixed.appearance.ink == "dark"), mixed.examined, mixed.opposite) == (False, 200, 1)
    assert str(mixed) == "light ink on dark paper, by the borders, 1 of 200 disagree"
    dark = examine([ArraySource("x", 255 - images)], "auto")
    assert ((dark.appearance.ink == "dark"), dark.opposite) == (True, 1)


@pytest.mark.parametrize(("ink", "is_dark"), [("light", False), ("dark", True)])
def test_given_ink_is_not_examined(digits, ink, is_dark):
    for images in (digits.test_images, 255 - digits.test_images):
        ground = examine([ArraySource("x", images)], ink)
        assert (ground.appearance.ink == "dark", ground.examined) == (is_dark, 0)
        assert str(ground).endswith("as given")


def test_fit_keeps_the_shape_and_stretch_fills_the_frame(saved):
    # A white bar across the upper half of an image that is twice as wide as high.
    wide = bar(50, 100, slice(0, 25), slice(None))
    fitted = read(saved(wide))[0]
    # Half of the border is ink; the padding has the median of the border.
    inside = fitted[7:21]
    assert (inside[:6] == 255).all()
    assert (inside[8:] == 0).all()
    stretched = read(saved(wide), Reading(size="stretch"))[0]
    assert (stretched[:13] == 255).all()
    assert (stretched[15:] == 0).all()


def test_fit_pads_with_the_paper_of_the_image(saved):
    scan = np.where(bar(40, 20, slice(10, 30), slice(8, 12)) > 0, 20, 230).astype(np.uint8)
    fitted = read(saved(scan), appearance=DARK)[0]
    assert (fitted[:, 0] == 25).all()
    assert fitted.max() > 200


def test_thin_strokes_survive_shrinking(saved):
    thin = bar(280, 280, slice(None), slice(140, 142))
    fitted = read(saved(thin))[0]
    assert fitted[:, 13:15].sum(axis=1).min() > 40


def test_crop_scales_and_centres_the_ink_as_mnist_does(saved):
    """Longer side 20 pixels, centre of mass in the middle, full contrast."""
    scan = np.full((300, 200), 240, np.uint8)
    scan[20:120, 30:40] = 90  # a stem, and a foot that makes it heavy below
    scan[110:120, 30:80] = 90
    cropped = read(saved(scan), Reading(size="crop"), DARK)[0]
    rows, columns = np.nonzero(cropped > 127)
    assert rows.max() - rows.min() + 1 == 20
    assert columns.max() - columns.min() + 1 == 10
    assert cropped.max() == 255
    mass = cropped / cropped.sum()
    assert (mass.sum(axis=1) * (np.arange(28) + 0.5)).sum() == pytest.approx(14, abs=0.6)
    assert (mass.sum(axis=0) * (np.arange(28) + 0.5)).sum() == pytest.approx(14, abs=0.6)


def test_crop_of_blank_paper_is_blank(saved):
    blank = np.full((50, 50), 200, np.uint8)
    assert not read(saved(blank), Reading(size="crop"), DARK)[0].any()


def test_image_of_the_right_size_is_centred_by_crop(saved):
    """Cropping what has been cropped changes almost nothing."""
    once = read(saved(bar(28, 28, slice(2, 12), slice(1, 7))), Reading(size="crop"))[0]
    rows, columns = np.nonzero(once > 127)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 8, 19)
    twice = read(saved(once), Reading(size="crop"))[0]
    np.testing.assert_array_equal(twice, once)


def test_refused_size_and_colour_are_named(saved):
    with pytest.raises(InputError, match=r"a\.png: 20×40 pixels instead of 28×28; set data.size"):
        read(saved(np.zeros((40, 20), np.uint8)), Reading(size="refuse"))
    red = np.zeros((28, 28, 3), np.uint8)
    red[..., 0] = 200
    with pytest.raises(InputError, match=r"a\.png: has colours"):
        read(saved(red), Reading(color="refuse"))
    # Three equal channels are grey.
    grey = np.full((28, 28, 3), 77, np.uint8)
    assert (read(saved(grey), Reading(color="refuse"))[0] == 77).all()
    # ITU-R 601 weights red by 0.299.
    assert read(saved(red))[0][0, 0] == round(0.299 * 200)


@pytest.mark.parametrize("ink", [(0, 0, 0), (255, 255, 255), (200, 40, 40)])
@pytest.mark.parametrize("appearance", [LIGHT, DARK])
def test_cut_out_on_transparent_paper_is_light_ink(saved, ink, appearance):
    image = np.zeros((28, 28, 4), np.uint8)
    image[10:18, 10:18] = (*ink, 255)
    found = read(saved(image), appearance=appearance)[0]
    assert found[0, 0] == 0
    assert found[14, 14] > 150


def test_16_bit_values_are_scaled_and_not_clipped(saved):
    deep = np.zeros((28, 28), np.uint16)
    deep[5] = 40_000
    deep[6] = 65_535
    assert read_examined(saved(deep))[0][5, 5] == round(40_000 / 65_535 * 255)


def test_exif_orientation_is_applied(saved):
    image = bar(28, 28, slice(0, 5), slice(None))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    turned = read(saved(image, "a.png", exif=exif))[0]
    np.testing.assert_array_equal(turned, np.rot90(image, -1))


def test_uncertain_polarity_is_reported(digits):
    images = digits.test_images.copy()
    images[::3] = 255
    ground = examine([ArraySource("x", images)], "auto")
    assert ground.appearance.ink == "light"
    assert str(ground).endswith("disagree; uncertain, set the ink to light or dark")


def test_sources_share_one_polarity(digits):
    """With `by_content`, the result is independent of names and order."""
    images = digits.train_images[:300]
    light, dark = ArraySource("a", images), ArraySource("b", 255 - images[:40])
    assert examine([dark], "auto").appearance.ink == "dark"
    assert examine([dark, light], "auto").appearance.ink == "light"
    mixed = np.concatenate([images, 255 - images[:100]])
    one = examine([ArraySource("x", mixed)], "auto", by_content=True)
    two = examine([ArraySource("y", mixed[::-1])], "auto", by_content=True)
    assert one == two
    assert one.examined == 200
    assert 25 < one.opposite < 75


def test_damaged_exif_data_is_ignored(saved):
    image = bar(28, 28, slice(0, 5), slice(None))
    source = saved(image, "a.png", exif=b"Exif\0\0MM\0*")
    np.testing.assert_array_equal(read(source)[0], image)


@pytest.mark.parametrize(
    ("array", "mode", "expected"),
    [
        (np.full((28, 28), 0.5, np.float32), "F", 128),
        (np.full((28, 28), 200.0, np.float32), "F", 200),
        (np.full((28, 28), 200, np.int32), "I", 200),
    ],
)
def test_float_and_integer_images_are_scaled_to_bytes(saved, array, mode, expected):
    image = Image.fromarray(array)
    assert image.mode == mode
    assert (read_examined(saved(image, "a.tif"))[0] == expected).all()


def test_values_of_another_type_than_the_examined_images_are_refused_or_skipped(saved):
    source = saved(Image.fromarray(np.full((28, 28), 0.5, np.float32)), "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: values of another type \(float32\)"):
        read(source)
    skipped: list[InputError] = []
    assert list(read_images(source, LIGHT, Reading(broken="skip"), skipped.append)) == []
    assert len(skipped) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_encoded", [False, True])
def test_values_that_are_not_finite_are_refused_or_skipped(tmp_path, value, is_encoded):
    """One pixel of one image among others, in the sample that is examined or not."""
    paths = [tmp_path / f"{number}.tif" for number in range(3)]
    for number, path in enumerate(paths):
        values = np.full((28, 28), 0.5, np.float32)
        values[3, 4] = value if number == 1 else 1
        Image.fromarray(values).save(path)
    source = FileSource("x", paths)
    if is_encoded:
        source = EncodedSource("x", [path.read_bytes() for path in paths])
    name = re.escape(source.names[1])
    with pytest.raises(UnreadableImageError, match=f"{name}: values must be finite numbers"):
        source.read(1)
    appearance = examine([source], "light").appearance
    with pytest.raises(UnreadableImageError, match=name):
        read(source, appearance=appearance)
    skipped: list[InputError] = []
    (batch,) = read_images(source, appearance, Reading(broken="skip"), skipped.append)
    assert (batch.indices, len(skipped)) == ([0, 2], 1)
    assert (batch.images[:, 0, 0] == 128).all()


def test_file_with_several_pages_is_refused(tmp_path):
    pages = [Image.new("L", (28, 28), grey) for grey in (0, 255)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=r"a\.tif: several images in one file"):
        read(FileSource("x", [tmp_path / "a.tif"]))


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("high", [1, 255])
def test_scaling_in_parts_equals_scaling_at_once(random, monkeypatch, kind, high):
    numbers = (random.random((9, 28, 28)) * high).round(2).astype(kind)
    numbers.flat[:2] = 0, high
    whole = scaled(numbers, (0, high))
    expected = np.rint(numbers * (255.0 if high == 1 else 1))
    np.testing.assert_array_equal(whole, expected.astype(np.uint8))
    monkeypatch.setattr("iic.data.values._PART", 1000)
    np.testing.assert_array_equal(scaled(numbers, (0, high)), whole)


def test_image_whose_colours_cannot_be_examined_is_skipped(saved, monkeypatch):
    def fails(*_):
        raise ValueError("conversion")

    monkeypatch.setattr("iic.data.images.is_colorful", fails)
    source = saved(np.zeros((28, 28), np.uint8))
    skipped: list[InputError] = []
    reading = Reading(color="refuse", broken="skip")
    assert list(read_images(source, LIGHT, reading, skipped.append)) == []
    assert len(skipped) == 1


def test_skipping_broken_files_does_not_skip_other_sizes(saved):
    source = saved(np.zeros((40, 20), np.uint8))
    with pytest.raises(InputError, match="20×40 pixels instead"):
        list(read_images(source, LIGHT, Reading(size="refuse", broken="skip"), fail))


def test_skipped_images_are_counted_and_five_are_named():
    assert describe_skipped([], 10) == []
    lines = describe_skipped([InputError(f"{n}.png: bad") for n in range(1200)], 5000)
    assert lines[0] == "1,200 of 5,000 images skipped, for example:"
    assert lines[1:] == [f"  {n}.png: bad" for n in range(5)]


def test_advice_to_skip_is_not_given_for_what_is_skipped(tmp_path):
    (tmp_path / "a.png").symlink_to("/nowhere.png")
    with pytest.raises(UnreadableImageError, match="iic predict --skip-broken") as refused:
        FileSource("x", [tmp_path / "a.png"]).read(0)
    _, line = describe_skipped([refused.value], 2)
    assert line == f"  {tmp_path}/a.png: a broken link to /nowhere.png; restore or remove it"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no image at all", "not a PNG, JPEG, BMP, TIFF, WebP, GIF or PNM image"),
        (b"", "not a PNG, JPEG"),
        (b"\x89PNG\r\n\x1a\n cut", r"cannot be read as an image|not a PNG"),
    ],
)
def test_broken_file_is_named_or_skipped(tmp_path, saved, content, message):
    saved(np.zeros((28, 28), np.uint8), "good.png")
    (tmp_path / "bad.png").write_bytes(content)
    source = FileSource("folder", [tmp_path / "bad.png", tmp_path / "good.png"])
    with pytest.raises(InputError, match=rf"bad\.png: ({message})"):
        read(source)
    skipped: list[InputError] = []
    (batch,) = read_images(source, LIGHT, Reading(broken="skip"), skipped.append)
    assert batch.indices == [1]
    assert len(skipped) == 1
    assert "bad.png" in str(skipped[0])


def test_truncated_file_is_refused(tmp_path, saved, random):
    saved(random.integers(0, 256, (100, 100), np.uint8), "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.png: cannot be read as an image \("):
        read(FileSource("folder", [tmp_path / "cut.png"]))


def test_image_with_too_many_pixels_is_not_decoded(saved, monkeypatch):
    monkeypatch.setattr("iic.data.arrays.MAX_PIXELS", 100 * 100 - 1)
    with pytest.raises(InputError, match=r"100×100 pixels exceed the limit"):
        read(saved(np.zeros((100, 100), np.uint8)))


@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_pipe_or_device_is_refused_without_reading(tmp_path, kind):
    path = tmp_path / "x.png"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(UnreadableImageError, match=r"x\.png: not a plain file"):
        read(FileSource("folder", [path]))
    assert FileSource("folder", [path]).digest(0) == b""


def test_any_decoder_exception_becomes_an_unreadable_image_error(tmp_path, saved, monkeypatch):
    saved(np.zeros((28, 28), np.uint8), "x.png")

    def fail(*_, **__):
        raise struct.error("a\x1b[2J\nb")

    monkeypatch.setattr("iic.data.images.Image.open", fail)
    with pytest.raises(UnreadableImageError, match=r"as an image \(a\\x1b\[2J b\)"):
        read(FileSource("folder", [tmp_path / "x.png"]))


def test_name_that_no_file_can_have_is_named(tmp_path):
    with pytest.raises(UnreadableImageError, match="cannot be read as an image"):
        read(FileSource("folder", [tmp_path / f"{'a' * 300}.png"]))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.png: cannot be read as an image \(No such file"):
        read(FileSource("folder", [tmp_path / "no.png"]))


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (np.full((2, 28, 28), 0.5), 128),
        (np.full((2, 28, 28, 1), 200, np.int64), 200),
        (np.full((2, 28, 28), 200.0, np.float32), 200),
        (np.full((2, 28, 28, 3), 190, np.uint8), 190),
        (np.ones((2, 28, 28), bool), 255),
        (np.ones((2, 28, 28), np.uint8), 255),
    ],
)
def test_arrays_of_any_type_are_scaled_to_bytes(array, value):
    images = read_examined(ArraySource("x", array))
    assert len(images) == 2
    assert (images[0] == value).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 785)), r"shape \(2, 785\)"),
        (np.zeros((2, 28, 28, 7)), r"shape \(2, 28, 28, 7\)"),
        (np.zeros((0, 28, 28)), "contains no images"),
        (np.full((2, 28, 28), np.nan), "values must be"),
        (np.full((2, 28, 28), "a"), "values must be"),
    ],
)
def test_array_that_holds_no_images_is_refused(array, message):
    with pytest.raises(InputError, match=f"file.npz: some: .*{message}"):
        ArraySource("some", array, "file.npz: some")


def test_many_files_keep_their_order(tmp_path, random, monkeypatch):
    """More than one batch, decoded by two threads."""
    monkeypatch.setattr("iic.data.images._LARGE", 0)
    images = random.integers(0, 256, (1100, 28, 28), np.uint8)
    paths = [tmp_path / f"{n:04d}.png" for n in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path, compress_level=0)
    np.testing.assert_array_equal(np.stack(read(FileSource("x", paths))), images)
