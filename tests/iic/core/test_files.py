import os
import subprocess
import zipfile

import numpy as np
import pytest
from conftest import no_file_larger_than

from iic.core.errors import InputError, reason_of
from iic.core.files import (
    read_arrays,
    read_json,
    read_table,
    read_text,
    replacing,
    write_arrays,
    write_table,
    write_text,
)


def test_arrays_are_restored_and_equal_arrays_give_equal_bytes(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.uint8).reshape(2, 3), "b": np.zeros(2, np.float32)}
    for name, compress in (("x", False), ("y", False), ("z", True)):
        write_arrays(tmp_path / name, arrays, compress=compress)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    for name in "xz":
        back = read_arrays(tmp_path / name, ["a", "b"])
        for key, array in arrays.items():
            np.testing.assert_array_equal(back[key], array)
            assert back[key].dtype == array.dtype


def test_archive_does_not_depend_on_date_machine_or_python(tmp_path):
    write_arrays(tmp_path / "x", {"a": np.arange(3)})
    with zipfile.ZipFile(tmp_path / "x") as archive:
        (member,) = archive.infolist()
    assert member.date_time == (1980, 1, 1, 0, 0, 0)
    # Since the sizes are known, there is no 64-bit header and no descriptor after the data.
    assert member.extra == b""
    assert member.flag_bits == 0
    content = (tmp_path / "x").read_bytes()
    assert content[28:30] == b"\0\0"  # length of the extra field in the local header


def test_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "out" / "file.txt"
    write_text(path, "old")

    def fail_halfway() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_next_write_removes_the_partial_file_of_a_killed_process(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead = tmp_path / f".[x].{ended.pid}.abc.partial"
    alive = tmp_path / f".[x].{os.getpid()}.abc.partial"
    other = tmp_path / f".y.{ended.pid}.abc.partial"
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / "file").write_text("half")
    write_text(tmp_path / "[x]", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"[x]", alive.name, other.name}


def test_write_to_a_full_disk_is_reported_and_leaves_no_file(tmp_path):
    arrays = {"numbers": np.zeros(10_000)}
    writers = [
        lambda path: write_text(path, "a" * 10_000),
        lambda path: write_table(path, {"a": range(10_000)}),
        lambda path: write_arrays(path, arrays),
        lambda path: write_arrays(path, arrays | {"noise": np.random.default_rng(0).random(9_000)}),
    ]
    for number, write in enumerate(writers):
        path = tmp_path / f"{number}" / "file"
        with no_file_larger_than(1_000), pytest.raises(OSError, match="File too large") as caught:
            write(path)
        assert caught.value.filename == str(path)
        assert list(path.parent.iterdir()) == []


def test_write_does_not_change_another_hard_link_to_the_old_file(tmp_path):
    path, cache = tmp_path / "file", tmp_path / "cache"
    write_text(path, "old")
    cache.hardlink_to(path)
    cache.chmod(0o444)
    write_text(path, "new")
    assert cache.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "empty", "lacks", "pickled"])
def test_unusable_array_file_is_reported(tmp_path, damage):
    path = tmp_path / "data.npz"
    write_arrays(path, {"a": np.arange(1000), "b": np.arange(3)})
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:900])
    elif damage == "text":
        path.write_text("hello")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "lacks":
        write_arrays(path, {"b": np.arange(3)})
    else:
        np.savez(path, a=np.array([{"an": "object"}], object))
    with pytest.raises(InputError, match=r"data\.npz: .*dvc repro"):
        read_arrays(path, ["a"])


def test_flipped_bit_in_an_array_is_detected(tmp_path):
    path = tmp_path / "data.npz"
    write_arrays(path, {"a": np.zeros(1000)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="CRC"):
        read_arrays(path, ["a"])


def test_table_is_written_and_read_back(tmp_path):
    path = tmp_path / "table.csv"
    write_table(path, {"epoch": [1, 2], "loss": [-1.23456789, 1e-9]})
    assert path.read_bytes() == b"epoch,loss\n1,-1.23457\n2,1e-09\n"
    np.testing.assert_allclose(read_table(path)["loss"], [-1.23457, 1e-9])


@pytest.mark.parametrize(
    ("content", "message"), [(None, "not found; get one"), (b"\xff", "not UTF-8 text; mend it")]
)
def test_missing_or_damaged_text_is_reported_with_the_remedy(tmp_path, content, message):
    path = tmp_path / "notes.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"notes\.txt: {message}"):
        read_text(path, "get one", "mend it")


def test_table_with_columns_of_unequal_length_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="shorter"):
        write_table(tmp_path / "table.csv", {"a": [1, 2], "b": [1]})
    assert not (tmp_path / "table.csv").exists()


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1\n", "a\nx\n"])
def test_damaged_table_is_reported(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"table\.csv: not a table of numbers"):
        read_table(path)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a\n b"), "a b"),
        (KeyError(), "KeyError"),
        (ValueError("\x1b[2J\u202eé"), r"\x1b[2J\u202eé"),
        (ValueError("a" * 1000), "a" * 300 + "…"),
    ],
)
def test_reason_is_one_short_line_without_terminal_controls(error, line):
    assert reason_of(error) == line


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "\xff", "[" * 100_000])
def test_missing_or_damaged_json_is_reported_with_the_remedy(tmp_path, text):
    path = tmp_path / "metrics.json"
    if text is not None:
        path.write_text(text, "latin-1")
    with pytest.raises(InputError, match=r"metrics\.json: missing or damaged; run `dvc repro`"):
        read_json(path, "dvc repro")


def test_flipped_bit_anywhere_is_detected_or_harmless(tmp_path, random):
    path = tmp_path / "x.npz"
    arrays = {
        "numbers": random.normal(size=(4, 5)).astype(np.float32),
        "text": np.array('[{"a": 1}]'),
        "none": np.empty(0, np.uint16),
    }
    write_arrays(path, arrays)
    whole = path.read_bytes()
    detected = 0
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << (place % 8)
        path.write_bytes(content)
        try:
            found = read_arrays(path, list(arrays))
        except InputError:
            detected += 1
        else:
            for name, array in arrays.items():
                np.testing.assert_array_equal(found[name], array)
                assert found[name].dtype == array.dtype
    assert detected > 0.8 * len(whole)


def test_named_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "x")
    for read in (lambda path: read_arrays(path, ["a"]), lambda path: read_json(path, "dvc repro")):
        with pytest.raises(InputError, match="x: not a plain file"):
            read(tmp_path / "x")
