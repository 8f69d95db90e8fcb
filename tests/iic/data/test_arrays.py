"""Arrays: shapes of images, names in NPZ files, labels of any type through the whole reader."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iic.core.errors import InputError
from iic.data.arrays import ArrayRole, image_array, role_of
from iic.data.custom import custom_dataset
from iic.data.datasets import Dataset, digits_dataset
from iic.data.images import Reading

DIGITS = digits_dataset()
X, Y = DIGITS.train_images[:30], DIGITS.train_labels[:30]


def read(path: Path) -> Dataset:
    return custom_dataset(path, Reading(), 0.15, 10_000)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((30, 784), (30, 28, 28)),
        ((30, 64), (30, 8, 8)),
        ((30, 1, 28, 28), (30, 28, 28)),
        ((30, 28, 28, 1), (30, 28, 28)),
        ((1, 28, 28, 1), (1, 28, 28)),
        ((5, 28, 28, 3), (5, 28, 28, 3)),
        ((5, 28, 28, 4), (5, 28, 28, 4)),
        ((28, 28, 28), (28, 28, 28)),
    ],
)
def test_shapes_of_images(shape, expected):
    array = np.arange(np.prod(shape)).reshape(shape)
    images = image_array(array, "x")
    assert images.shape == expected
    np.testing.assert_array_equal(images.ravel(), array.ravel())


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((28, 28, 30), "numpy.transpose(images, (2, 0, 1))"),
        ((28, 28, 3), "one colour image is images[numpy.newaxis]"),
        ((28, 28, 3), "numpy.transpose(images, (2, 0, 1))"),
        ((10, 3, 28, 28), "numpy.transpose(images, (0, 2, 3, 1))"),
        ((28, 28, 3, 10), "numpy.transpose(images, (3, 0, 1, 2))"),
        ((28, 28), "one image is images[numpy.newaxis]"),
        ((30, 785), "images.reshape(-1, height, width)"),
        ((784,), "images.reshape(-1, height, width)"),
        ((2, 3, 1, 28, 28), "images.reshape(-1, height, width)"),
        ((10, 28, 28, 2), "images.reshape(-1, height, width)"),
    ],
)
def test_axes_are_not_guessed(tmp_path, shape, remedy):
    for path, save in ((tmp_path / "x.npz", np.savez), (tmp_path / "x.npy", np.save)):
        save(path, np.zeros(shape)) if save is np.save else save(path, images=np.zeros(shape))
        line = refused(path)
        assert str(shape) in line
        assert remedy in line


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *((name, ArrayRole("train", "images", 5)) for name in ("x_train", "X_train", "train_x")),
        *((name, ArrayRole("train", "images", 5)) for name in ("trainX", "train-x")),
        ("test-imgs", ArrayRole("test", "images", 2)),
        ("val_images", ArrayRole("val", "images", 0)),
        ("validation_labels", ArrayRole("val", "labels", 0)),
        ("Y_test", ArrayRole("test", "labels", 2)),
        ("arr_0", ArrayRole(None, "images", 8)),
        ("arr_1", ArrayRole(None, "labels", 7)),
        ("data", ArrayRole(None, "images", 6)),
        ("target", ArrayRole(None, "labels", 3)),
        *((name, None) for name in ("arr_2", "writer", "x_train_test", "my_images")),
    ],
)
def test_names_of_arrays(name, role):
    found = role_of(name)
    assert (found and found[:2]) == (role and role[:2])


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_data", "train_label", "test_data", "test_label"),
        ("trainX", "trainY", "testX", "testY"),
    ],
)
def test_npz_files_with_splits(tmp_path, names):
    np.savez(tmp_path / "x.npz", **dict(zip(names, (X[:20], Y[:20], X[20:], Y[20:]), strict=True)))
    data = read(tmp_path / "x.npz")
    np.testing.assert_array_equal(data.train_images, X[:20])
    np.testing.assert_array_equal(data.test_labels, Y[20:])


@pytest.mark.parametrize("names", [("data", "target"), ("X", "y"), ("arr_0", "arr_1")])
def test_npz_files_without_splits(tmp_path, names):
    np.savez(tmp_path / "x.npz", **dict(zip(names, (X.reshape(30, 784), Y), strict=True)))
    data = read(tmp_path / "x.npz")
    assert (len(data.train_images) + len(data.test_images), len(data.names)) == (30, 10)


@pytest.mark.parametrize("names", ["{}_images", "x_{}"])
def test_validation_images_are_used_for_training(tmp_path, names, caplog):
    arrays = {"train": X[:12], "val": X[12:15], "test": X[15:21]}
    np.savez(tmp_path / "x.npz", **{names.format(split): array for split, array in arrays.items()})
    with caplog.at_level(logging.INFO):
        data = read(tmp_path / "x.npz")
    np.testing.assert_array_equal(data.train_images, X[:15])
    assert f"3 images of the validation split ({tmp_path}/x.npz#{names.format('val')})" in (
        caplog.text
    )


def test_medmnist_file(tmp_path):
    arrays = {"train": slice(15), "val": slice(15, 20), "test": slice(20, 30)}
    images = {f"{split}_images": X[some] for split, some in arrays.items()}
    labels = {f"{split}_labels": Y[some, None] for split, some in arrays.items()}
    np.savez(tmp_path / "x.npz", **images, **labels)
    data = read(tmp_path / "x.npz")
    assert (len(data.train_images), len(data.test_images)) == (20, 10)
    assert [data.names[k] for k in data.train_labels] == Y[:20].astype(str).tolist()


@pytest.mark.parametrize(
    ("arrays", "unused"),
    [
        ({"images": X, "labels": Y, "extra": X[:3]}, "extra (3, 28, 28)"),
        ({"images": X, "labels": Y, "x": X[:3]}, "x (3, 28, 28)"),
        ({"arr_0": X, "arr_1": Y, "arr_2": X[:4], "arr_3": Y[:4]}, "arr_2 (4, 28, 28), arr_3 (4,)"),
        ({"x_train": X[:20], "x_test": X[20:], "images": X}, "images (30, 28, 28)"),
        ({"x_train": X, "labels": Y}, "labels (30,)"),
        ({"images": X, "target_names": np.arange(10)}, "target_names (10,)"),
    ],
)
def test_arrays_that_are_not_read_are_named(tmp_path, arrays, unused, caplog):
    np.savez(tmp_path / "x.npz", **arrays)
    read(tmp_path / "x.npz")
    assert f"arrays that are not read: {unused}" in caplog.text


@pytest.mark.parametrize("values", [["cat", "dog"], [1, 2]])
def test_labels_of_objects_are_refused_with_a_remedy(tmp_path, values):
    np.savez(tmp_path / "x.npz", images=X, labels=np.array(values * 15, object))
    line = refused(tmp_path / "x.npz")
    assert "x.npz: labels: " in line
    assert "labels.astype(str)" in line
    assert "not a readable NPZ file" not in line


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(
    dtype=st.sampled_from(["i1", "u2", "i8", "f2", "f8", "U3", "S3", "onehot", "bool onehot"]),
    shape=st.sampled_from([(30,), (30, 1), (1, 30)]),
)
def test_labels_of_any_type_give_the_same_data(tmp_path_factory, dtype, shape):
    folder = tmp_path_factory.mktemp("labels")
    if "onehot" in dtype:
        labels = np.eye(10, dtype=bool if "bool" in dtype else int)[Y]
    else:
        labels = Y.astype(dtype).reshape(shape)
    np.savez(folder / "x.npz", images=X, labels=labels)
    data = read(folder / "x.npz")
    assert data.names == tuple("0123456789")
    order = [int(path.split("[")[1][:-1]) for path in data.train_paths]
    np.testing.assert_array_equal(data.train_labels, Y[order])


def test_values_beyond_the_first_columns_count(tmp_path):
    """The range and the check for numbers cover whole images with one channel."""
    numbers = X[..., None] / 16
    np.savez(tmp_path / "x.npz", images=numbers)
    assert read(tmp_path / "x.npz").train_images.max() == 255
    numbers[7, 20, 20] = np.nan
    np.savez(tmp_path / "x.npz", images=numbers)
    assert "values must be finite numbers" in refused(tmp_path / "x.npz")
