"""What a killed DVC or a failing disk has left is mended; nothing else is touched."""

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import flip_a_bit, run

from iic.core.errors import InputError
from iic.experiments import repair as mend
from iic.experiments.cli import run_main
from iic.pipeline.inputs import md5_of, outputs_in

USES, LOCK = ".dvc/tmp/rwlock", "dvc.lock"


@pytest.fixture
def clone(pipeline_run, tmp_path, monkeypatch):
    folder = tmp_path / "clone"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(mend, "_SECONDS", 0.01)
    return folder


@pytest.mark.parametrize("name", [USES, LOCK])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.97])
def test_a_half_written_file_is_mended(clone, name, share, capsys):
    (clone / USES).write_text(json.dumps({"write": {}, "read": {"/x": [{"pid": 1, "cmd": "a"}]}}))
    before = (clone / LOCK).read_bytes()
    content = (clone / name).read_bytes()
    (clone / name).write_bytes(content[: int(share * len(content))])
    mend.main([])
    assert capsys.readouterr().err == f"{name}: half-written by a DVC that was killed; mended\n"
    assert (clone / LOCK).read_bytes() == before
    assert (clone / USES).exists() == (name == LOCK)
    assert json.loads(run("dvc", "status", "--json", cwd=clone).stdout) == {}


def test_a_database_that_dvc_cannot_open_is_one_line(clone, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(clone / "site"))
    assert run("dvc", "status", cwd=clone).returncode == 0
    (database,) = (clone / "site").rglob("links/cache.db")
    database.write_bytes(b"damaged " * 1000)
    monkeypatch.setattr("sys.argv", ["mend"])
    with pytest.raises(SystemExit, match="^error: DVC's databases: .*; make room"):
        run_main(mend.main)


def test_whole_files_stay(clone, capsys):
    before = (clone / LOCK).read_bytes()
    (clone / USES).write_text('{"write": {}, "read": {}}')
    mend.main([])
    assert (clone / LOCK).read_bytes() == before
    assert (clone / USES).exists()
    assert not capsys.readouterr().err


def test_a_number_that_another_process_has_now_holds_nothing_up(clone):
    uses = {"write": {}, "read": {"/x": [{"pid": os.getpid(), "cmd": "dvc repro"}]}}
    (clone / USES).write_text(json.dumps(uses))
    mend.main([])
    assert (clone / USES).exists()
    # Before this process began.
    os.utime(clone / USES, (1_000_000_000, 1_000_000_000))
    mend.main([])
    assert not (clone / USES).exists()


def test_a_lock_without_the_hash_of_an_output_comes_back(clone):
    before = (clone / LOCK).read_text()
    start = before.index("    outs:")
    (clone / LOCK).write_text(before[: before.index("\n", before.index("path:", start)) + 1])
    assert [*outputs_in(clone / LOCK)] == []
    mend.main([])
    assert (clone / LOCK).read_text() == before


def test_a_file_that_is_being_written_is_waited_for(clone, monkeypatch):
    (clone / USES).write_text("")
    monkeypatch.setattr(mend.time, "sleep", lambda seconds: (clone / USES).write_text("{}"))
    mend.main([])
    assert (clone / USES).read_text() == "{}"


def test_a_merge_is_left_to_the_user(clone):
    merged = "<<<<<<< HEAD\n" + (clone / LOCK).read_text()
    (clone / LOCK).write_text(merged)
    mend.main([])
    assert (clone / LOCK).read_text() == merged


def test_without_git_the_lock_is_removed_and_comes_back_from_the_cache(clone):
    shutil.rmtree(clone / ".git")
    run("dvc", "config", "core.no_scm", "true", cwd=clone)
    before = (clone / LOCK).read_bytes()
    (clone / LOCK).write_bytes(before[:900])
    mend.main([])
    assert not (clone / LOCK).exists()
    output = run("dvc", "repro", "evaluate", cwd=clone).stdout
    assert output.count("is cached - skipping run") == 5
    # The report alone is in no cache.
    assert before.startswith((clone / LOCK).read_bytes())


def stored(clone: Path, name: str) -> Path:
    """The object in the clone's cache of an output, or of a file in an output that is a folder."""
    md5 = md5_of(clone / name)
    return clone / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


@pytest.mark.parametrize("name", ["data/draws.npz", "model", "model/model.weights.h5"])
def test_a_damaged_object_is_removed(clone, capsys, name):
    file = stored(clone, name)
    others = {path for path in file.parents[1].rglob("*") if path.is_file()} - {file}
    flip_a_bit(file)
    mend.main([])
    assert capsys.readouterr().err == f"{file}: damaged; removed, `dvc repro` makes it again\n"
    assert {path for path in file.parents[1].rglob("*") if path.is_file()} == others


def test_what_was_removed_is_made_again(clone):
    before, file = (clone / LOCK).read_bytes(), stored(clone, "data/neighbors.npz")
    flip_a_bit(file)  # and the output, which is a link to it
    mend.main([])
    run("dvc", "repro", cwd=clone)
    assert (clone / LOCK).read_bytes() == before
    outputs = dict(outputs_in(clone / LOCK))
    assert {name: md5_of(clone / name) for name in outputs} == outputs
    assert md5_of(file) == file.parent.name + file.name


def test_a_damaged_output_comes_back_from_the_cache(clone, capsys):
    path = clone / "data/neighbors.npz"
    content, object_ = path.read_bytes(), stored(clone, "data/neighbors.npz")
    path.unlink()
    shutil.copy2(object_, path)  # no link, so that the object stays whole
    run("dvc", "status", cwd=clone)  # and DVC has looked at it
    flip_a_bit(path)
    mend.main([])
    assert not capsys.readouterr().err
    assert object_.exists()
    run("dvc", "repro", cwd=clone)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"data/draws.npz", b"data/drawr.npz"),
        (b"size: ", b"size: 1"),
        (b"md5: ", b"md5: 0"),
        (b"outs:", b"outr:"),
        (b"cmd: ", b"cmd: \xff"),
    ],
)
def test_a_damaged_note_on_a_run_is_removed(clone, capsys, old, new):
    notes = sorted((clone / ".dvc/cache/runs").glob("*/*/*"))
    (note,) = (note for note in notes if "stages.augment" in note.read_text())
    mend.main([])
    assert not capsys.readouterr().err
    head, sign, tail = note.read_bytes().rpartition(old)
    assert sign
    note.write_bytes(head + new + tail)
    mend.main([])
    assert capsys.readouterr().err == f"{note}: damaged; removed, `dvc repro` makes it again\n"
    assert [path for path in notes if not path.exists()] == [note]


def test_no_empty_folder_of_notes_is_left_for_dvc_to_stumble_over(clone):
    runs = clone / ".dvc/cache/runs"
    empty, begun = runs / "00/0000", runs / "11/1111"
    for folder in (empty, begun):
        folder.mkdir(parents=True)
    (begun / ".begun.tmp").touch()
    (note,) = (note for note in runs.glob("*/*/[!.]*") if "stages.augment" in note.read_text())
    note.write_text("cmd: python -m stages.augment\n")
    mend.main([])
    assert not empty.exists()
    assert (begun / ".begun.tmp").exists()
    # All of it has to be had from the cache, but for what the note told.
    before = (clone / LOCK).read_bytes()
    (clone / LOCK).unlink()
    run("dvc", "repro", "evaluate", cwd=clone)
    assert before.startswith((clone / LOCK).read_bytes())


def test_other_objects_are_looked_at_on_demand(clone, capsys):
    other = clone / ".dvc/cache/files/md5/00" / ("1" * 30)
    unfinished = other.with_name("begun.tmp")
    other.parent.mkdir(exist_ok=True)
    for file in (other, unfinished):
        file.write_text("of another experiment")
    mend.main([])
    assert other.exists()
    mend.main(["--all"])
    assert capsys.readouterr().err.startswith(str(other))
    assert not other.exists()
    assert unfinished.exists()


def test_links_to_removed_objects_go(clone):
    path = clone / "data/draws.npz"
    object_ = stored(clone, "data/draws.npz")
    path.unlink()
    path.symlink_to(object_)
    flip_a_bit(object_)
    mend.main([])
    assert not path.is_symlink()


def test_outside_of_a_repository_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="run from the repository's top folder"):
        mend.main([])
