"""Parquet files of images: with pyarrow, with a stand-in for it, and without it."""

import json
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from iic.core.errors import InputError
from iic.data.tables import parquet_images

FILES = [b"first", b"second", b"third"]
DICTIONARY = "dictionary<values=binary, indices=int32, ordered=0>"
STRUCT = "struct<bytes: binary, path: string>"
HUGGING_FACE = [{"bytes": content, "path": f"{k}.png"} for k, content in enumerate(FILES)]


def metadata(names) -> dict[bytes, bytes]:
    info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    return {b"huggingface": json.dumps(info).encode()}


class Schema(list):
    """Columns with a name and a type, and metadata."""

    metadata: dict[bytes, bytes] | None = None


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Make `pyarrow` give the columns that a test names, two rows at a time."""

    def install(columns: dict[str, tuple[str, list]], extra=None) -> Path:
        schema = Schema(
            SimpleNamespace(name=name, type=kind) for name, (kind, _) in columns.items()
        )
        schema.metadata = extra
        n = len(next(iter(columns.values()))[1])

        class File:
            metadata = SimpleNamespace(num_rows=n)
            schema_arrow = schema

            def __init__(self, path):
                pass

            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

            def iter_batches(self, batch_size, columns):
                for start in range(0, n, 2):
                    yield SimpleNamespace(
                        to_pydict=lambda k=start: {c: given[c][1][k : k + 2] for c in columns}
                    )

        given = columns
        module = ModuleType("pyarrow.parquet")
        module.ParquetFile = File
        monkeypatch.setitem(sys.modules, "pyarrow", ModuleType("pyarrow"))
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", module)
        path = tmp_path / "train.parquet"
        path.write_bytes(b"PAR1")
        return path

    return install


def read(path: Path, max_images: int = 10, max_bytes: int = 100):
    return parquet_images(path, max_images, max_bytes)


def refused(path: Path, **limits: int) -> str:
    with pytest.raises(InputError) as error:
        read(path, **limits)
    line = str(error.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("kind", "values"),
    [(STRUCT, HUGGING_FACE), ("binary", FILES), ("large_binary", FILES), (DICTIONARY, FILES)],
)
@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([7, 3, 7], ["7", "3", "7"]),
        ([7.0, 3.0, 7.0], ["7", "3", "7"]),
        ([1, 2**64 - 1, -1], ["1", "18446744073709551615", "-1"]),
        (["cat", "dog", "cat"], ["cat", "dog", "cat"]),
        ([b"cat", b"dog", b"cat"], ["cat", "dog", "cat"]),
        ([True, False, True], ["True", "False", "True"]),
    ],
)
def test_images_and_labels(stand_in, kind, values, labels, names):
    files, found = read(stand_in({"image": (kind, values), "label": ("any", labels)}))
    assert files == FILES
    assert found.tolist() == names


def test_names_of_classes_come_from_the_metadata(stand_in):
    columns = {"image": (STRUCT, HUGGING_FACE), "label": ("int64", [1, 0, -1])}
    assert read(stand_in(columns, metadata(["cat", "dog"])))[1].tolist() == ["dog", "cat", "-1"]
    for damaged in (
        metadata([1, 2]),
        metadata(["x" * 256]),
        metadata(None),
        {b"huggingface": b"{"},
        {},
    ):
        assert read(stand_in(columns, damaged))[1].tolist() == ["1", "0", "-1"]


def test_no_labels_and_columns_that_are_not_read(stand_in, caplog):
    caplog.set_level(logging.WARNING)
    path = stand_in({"img": (STRUCT, HUGGING_FACE), "fine_label": ("int64", [1, 0, 1])})
    assert read(path) == (FILES, None)
    assert "columns that are not read: 'fine_label'" in caplog.text


def test_empty_labels_are_none(stand_in):
    path = stand_in({"image": ("binary", FILES), "label": ("null", [None] * 3)})
    assert read(path) == (FILES, None)


def test_column_called_image_is_chosen(stand_in):
    columns = {"mask": ("binary", [b""] * 3), "image": ("binary", FILES)}
    assert read(stand_in(columns))[0] == FILES
    line = refused(stand_in({"a": ("binary", FILES), "b": ("binary", FILES)}))
    assert "2 columns have the bytes of images ('a', 'b')" in line
    assert "0 columns" in refused(stand_in({"text": ("string", ["a"])}))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"image": ("binary", [])}, "contains no images"),
        ({"image": (STRUCT, [{"bytes": None, "path": "0.png"}])}, "row 0 has no bytes of an image"),
        ({"image": ("binary", FILES), "label": ("int64", [1, None, 2])}, "None is no label"),
        ({"image": ("binary", FILES), "label": ("list", [[1], [2], [3]])}, "[1] is no label"),
        ({"image": ("binary", FILES), "label": ("double", [1.0, 0.5, 0.0])}, "label 0.5"),
        ({"image": ("binary", FILES), "label": ("string", ["x" * 256] * 3)}, "256 characters"),
    ],
)
def test_unusable_content_is_refused(stand_in, columns, words):
    assert words in refused(stand_in(columns))


def test_limits_are_named(stand_in):
    path = stand_in({"image": ("binary", FILES)})
    assert "3 images, 2 are allowed (data.max_images)" in refused(path, max_images=2)
    line = refused(path, max_bytes=10)
    assert "more than 10 bytes; give fewer, or save the images as files" in line
    assert "max_images" not in line


def test_without_pyarrow_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = tmp_path / "train.parquet"
    path.write_bytes(b"PAR1")
    line = refused(path)
    assert "a Parquet file" in line
    assert "pip install pyarrow" in line
    assert "numpy.savez('train.npz'" in line
    assert "No such file" in refused(tmp_path / "none.parquet")


def test_real_files(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "train.parquet"
    table = arrow.table({"image": HUGGING_FACE, "label": [1, 0, 1]})
    parquet.write_table(table.replace_schema_metadata(metadata(["cat", "dog"])), path)
    files, labels = read(path)
    assert files == FILES
    assert labels.tolist() == ["dog", "cat", "dog"]
    parquet.write_table(arrow.table({"data": FILES, "label": ["a", "b", "a"]}), path)
    assert read(path)[1].tolist() == ["a", "b", "a"]
    parquet.write_table(arrow.table({"image": HUGGING_FACE, "x": [1, 2, 3]}), path)
    assert read(path) == (FILES, None)
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a readable Parquet file" in refused(path)
