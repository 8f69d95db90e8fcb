"""`iic repair` repairs the damage of a killed DVC or a failing disk, and changes nothing else."""

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, flip_a_bit, override, run

from iic.cli.main import main
from iic.core.errors import InputError
from iic.experiments import repair as repair_module
from iic.experiments.repair import repair_repository
from iic.experiments.scratch import copy_working_tree
from iic.pipeline.inputs import md5_of, outputs_in
from iic.pipeline.paths import CLUSTERING, PIPELINES, SEGMENTATION

RWLOCK, LOCK = ".dvc/tmp/rwlock", "dvc.lock"


@pytest.mark.parametrize("name", [RWLOCK, LOCK])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.97])
def test_a_half_written_lock_file_is_repaired(clone, name, share, capsys):
    (clone / RWLOCK).write_text(json.dumps({"write": {}, "read": {"/x": [{"pid": 1, "cmd": "a"}]}}))
    before = (clone / LOCK).read_bytes()
    content = (clone / name).read_bytes()
    # Cut off between two lines, a lock file may be valid.
    (clone / name).write_bytes(content[: int(share * len(content))].rstrip(b"\n"))
    repair_repository(everything=False)
    assert capsys.readouterr().err == f"{name}: half-written, since DVC was killed; repaired\n"
    assert (clone / LOCK).read_bytes() == before
    assert (clone / RWLOCK).exists() == (name == LOCK)
    assert json.loads(run("dvc", "status", "--json", cwd=clone).stdout) == {}


def test_a_damaged_database_of_dvc_is_one_line(clone, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(clone / "site"))
    assert run("dvc", "status", cwd=clone).returncode == 0
    (database,) = (clone / "site").rglob("links/cache.db")
    database.write_bytes(b"damaged " * 1000)
    monkeypatch.setattr("sys.argv", ["iic", "repair"])
    with pytest.raises(SystemExit, match="^error: DVC's databases: .*; make room"):
        main()


def test_complete_files_stay(clone, capsys):
    before = (clone / LOCK).read_bytes()
    (clone / RWLOCK).write_text('{"write": {}, "read": {}}')
    repair_repository(everything=False)
    assert (clone / LOCK).read_bytes() == before
    assert (clone / RWLOCK).exists()
    assert not capsys.readouterr().err


def test_locks_of_ended_processes_are_removed_though_their_numbers_are_in_use(clone):
    uses = {"write": {}, "read": {"/x": [{"pid": os.getpid(), "cmd": "dvc repro"}]}}
    (clone / RWLOCK).write_text(json.dumps(uses))
    repair_repository(everything=False)
    assert (clone / RWLOCK).exists()
    # From before this process started.
    os.utime(clone / RWLOCK, (1_000_000_000, 1_000_000_000))
    repair_repository(everything=False)
    assert not (clone / RWLOCK).exists()


def test_a_dvc_lock_without_the_hash_of_an_output_is_restored(clone):
    before = (clone / LOCK).read_text()
    start = before.index("    outs:")
    (clone / LOCK).write_text(before[: before.index("\n", before.index("path:", start)) + 1])
    assert [*outputs_in(clone / LOCK)] == []
    repair_repository(everything=False)
    assert (clone / LOCK).read_text() == before


def test_a_lock_file_that_is_being_written_is_left_alone(clone, monkeypatch):
    (clone / RWLOCK).write_text("")
    # Only this module's function: threads of libraries sleep as well.
    monkeypatch.setattr(repair_module, "sleep", lambda seconds: (clone / RWLOCK).write_text("{}"))
    repair_repository(everything=False)
    assert (clone / RWLOCK).read_text() == "{}"


def test_a_merge_conflict_is_left_to_the_user(clone):
    merged = "<<<<<<< HEAD\n" + (clone / LOCK).read_text()
    (clone / LOCK).write_text(merged)
    repair_repository(everything=False)
    assert (clone / LOCK).read_text() == merged


def test_without_git_dvc_lock_is_removed_and_made_from_the_cache(clone):
    shutil.rmtree(clone / ".git")
    run("dvc", "config", "core.no_scm", "true", cwd=clone)
    before = (clone / LOCK).read_bytes()
    (clone / LOCK).write_bytes(before[:900])
    repair_repository(everything=False)
    assert not (clone / LOCK).exists()
    output = run("dvc", "repro", "evaluate", cwd=clone).stdout
    assert output.count("is cached - skipping run") == 6
    # Only the report is not cached.
    assert before.startswith((clone / LOCK).read_bytes())


def stored(clone: Path, name: str) -> Path:
    """Return the object in the cache of an output, or of a file in an output folder."""
    md5 = md5_of(clone / name)
    return clone / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


@pytest.mark.parametrize("name", ["data/draws.npz", "model", "model/model.weights.h5"])
def test_a_damaged_object_is_removed(clone, capsys, name):
    file = stored(clone, name)
    others = {path for path in file.parents[1].rglob("*") if path.is_file()} - {file}
    flip_a_bit(file)
    repair_repository(everything=False)
    assert capsys.readouterr().err == f"{file}: damaged; removed, `dvc repro` makes it again\n"
    assert {path for path in file.parents[1].rglob("*") if path.is_file()} == others


def test_repro_makes_removed_objects_again(clone):
    before, file = (clone / LOCK).read_bytes(), stored(clone, "data/neighbors.npz")
    flip_a_bit(file)  # the output is a link to it
    repair_repository(everything=False)
    run("dvc", "repro", cwd=clone)
    assert (clone / LOCK).read_bytes() == before
    outputs = dict(outputs_in(clone / LOCK))
    assert {name: md5_of(clone / name) for name in outputs} == outputs
    assert md5_of(file) == file.parent.name + file.name


def test_a_damaged_output_is_restored_from_the_cache(clone, capsys):
    path = clone / "data/neighbors.npz"
    content, object_ = path.read_bytes(), stored(clone, "data/neighbors.npz")
    path.unlink()
    shutil.copy2(object_, path)  # a copy, so that the object stays intact
    run("dvc", "status", cwd=clone)  # so that DVC has checked it
    flip_a_bit(path)
    repair_repository(everything=False)
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
def test_a_damaged_run_cache_entry_is_removed(clone, capsys, old, new):
    entries = sorted((clone / ".dvc/cache/runs").glob("*/*/*"))
    (entry,) = (entry for entry in entries if "stages.augment" in entry.read_text())
    repair_repository(everything=False)
    assert not capsys.readouterr().err
    head, sign, tail = entry.read_bytes().rpartition(old)
    assert sign
    entry.write_bytes(head + new + tail)
    repair_repository(everything=False)
    assert capsys.readouterr().err == f"{entry}: damaged; removed, `dvc repro` makes it again\n"
    assert [path for path in entries if not path.exists()] == [entry]


def test_empty_folders_of_the_run_cache_are_removed(clone):
    runs = clone / ".dvc/cache/runs"
    empty, begun = runs / "00/0000", runs / "11/1111"
    for folder in (empty, begun):
        folder.mkdir(parents=True)
    (begun / ".begun.tmp").touch()
    (entry,) = (entry for entry in runs.glob("*/*/[!.]*") if "stages.augment" in entry.read_text())
    entry.write_text("cmd: python -m stages.augment\n")
    repair_repository(everything=False)
    assert not empty.exists()
    assert (begun / ".begun.tmp").exists()
    # All stages but the one without its entry come from the cache.
    before = (clone / LOCK).read_bytes()
    (clone / LOCK).unlink()
    run("dvc", "repro", "evaluate", cwd=clone)
    assert before.startswith((clone / LOCK).read_bytes())


def test_other_objects_are_checked_with_all(clone, capsys):
    other = clone / ".dvc/cache/files/md5/00" / ("1" * 30)
    unfinished = other.with_name("begun.tmp")
    other.parent.mkdir(exist_ok=True)
    for file in (other, unfinished):
        file.write_text("of another experiment")
    repair_repository(everything=False)
    assert other.exists()
    repair_repository(everything=True)
    assert capsys.readouterr().err.startswith(str(other))
    assert not other.exists()
    assert unfinished.exists()


def test_links_to_removed_objects_are_removed(clone):
    path = clone / "data/draws.npz"
    object_ = stored(clone, "data/draws.npz")
    path.unlink()
    path.symlink_to(object_)
    flip_a_bit(object_)
    repair_repository(everything=False)
    assert not path.is_symlink()


def error_of(monkeypatch, *words):
    """Run `iic repair` with some options; return its error, "" without one."""
    monkeypatch.setattr("sys.argv", ["iic", "repair", *words])
    try:
        main()
    except SystemExit as ended:
        return str(ended.code)
    return ""


@pytest.mark.parametrize("broken", PIPELINES, ids=["clustering", "segmentation"])
def test_the_paths_of_data_are_those_of_the_pipeline_that_is_to_run(clone, monkeypatch, broken):
    copy_working_tree(ROOT, clone, "segmentation", f":!{SEGMENTATION.lock}")
    values = {"data.name": "custom", "data.path": "/nowhere"}
    broken.params.write_text(override(broken.params.read_text("utf-8"), values), "utf-8")
    said = {
        CLUSTERING: error_of(monkeypatch),
        SEGMENTATION: error_of(monkeypatch, "--pipeline", "segmentation"),
    }
    assert "data.path: /nowhere does not exist; correct it in " in said.pop(broken)
    assert [*said.values()] == [""]


def test_make_repairs_the_pipeline_that_it_runs():
    lines = (ROOT / "Makefile").read_text("utf-8").splitlines()
    found = [line.partition("; ")[2] for line in lines if "iic repair" in line]
    assert found == [
        "iic repair && dvc repro",
        "iic repair --pipeline segmentation && dvc repro segmentation/dvc.yaml",
    ]


def test_outside_of_a_repository_the_error_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="run from the repository's top folder"):
        repair_repository(everything=False)
