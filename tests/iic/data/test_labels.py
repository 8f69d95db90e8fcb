"""Labels of any plain type, as text; unknown and unusable labels."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iic.core.errors import InputError
from iic.data.labels import check_labels, label_texts, object_labels_error, unknown_labels

PLACE = "digits.npz: labels"
DTYPES = (*"bBhHiIlLqQ", "f2", "f4", "f8", "g", ">i4", ">f8", "S3", "U3", "onehot")
SHAPES = ((-1,), (-1, 1), (1, -1))
WHERE = Path("scans")


def refused(array: np.ndarray, n: int) -> str:
    with pytest.raises(InputError) as error:
        label_texts(array, n, PLACE)
    line = str(error.value)
    assert line.startswith(f"{PLACE}: ")
    assert "\n" not in line
    return line


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.sampled_from(DTYPES),
    st.sampled_from(SHAPES),
    st.sampled_from("?Bif"),
)
def test_every_type_and_shape_gives_the_same_names(digits, dtype, shape, onehot):
    if dtype == "onehot":
        array = np.eye(10)[digits].astype(onehot)
    else:
        array = np.array(digits).astype(dtype).reshape(shape)
    assert label_texts(array, len(digits), PLACE) == [str(digit) for digit in digits]


@pytest.mark.parametrize(
    ("array", "names"),
    [
        (np.array([False, True]), ["False", "True"]),
        (np.array([-0.0, -1.0, 1e15]), ["0", "-1", "1000000000000000"]),
        (np.array([2**64 - 1, 2**53 + 1], np.uint64), ["18446744073709551615", "9007199254740993"]),
        (np.array(["sieben", "é", " "]), ["sieben", "é", " "]),
        (np.array(["é".encode()]), ["é"]),
        (np.eye(2), ["0", "1"]),
        (np.array([[0, 1]]), ["1"]),
        (np.array([[7]]), ["7"]),
        (np.array([[True, False], [False, True], [True, False]]), ["0", "1", "0"]),
    ],
)
def test_names_of_special_values(array, names):
    n = len(array)
    assert label_texts(array, n, PLACE) == names


def test_square_of_numbers_that_is_not_one_hot_is_no_row_of_labels():
    assert "row 0 is not one-hot" in refused(np.array([[3, 4], [5, 6]]), 2)


@pytest.mark.parametrize(
    ("array", "n", "words"),
    [
        (np.array([0, 1.5]), 2, ["label 1.5 of image 1 is not a whole number"]),
        (np.array([0, np.nan]), 2, ["label nan of image 1"]),
        (np.array([np.inf]), 1, ["label inf of image 0"]),
        (np.array([[0.2, 0.8], [1, 0]]), 2, ["row 0", "labels.argmax(axis=1)"]),
        (np.array([[1, 1, 0], [1, 0, 0]]), 2, ["row 0 is not one-hot", "[1 1 0]"]),
        (np.array([[1, 0, 0], [0, 0, 0]]), 2, ["row 1 is not one-hot"]),
        (np.array([[1, 0], [2, -1]]), 2, ["row 1 is not one-hot"]),
        (np.array([[np.nan, 1.0]]), 1, ["row 0 is not one-hot"]),
        (np.arange(9), 10, ["10 images, but labels of shape (9,)", "expected (10,)"]),
        (np.zeros((3, 10)), 10, ["10 images, but labels of shape (3, 10)"]),
        (np.zeros((10, 1, 1)), 10, ["10 images, but labels of shape (10, 1, 1)"]),
        (np.array(5), 10, ["10 images, but labels of shape ()"]),
        (np.array([["a", "b"], ["c", "d"]]), 2, ["labels of shape (2, 2)"]),
        (np.zeros((2, 0)), 2, ["labels of shape (2, 0)"]),
        (np.array([b"\xff"]), 1, ["label b'\\xff' of image 0 is not UTF-8"]),
        (np.array([1j]), 1, ["complex128", "integers or strings"]),
        (np.array(["2020-01-01"], "datetime64[D]"), 1, ["datetime64[D]", "integers or strings"]),
        (np.zeros(1, [("a", "i4")]), 1, ["[('a', '<i4')]", "integers or strings"]),
        (np.array(["a", 1], object), 2, ["Python objects", "never unpickled", "astype(str)"]),
        (np.frombuffer(b"\0\0\x20\0", "<U1"), 1, ["not valid text"]),
    ],
)
def test_other_arrays_are_refused_with_value_and_remedy(array, n, words):
    line = refused(array, n)
    assert all(word in line for word in words), line


def test_error_for_objects_can_be_had_without_reading_them():
    assert str(object_labels_error(PLACE)) == refused(np.array([None]), 1)


def test_unknown_labels_are_counted():
    assert unknown_labels(["0", "1"], ["1", "unknown", "unknown", "-1"]) == Counter(
        {"unknown": 2, "-1": 1}
    )
    assert not unknown_labels(["0"], ["0"])
    assert not unknown_labels(None, ["0"])
    assert not unknown_labels(["0"], None)


def test_checked_labels_are_sorted_and_counted():
    names, counts = check_labels(["7", "3", "7"], WHERE)
    assert names.tolist() == ["3", "7"]
    assert counts.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["ok", " "], "label ' ' is blank or not printable; rename it"),
        (["a\nb"], r"label 'a\nb' is blank or not printable"),
        (["x" * 256], "has 256 characters; at most 255 are allowed"),
        ([str(n) for n in range(2**16 + 1)], "65,537 different labels; at most 65,536"),
    ],
)
def test_unusable_labels_are_refused(labels, words):
    with pytest.raises(InputError) as error:
        check_labels(labels, WHERE)
    assert str(error.value).startswith("scans: ")
    assert words in str(error.value)
