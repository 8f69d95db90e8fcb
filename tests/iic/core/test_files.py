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


def test_arrays_survive_and_the_same_arrays_give_the_same_bytes(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.uint8).reshape(2, 3), "b": np.zeros(2, np.float32)}
    for name, compress in (("x", False), ("y", False), ("z", True)):
        write_arrays(tmp_path / name, arrays, compress=compress)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    for name in "xz":
        back = read_arrays(tmp_path / name, ["a", "b"])
        for key, array in arrays.items():
            np.testing.assert_array_equal(back[key], array)
            assert back[key].dtype == array.dtype


def test_an_archive_holds_nothing_of_the_moment_the_machine_or_the_python(tmp_path):
    write_arrays(tmp_path / "x", {"a": np.arange(3)})
    with zipfile.ZipFile(tmp_path / "x") as archive:
        (member,) = archive.infolist()
    assert member.date_time == (1980, 1, 1, 0, 0, 0)
    # Sizes known beforehand need neither a header of 64 bits nor a descriptor behind the data.
    assert member.extra == b""
    assert member.flag_bits == 0
    content = (tmp_path / "x").read_bytes()
    assert content[28:30] == b"\0\0"  # length of the extra field in the member's own header


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
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


def test_what_a_killed_process_was_writing_is_removed_by_the_next(tmp_path):
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


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
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


def test_writing_leaves_another_link_to_the_old_file_alone(tmp_path):
    path, cache = tmp_path / "file", tmp_path / "cache"
    write_text(path, "old")
    cache.hardlink_to(path)
    cache.chmod(0o444)
    write_text(path, "new")
    assert cache.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "empty", "lacks", "pickled"])
def test_an_unusable_file_is_named(tmp_path, damage):
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


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "data.npz"
    write_arrays(path, {"a": np.zeros(1000)})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="CRC"):
        read_arrays(path, ["a"])


def test_tables(tmp_path):
    path = tmp_path / "table.csv"
    write_table(path, {"epoch": [1, 2], "loss": [-1.23456789, 1e-9]})
    assert path.read_bytes() == b"epoch,loss\n1,-1.23457\n2,1e-09\n"
    np.testing.assert_allclose(read_table(path)["loss"], [-1.23457, 1e-9])


@pytest.mark.parametrize(
    ("content", "message"), [(None, "not found; get one"), (b"\xff", "not UTF-8 text; mend it")]
)
def test_a_missing_or_damaged_text_is_named_with_its_remedy(tmp_path, content, message):
    path = tmp_path / "notes.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"notes\.txt: {message}"):
        read_text(path, "get one", "mend it")


def test_columns_of_unequal_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match="shorter"):
        write_table(tmp_path / "table.csv", {"a": [1, 2], "b": [1]})
    assert not (tmp_path / "table.csv").exists()


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1\n", "a\nx\n"])
def test_a_damaged_table_is_named(tmp_path, text):
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
def test_what_a_library_says_is_one_short_line_that_steers_no_terminal(error, line):
    assert reason_of(error) == line


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "\xff", "[" * 100_000])
def test_a_missing_or_damaged_json_object_is_named_with_its_remedy(tmp_path, text):
    path = tmp_path / "metrics.json"
    if text is not None:
        path.write_text(text, "latin-1")
    with pytest.raises(InputError, match=r"metrics\.json: missing or damaged; run `dvc repro`"):
        read_json(path, "dvc repro")


def test_a_flipped_bit_anywhere_is_noticed_or_changes_nothing(tmp_path, random):
    path = tmp_path / "x.npz"
    arrays = {
        "numbers": random.normal(size=(20, 9)).astype(np.float32),
        "text": np.array('[{"a": 1}]'),
        "none": np.empty(0, np.uint16),
    }
    write_arrays(path, arrays)
    whole = path.read_bytes()
    noticed = 0
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << (place % 8)
        path.write_bytes(content)
        try:
            found = read_arrays(path, list(arrays))
        except InputError:
            noticed += 1
        else:
            for name, array in arrays.items():
                np.testing.assert_array_equal(found[name], array)
                assert found[name].dtype == array.dtype
    assert noticed > 0.8 * len(whole)


def test_a_pipe_is_no_file_to_wait_for(tmp_path):
    os.mkfifo(tmp_path / "x")
    for read in (lambda path: read_arrays(path, ["a"]), lambda path: read_json(path, "dvc repro")):
        with pytest.raises(InputError, match="x: not a plain file"):
            read(tmp_path / "x")
