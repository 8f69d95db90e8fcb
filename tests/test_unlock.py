"""What a killed DVC has left half-written is mended; nothing else is touched."""

import json
import shutil

import pytest
from conftest import run

from experiments import unlock

USES, LOCK = ".dvc/tmp/rwlock", "dvc.lock"


@pytest.fixture
def clone(pipeline_run, tmp_path, monkeypatch):
    folder = tmp_path / "clone"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(unlock, "_SECONDS", 0.01)
    return folder


@pytest.mark.parametrize("name", [USES, LOCK])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.97])
def test_a_half_written_file_is_mended(clone, name, share, capsys):
    (clone / USES).write_text(json.dumps({"write": {}, "read": {"/x": [{"pid": 1, "cmd": "a"}]}}))
    before = (clone / LOCK).read_bytes()
    content = (clone / name).read_bytes()
    (clone / name).write_bytes(content[: int(share * len(content))])
    unlock.main([])
    assert capsys.readouterr().err == f"{name}: half-written by a DVC that was killed; mended\n"
    assert (clone / LOCK).read_bytes() == before
    assert (clone / USES).exists() == (name == LOCK)
    assert json.loads(run("dvc", "status", "--json", cwd=clone).stdout) == {}


def test_whole_files_stay(clone, capsys):
    before = (clone / LOCK).read_bytes()
    (clone / USES).write_text('{"write": {}, "read": {}}')
    unlock.main([])
    assert (clone / LOCK).read_bytes() == before
    assert (clone / USES).exists()
    assert not capsys.readouterr().err


def test_a_file_that_is_being_written_is_waited_for(clone, monkeypatch):
    (clone / USES).write_text("")
    monkeypatch.setattr(unlock.time, "sleep", lambda seconds: (clone / USES).write_text("{}"))
    unlock.main([])
    assert (clone / USES).read_text() == "{}"


def test_a_merge_is_left_to_the_user(clone):
    merged = "<<<<<<< HEAD\n" + (clone / LOCK).read_text()
    (clone / LOCK).write_text(merged)
    unlock.main([])
    assert (clone / LOCK).read_text() == merged


def test_without_git_the_lock_is_removed_and_comes_back_from_the_cache(clone):
    shutil.rmtree(clone / ".git")
    run("dvc", "config", "core.no_scm", "true", cwd=clone)
    before = (clone / LOCK).read_bytes()
    (clone / LOCK).write_bytes(before[:900])
    unlock.main([])
    assert not (clone / LOCK).exists()
    output = run("dvc", "repro", cwd=clone).stdout
    assert output.count("is cached - skipping run") == 5
    assert (clone / LOCK).read_bytes() == before
