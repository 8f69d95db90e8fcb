"""Folders and files of images as an array for the estimator."""

import warnings

import numpy as np
import pytest
from PIL import Image

import iic
from iic import load_images
from iic.core.sampling import evenly
from iic.data.custom import custom_dataset
from iic.data.found import find_parts
from iic.data.images import Reading, read_images
from iic.estimator.images import network_input
from iic.estimator.settings import make_params


@pytest.fixture
def scans(tmp_path, digits):
    """A folder of twelve scans of 40×40 pixels, dark ink on white paper, in two subfolders."""
    folder = tmp_path / "scans"
    for number, image in enumerate(digits.train_images[:12]):
        path = folder / ("a" if number % 2 else "b") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - image).resize((40, 40)).save(path)
    return folder


def test_folder_becomes_an_array_with_paths_and_appearance(scans):
    loaded = load_images(scans)
    assert loaded.images.shape == (12, 28, 28)
    assert loaded.images.dtype == np.uint8
    assert loaded.paths == [str(path) for path in sorted(scans.rglob("*.png"))]
    assert loaded.appearance.ink == "dark"
    assert loaded.images[:, 0, 0].max() == 0  # paper


def test_images_are_those_that_the_pipeline_reads(scans):
    """The same reader, so `iic predict` and the estimator see the same pixels."""
    loaded = load_images(scans)
    source = find_parts(scans, 100, names="nothing")[""].source
    batches = read_images(source, loaded.appearance, Reading(), lambda _: None)
    np.testing.assert_array_equal(loaded.images, np.concatenate([b.images for b in batches]))


def test_the_array_of_light_ink_on_dark_paper_stays_as_it_is(scans):
    loaded = load_images(scans)
    data = make_params("default", 0, 10, 50, {}).data
    pixels, _, appearance, _ = network_input(loaded.images, data, None)
    np.testing.assert_array_equal(pixels, loaded.images)
    assert appearance.ink == "light"


def test_uncertain_ink_is_a_warning(digits, tmp_path):
    images = digits.train_images[:60].copy()
    images[:20] = 255 - images[:20]
    np.save(tmp_path / "mixed.npy", images)
    said = "light ink on dark paper, by the borders, 20 of 60 disagree; uncertain, set"
    data = make_params("default", 0, 10, 50, {}).data
    assert [note for note in network_input(images, data, None).notes if "uncertain" in note] == [
        f"{said} data.ink to light or dark"
    ]
    with pytest.warns(UserWarning, match=f"{said} ink to light or dark"):
        load_images(tmp_path / "mixed.npy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_images(tmp_path / "mixed.npy", ink="light")


def test_appearance_is_that_of_the_pipeline_in_any_order(digits, tmp_path):
    """An even sample by position would see those with a light border alone."""
    images = digits.train_images[:1000].copy()
    sampled = evenly(1000, 200)
    images[sampled] = 255 - images[sampled]
    np.save(tmp_path / "mixed.npy", images)
    expected = custom_dataset(tmp_path / "mixed.npy", Reading(), 0.2, 1000).appearance
    assert expected.ink == "light"
    data = make_params("default", 0, 10, 50, {}).data
    assert network_input(images, data, None).appearance == expected
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load_images(tmp_path / "mixed.npy").appearance == expected


def test_size_and_channels_of_the_result(scans):
    assert load_images(scans, image_size=32).images.shape == (12, 32, 32)
    with pytest.warns(UserWarning, match="no colours in the images examined; channels 1 is faster"):
        assert load_images(scans, channels=3).images.shape == (12, 28, 28, 3)


def test_new_images_are_converted_as_the_training_images(scans, tmp_path):
    """A single white image says nothing about ink; the training images do."""
    known = load_images(scans).appearance
    Image.fromarray(np.full((28, 28), 30, np.uint8)).save(tmp_path / "one.png")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load_images(tmp_path / "one.png", appearance=known).images.min() > 200
        assert load_images(tmp_path / "one.png").images.max() < 60


def test_both_splits_of_an_archive_are_read(tmp_path, digits):
    train, test = digits.train_images[:6], digits.train_images[6:9]
    np.savez(tmp_path / "two.npz", train_images=train, test_images=test)
    loaded = load_images(tmp_path / "two.npz")
    np.testing.assert_array_equal(loaded.images, np.concatenate([train, test]))
    assert loaded.paths[6].endswith("test_images[0]")


def test_broken_files_are_refused_or_skipped_with_a_warning(scans):
    (scans / "a/01.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    with pytest.raises(ValueError, match=r"01\.png") as error:
        load_images(scans)
    assert "data." not in str(error.value)
    with pytest.warns(UserWarning, match=r"1 of 12 images skipped"):
        loaded = load_images(scans, broken="skip")
    assert len(loaded.images) == len(loaded.paths) == 11
    assert str(scans / "a/01.png") not in loaded.paths


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 8}, "^image_size: "),
        ({"channels": 2}, "^channels: "),
        ({"ink": "blue"}, "^ink: "),
        ({"size": "huge"}, "^size: "),
        ({"color": "red"}, "^color: "),
        ({"broken": "keep"}, r"^broken: unknown value 'keep' \(one of refuse, skip\)$"),
        ({"max_images": 0}, "^max_images: 0 should be greater than or equal to 2$"),
        ({"max_images": 5}, r"more than 5 images; .* \(max_images\)"),
        ({"size": "refuse"}, "40"),
    ],
)
def test_arguments_are_checked_in_one_line(scans, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        load_images(scans, **arguments)
    assert len(str(error.value).splitlines()) == 1
    assert "data" not in str(error.value).replace(str(scans), "")


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere: not found"):
        load_images(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=str(tmp_path)):
        load_images(tmp_path)


def test_public_names_are_listed():
    assert {"IIC", "load_images"} <= set(dir(iic))
    with pytest.raises(AttributeError, match="'iic' has no attribute 'load'"):
        iic.load  # noqa: B018 - the access is tested
