"""Tables of names and labels: every way to name the same files gives the same labels."""

import csv
import gzip
import io
import itertools
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iic.core.errors import InputError
from iic.data.tables import is_pixel_table, labels_by_name, names_table, pixel_table

NAMES = [f"{k:02d}.png" for k in range(8)]
LABELS = ["cat", "dog", "cat", "dog", "bird", "cat", "bird", "dog"]


def write(path: Path, rows, delimiter=",", end="\n", encoding="utf-8") -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    content = text.getvalue().encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def table(tmp_path: Path, *rows: str) -> Path:
    return write(tmp_path / "labels.csv", [row.split(",") for row in rows])


def refused(path: Path, images: list[Path]) -> str:
    with pytest.raises(InputError) as error:
        labels_by_name(path, images)
    line = str(error.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


@settings(derandomize=True, database=None, deadline=None, max_examples=150)
@given(
    prefix=st.sampled_from(["", "pictures/", "./pictures/", "/kaggle/input/pictures/", "C:\\a\\"]),
    suffix=st.sampled_from([".png", "", ".jpg"]),
    header=st.sampled_from([("path", "label"), ("id", "breed"), ("File", "Species"), None]),
    swapped=st.booleans(),
    delimiter=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
    order=st.permutations(range(8)),
    name=st.sampled_from(["labels.csv", "list.tsv.gz"]),
)
def test_every_way_to_name_files_gives_the_same_labels(
    tmp_path_factory, prefix, suffix, header, swapped, delimiter, end, encoding, order, name
):
    folder = tmp_path_factory.getbasetemp()
    rows = [(prefix + NAMES[k].replace(".png", suffix), LABELS[k]) for k in order]
    rows = [header, *rows] if header else rows
    if swapped:
        rows = [row[::-1] for row in rows]
    path = write(folder / name, rows, delimiter, end, encoding)
    images = [folder / "pictures" / image for image in NAMES]
    assert labels_by_name(path, images) == LABELS


def test_table_elsewhere_and_folders_with_the_same_names(tmp_path):
    images = [tmp_path / split / name for split in ("train", "test") for name in NAMES[:2]]
    path = table(
        tmp_path, "path,label", "train/00.png,a", "train/01.png,b", "test/00.png,c", "test/01.png,d"
    )
    assert labels_by_name(path, images) == ["a", "b", "c", "d"]
    (tmp_path / "notes").mkdir()
    moved = path.rename(tmp_path / "notes" / "labels.csv")
    assert labels_by_name(moved, images) == ["a", "b", "c", "d"]
    assert labels_by_name(table(tmp_path, "train/00.png,a", "train/01.png,b"), images[:2]) == [
        "a",
        "b",
    ]


def test_name_that_fits_two_images_is_refused(tmp_path):
    images = [tmp_path / split / "00.png" for split in ("train", "test")]
    line = refused(table(tmp_path, "path,label", "00.png,a"), images)
    assert f"'00.png' fits {images[0]} and {images[1]}" in line
    assert "such as train/00.png" in line
    line = refused(table(tmp_path, "00,a"), [tmp_path / "00.png", tmp_path / "00.jpg"])
    assert "'00' fits" in line


def test_other_folder_in_the_table_is_said(tmp_path, caplog):
    path = table(tmp_path, "path,label", "train/00.png,a", "train/01.png,b")
    assert labels_by_name(path, [tmp_path / "test" / name for name in NAMES[:2]]) == ["a", "b"]
    assert "file name alone" in caplog.text
    assert "'train'" in caplog.text


def test_umlauts_of_either_form_fit(tmp_path):
    path = table(tmp_path, "path,label", "a\u0308.png,x", "b.png,y")
    assert labels_by_name(path, [tmp_path / "ä.png", tmp_path / "b.png"]) == ["x", "y"]


@pytest.mark.parametrize("word", ["label", "Class", "CATEGORY", "target", "y", "digit", "species"])
def test_column_of_labels_is_found_by_its_name(tmp_path, word):
    rows = [
        ("path", "who", "day", word),
        *((n, "me", str(k), str(k % 2)) for k, n in enumerate(NAMES)),
    ]
    path = write(tmp_path / "labels.csv", rows)
    assert labels_by_name(path, [tmp_path / name for name in NAMES]) == ["0", "1"] * 4


def test_column_of_labels_is_found_by_its_content(tmp_path):
    rows = [
        (name, str(k), label, "me")
        for k, (name, label) in enumerate(zip(NAMES, LABELS, strict=True))
    ]
    for header in ([], [("picture", "row", "animal", "who")]):
        path = write(tmp_path / "labels.csv", [*header, *rows])
        assert labels_by_name(path, [tmp_path / name for name in NAMES]) == LABELS


def test_columns_that_agree_are_one_label(tmp_path):
    numbers = {"cat": "0", "dog": "1", "bird": "2"}
    images = [tmp_path / name for name in NAMES]
    rows = [(name, numbers[label], label) for name, label in zip(NAMES, LABELS, strict=True)]
    path = write(tmp_path / "labels.csv", [("path", "label", "species"), *rows])
    assert labels_by_name(path, images) == [numbers[label] for label in LABELS]
    rows[0] = (NAMES[0], "2", "cat")
    path = write(tmp_path / "labels.csv", [("path", "label", "species"), *rows])
    assert "it is unclear which of the 3 columns has the labels" in refused(path, images)


def test_whole_numbers_lose_their_decimals(tmp_path):
    path = table(tmp_path, "path,label", "00.png,7.0", "01.png,10.0")
    assert labels_by_name(path, [tmp_path / name for name in NAMES[:2]]) == ["7", "10"]
    path = table(tmp_path, "path,label", "00.png,07", "01.png,10")
    assert labels_by_name(path, [tmp_path / name for name in NAMES[:2]]) == ["07", "10"]


def test_first_row_without_image_is_no_header(tmp_path):
    path = table(tmp_path, "99.png,cat", "00.png,cat", "01.png,dog")
    assert "1 of 3 lines (33%) have no image: '99.png'" in refused(
        path, [tmp_path / n for n in NAMES[:2]]
    )
    path = table(tmp_path, "99,cat", "00,cat", "01,dog")
    assert "'99'" in refused(path, [tmp_path / n for n in NAMES[:2]])


def test_missing_and_double_entries_are_counted_and_named(tmp_path):
    images = [tmp_path / name for name in NAMES]
    rows = [f"{name},{label}" for name, label in zip(NAMES, LABELS, strict=True)]
    line = refused(table(tmp_path, "path,label", *rows[:3]), images)
    assert "5 of 8 images (62%) are not in the table" in line
    assert "03.png" in line
    assert "add lines for them" in line
    line = refused(table(tmp_path, "path,label", *rows, "90.png,x", "91.png,x"), images)
    assert "2 of 10 lines (20%) have no image: '90.png', '91.png'" in line
    line = refused(table(tmp_path, "path,label", *rows, "00.png,bird"), images)
    assert "'00.png' has the labels 'cat' and 'bird'" in line
    assert labels_by_name(table(tmp_path, "path,label", *rows, rows[0]), images) == LABELS
    line = refused(table(tmp_path, "path,label", *rows[:7], "07.png,"), images)
    assert "1 of 8 images (12%) have a blank label" in line


def test_tables_that_do_not_fit_are_refused(tmp_path):
    images = [tmp_path / name for name in NAMES]
    assert "no column has the names of the images, such as '00.png'" in refused(
        table(tmp_path, "a,b", "c,d"), images
    )
    assert "unclear which of the 1 columns" in refused(table(tmp_path, "path", *NAMES), images)
    assert "line 2 has 3 columns, the first line has 2" in refused(
        table(tmp_path, "path,label", "00.png,a,b"), images
    )
    (tmp_path / "labels.csv").write_text("path,label\n\n00.png,a\n\n01.png\n")
    assert "line 5 has 1 columns" in refused(tmp_path / "labels.csv", images)
    (tmp_path / "labels.csv").write_text("")
    assert "an empty table" in refused(tmp_path / "labels.csv", images)
    (tmp_path / "labels.csv").write_bytes("Füchse,x\n".encode("latin-1"))
    assert "not UTF-8" in refused(tmp_path / "labels.csv", images)
    (tmp_path / "labels.csv").write_text("a," + "x" * 200_000)
    assert "not a readable table (field larger" in refused(tmp_path / "labels.csv", images)


def test_large_tables_are_refused_before_they_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("iic.data.name_tables._MOST_TEXT", 1000)
    path = write(tmp_path / "labels.csv.gz", itertools.repeat(("00.png", "x"), 1000))
    assert "more than 1,000 characters" in refused(path, [tmp_path / "00.png"])
    monkeypatch.setattr("iic.data.name_tables._MOST_LINES", 50)
    assert "more than 50 lines" in refused(path, [tmp_path / "00.png"])


def test_long_names_are_refused(tmp_path):
    path = table(tmp_path, f"{'a' * 300}.png,1", "b.png,2")
    with pytest.raises(InputError, match="the name 'aaa.* is not printable, or longer than 255"):
        names_table(path)


@pytest.mark.parametrize("header", [[], ["path,label"], ["file;name,digit"]])
def test_names_of_a_table(tmp_path, header):
    path = table(tmp_path, *header, "a/0.png,7", "b/1.JPEG,3")
    assert names_table(path) == ["a/0.png", "b/1.JPEG"]


def test_other_tables_have_no_names(tmp_path):
    assert names_table(table(tmp_path, "id,label", "0,7")) is None
    assert names_table(table(tmp_path, ",".join(["0"] * 65))) is None
    with pytest.raises(InputError, match="not printable"):
        names_table(table(tmp_path, "a\x1b.png,7"))


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text("0,;\t\n\r\"'.ae-png/\\", max_size=300).map(str.encode),
        st.lists(st.lists(st.sampled_from(["0", "1", "a", "", "0.png"]), max_size=70)).map(
            lambda rows: "\n".join(map(",".join, rows)).encode()
        ),
    ),
    st.booleans(),
)
def test_no_content_raises_another_error(tmp_path_factory, content, is_packed):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(gzip.compress(content)[: len(content) + 8] if is_packed else content)
    assert is_pixel_table(path) in (False, True)
    for read in (
        lambda: names_table(path),
        lambda: labels_by_name(path, [path.with_name("0.png"), path.with_name("a.png")]),
        lambda: pixel_table(path, 100, 10**6),
    ):
        with suppress(InputError):
            read()
