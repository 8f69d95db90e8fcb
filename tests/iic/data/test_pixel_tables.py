"""Tables of pixels: every way to write one gives the same images; faults are named."""

import csv
import gzip
import io
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iic.core.errors import InputError
from iic.data.tables import is_pixel_table, pixel_table

MANY, LARGE = 10_000, 10**8


@pytest.fixture(scope="module")
def pixels(digits) -> np.ndarray:
    """Thirty images with the digits from 0 to 9 in turn."""
    chosen = [np.flatnonzero(digits.train_labels == k)[:3] for k in range(10)]
    return digits.train_images[np.stack(chosen, axis=1).ravel()]


LABELS = [str(k % 10) for k in range(30)]
HEADER = ["label", *(f"pixel{k}" for k in range(784))]


def rows_of(pixels: np.ndarray) -> list[list[str]]:
    return [[str(value) for value in image.ravel()] for image in pixels]


def labelled(pixels: np.ndarray, *, last: bool = False) -> list[list[str]]:
    pairs = zip(LABELS, rows_of(pixels), strict=True)
    return [[*row, label] if last else [label, *row] for label, row in pairs]


def write(path: Path, rows, delimiter=",", end="\n", bom=False, quoting=csv.QUOTE_MINIMAL) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    content = text.getvalue().encode("utf-8-sig" if bom else "utf-8")
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def read(path: Path, max_images: int = MANY, max_bytes: int = LARGE):
    return pixel_table(path, max_images, max_bytes)


def refused(path: Path, **limits: int) -> str:
    with pytest.raises(InputError) as error:
        read(path, **limits)
    line = str(error.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(
    delimiter=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    bom=st.booleans(),
    header=st.sampled_from(["label", "Class", " TARGET", "y", None]),
    last=st.booleans(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    suffix=st.sampled_from(["csv", "tsv", "csv.gz", "data"]),
    blank=st.integers(0, 3),
)
def test_every_way_to_write_a_table_gives_the_same_images(
    tmp_path_factory, pixels, delimiter, end, bom, header, last, quoting, suffix, blank
):
    rows = labelled(pixels, last=last)
    if header:
        names = [*HEADER[1:], header] if last else [header, *HEADER[1:]]
        rows.insert(0, names)
    path = tmp_path_factory.getbasetemp() / f"table.{suffix}"
    write(path, [*rows, *[[]] * blank], delimiter, end, bom, quoting)
    assert is_pixel_table(path)
    images, labels = read(path)
    np.testing.assert_array_equal(images, pixels)
    assert images.dtype == np.uint8
    assert labels.tolist() == LABELS


def test_label_column_may_stand_anywhere(tmp_path, pixels):
    rows = [[*row[:5], label, *row[5:]] for label, row in zip(LABELS, rows_of(pixels), strict=True)]
    path = write(tmp_path / "a.csv", [[*HEADER[1:6], "digit", *HEADER[6:]], *rows])
    images, labels = read(path)
    np.testing.assert_array_equal(images, pixels)
    assert labels.tolist() == LABELS


def test_column_whose_name_alone_has_no_number_is_the_label(tmp_path, pixels):
    path = write(tmp_path / "a.csv", [["sort", *HEADER[1:]], *labelled(pixels)])
    assert read(path)[1].tolist() == LABELS


def test_table_without_labels(tmp_path, pixels):
    for header in ([], [HEADER[1:]]):
        images, labels = read(write(tmp_path / "a.csv", [*header, *rows_of(pixels)]))
        np.testing.assert_array_equal(images, pixels)
        assert labels is None


@pytest.mark.parametrize(
    "names",
    [
        [f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)],
        [str(k) for k in range(784)],
        [str(k) for k in range(1, 785)],
        [f"Pixel {k}" for k in range(784)],
        ["p"] * 784,
    ],
)
def test_names_of_pixels(tmp_path, pixels, names, caplog):
    images, _ = read(write(tmp_path / "a.csv", [["label", *names], *labelled(pixels)]))
    np.testing.assert_array_equal(images, pixels)
    assert not caplog.records


def test_columns_sorted_as_text_are_put_in_order(tmp_path, pixels, caplog):
    order = sorted(range(784), key=str)
    rows = [[row[k] for k in order] for row in rows_of(pixels)]
    images, _ = read(write(tmp_path / "a.csv", [[f"pixel{k}" for k in order], *rows]))
    np.testing.assert_array_equal(images, pixels)
    assert "not in the order of the numbers" in caplog.text


@pytest.mark.parametrize("name", ["", "id", "Index", "Unnamed: 0"])
def test_column_that_numbers_images_is_left_out_and_said(tmp_path, pixels, caplog, name):
    rows = [[str(k), *row] for k, row in enumerate(labelled(pixels))]
    images, labels = read(write(tmp_path / "a.csv", [[name, *HEADER], *rows]))
    np.testing.assert_array_equal(images, pixels)
    assert labels.tolist() == LABELS
    assert f"not read: the column {name!r}" in caplog.text


def test_column_of_numbers_without_header_is_not_taken_for_labels(tmp_path, pixels):
    rows = [[str(k), *row] for k, row in enumerate(rows_of(pixels))]
    assert "label,pixel0,pixel1" in refused(write(tmp_path / "a.csv", rows))


def test_labels_of_text_without_header(tmp_path, pixels):
    rows = [[f"digit {row[0]}", *row[1:]] for row in labelled(pixels)]
    images, labels = read(write(tmp_path / "a.csv", rows))
    np.testing.assert_array_equal(images, pixels)
    assert labels.tolist() == [f"digit {label}" for label in LABELS]


def test_images_of_8_pixels_a_side_with_the_label_last(tmp_path, caplog):
    from sklearn.datasets import load_digits

    caplog.set_level(logging.INFO)
    data = load_digits()
    rows = np.column_stack([data.data, data.target]).astype(int)
    images, labels = read(write(tmp_path / "a.csv", rows.tolist()))
    np.testing.assert_array_equal(images, data.images)
    assert labels.tolist() == [str(label) for label in data.target]
    assert "labels are in the last column" in caplog.text
    images, labels = read(write(tmp_path / "b.csv", np.roll(rows, 1, axis=1).tolist()))
    np.testing.assert_array_equal(images, data.images)
    assert labels.tolist() == [str(label) for label in data.target]


def test_label_that_could_be_first_or_last_needs_a_header(tmp_path, random):
    noise = random.integers(0, 10, (40, 65)).tolist()
    assert "add a first line" in refused(write(tmp_path / "a.csv", noise))
    assert "add a first line" in refused(write(tmp_path / "b.csv", [[0] * 65] * 5))


def test_table_that_numpy_wrote(tmp_path, pixels):
    """Its numbers have the form 7.000000000000000000e+00."""
    path = tmp_path / "a.csv"
    numbers = np.column_stack([np.array(LABELS, int) + 5, pixels.reshape(30, -1)])
    np.savetxt(path, numbers, delimiter=",")
    images, labels = read(path)
    np.testing.assert_array_equal(images, pixels)
    assert images.dtype == np.uint8
    assert labels.tolist() == [str(int(label) + 5) for label in LABELS]


def test_numbers_that_are_no_bytes_are_kept(tmp_path, pixels):
    for values in (pixels / np.float32(255), pixels * 16.0 - 8):
        images, labels = read(write(tmp_path / "a.csv", [HEADER, *labelled(values)]))
        assert images.dtype == np.float32
        np.testing.assert_array_equal(images, values.astype(np.float32))
        assert labels.tolist() == LABELS


def test_decimal_commas_between_semicolons(tmp_path, pixels):
    values = pixels / 255
    rows = [[str(v).replace(".", ",") for v in image.ravel()] for image in values]
    for header in ([], [HEADER[1:]]):
        text = "".join(";".join(row) + "\n" for row in [*header, *rows])
        (tmp_path / "a.csv").write_text(text)
        np.testing.assert_allclose(read(tmp_path / "a.csv")[0], values, rtol=1e-6)


def test_chunks_of_different_types_give_one_array(tmp_path, pixels, monkeypatch):
    monkeypatch.setattr("iic.data.pixel_tables._CHUNK", 4000)
    values = pixels.astype(np.float32)
    values[20:] /= 255
    images, labels = read(write(tmp_path / "a.csv", [HEADER, *labelled(values)]))
    np.testing.assert_array_equal(images, values)
    assert labels.tolist() == LABELS


def changed(rows: list[list[str]], line: int, column: int, value: str) -> list[list[str]]:
    rows[line - 1][column] = value
    return rows


def test_faults_are_named_with_their_line(tmp_path, pixels):
    path = tmp_path / "a.csv"

    def table() -> list[list[str]]:
        return [HEADER, *labelled(pixels)]

    write(path, changed(table(), 4, 7, "dark"))
    assert "line 4, column 8: 'dark' is not a number" in refused(path)
    write(path, changed(table(), 4, 7, ""))
    assert "line 4, column 8: '' is not a number" in refused(path)
    write(path, changed(table(), 4, 7, "1_0"))
    assert "line 4, column 8: '1_0' is not a number" in refused(path)
    write(path, changed(table(), 9, 3, "nan"))
    assert "line 9: the value nan" in refused(path)
    write(path, changed(table(), 9, 3, "1e300"))
    assert "line 9: the value 1e+300" in refused(path)
    write(path, changed(table(), 5, 0, " "))
    assert "line 5: label '' is blank" in refused(path)
    write(path, changed(table(), 5, 0, "x" * 300))
    assert "line 5: label" in refused(path)
    write(path, [*table()[:6], table()[6][:-1], *table()[7:]])
    assert "line 7 has 784 columns, the first line has 785" in refused(path)
    write(path, [[*row, "0"] for row in table()])
    assert "785 pixels in a line, which is not a square number" in refused(path)
    write(path, [[row[0], *row] for row in table()])
    assert "'label', 'label' could all be the labels" in refused(path)
    write(path, [HEADER])
    assert "only a header" in refused(path)
    path.write_text("\n\n")
    assert "empty" in refused(path)


def test_quotation_mark_that_joins_lines_is_refused(tmp_path, pixels):
    text = write(tmp_path / "a.csv", rows_of(pixels)).read_text().splitlines()
    text[2] = text[2][: text[2].rindex(",")] + ',"0'
    (tmp_path / "a.csv").write_text("\n".join(text))
    assert "not all numbers" in refused(tmp_path / "a.csv")


def test_limits_are_named(tmp_path, pixels):
    path = write(tmp_path / "a.csv", [HEADER, *labelled(pixels)])
    assert "more than 29 images; allow more (data.max_images)" in refused(path, max_images=29)
    line = refused(path, max_bytes=20_000)
    assert "more than 20,000 bytes; give fewer lines, or save the images as files" in line
    assert "max_images" not in line
    assert len(read(path, max_images=30, max_bytes=30 * 784)[0]) == 30


def test_long_lines_and_blank_lines_are_not_read_into_memory(tmp_path):
    (tmp_path / "long.gz").write_bytes(gzip.compress(b"0," * 10_000_000))
    assert "line 1 has more than 4,000,000 characters" in refused(tmp_path / "long.gz")
    (tmp_path / "blank.gz").write_bytes(gzip.compress(b"\n" * 100_000))
    assert "more than 10,000 blank lines" in refused(tmp_path / "blank.gz")


def test_unreadable_files_are_refused(tmp_path, pixels):
    path = tmp_path / "a.csv"
    path.write_bytes(",".join(HEADER).encode("utf-16"))
    assert "not UTF-8" in refused(path)
    assert not is_pixel_table(path)
    whole = write(tmp_path / "a.csv.gz", labelled(pixels)).read_bytes()
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    assert "not a readable table" in refused(tmp_path / "cut.gz")
    path.write_bytes(b"0,\0\n")
    assert "line 1 has a zero byte" in refused(path)
    assert "No such file" in refused(tmp_path / "none.csv")
    assert "not a plain file" in refused(tmp_path)


def test_other_tables_are_no_tables_of_pixels(tmp_path):
    for text in ("path,label\n0.png,7\n", "", "word\n", ",".join("abc" * 40) + "\n"):
        (tmp_path / "a.csv").write_text(text)
        assert not is_pixel_table(tmp_path / "a.csv")
