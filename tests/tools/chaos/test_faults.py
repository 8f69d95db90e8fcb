"""How the campaigns of faults and of damage judge, and a few of their trials."""

import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, exit_code_of, flip_a_bit, no_file_larger_than

from iic.pipeline.inputs import md5_of
from tools.chaos import clones, damage, faults
from tools.chaos.clones import fault_of
from tools.chaos.faults import Fault
from tools.command import Ending

pytestmark = pytest.mark.long

NAMED = "data/draws.npz"


@pytest.fixture
def clone(pipeline_run, tmp_path):
    folder = tmp_path / "clone"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    return folder


@pytest.mark.parametrize(
    ("status", "said", "fault"),
    [
        (0, "Running stage 'augment':\n", ""),
        (255, f"error: {NAMED}: No space left on device\nERROR: failed to reproduce\n", ""),
        (255, f"ERROR: failed to reproduce 'augment': '{NAMED}' is read-only\n", ""),
        (255, "error: a file: No space left\nERROR: failed\n", f"does not name {NAMED}: a file"),
        (255, f"{NAMED} is mentioned\nERROR: failed\n", f"does not name {NAMED}: failed"),
        (1, f"Traceback (most recent call last):\nerror: {NAMED}\n", "traceback: "),
        (255, f"error: {NAMED}\nERROR: failed to run: x, exited with -11\n", "crashed: "),
        (-9, f"error: {NAMED}\n", "crashed: "),
    ],
)
def test_refusal_is_one_line_that_names_the_cause(status, said, fault):
    found = fault_of(Ending(status, said), NAMED)
    assert found.startswith(fault)
    assert bool(found) == bool(fault)


def test_written_files_are_those_of_the_pipeline():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert list(faults.WRITTEN) == list(stages)
    for name, stage in stages.items():
        entries = [*stage["outs"], *stage.get("metrics", []), *stage.get("plots", [])]
        outs = {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}
        found = {file if file in outs else file.rpartition("/")[0] for file in faults.WRITTEN[name]}
        assert found == outs


def test_every_output_meets_a_full_disk_and_every_folder_is_read_only(pipeline_run):
    full = [*faults.full_disks(pipeline_run), *faults.full_places()]
    whats = Counter(fault.what for fault in full)
    for files in faults.WRITTEN.values():
        assert all(whats[f"disk full in {file}"] == 1 for file in files)
    whats = Counter(fault.what for fault in faults.read_only_folders())
    for place in ("data", "model", "reports", "reports/figures", ".", ".dvc/cache", ".resume"):
        assert whats[f"{place} read-only"]


def test_damaged_outputs_are_found_by_their_content(clone):
    before = clones.written(clone)
    assert clones.wrong(clone) == []
    flip_a_bit(clone / NAMED)
    flip_a_bit(clone / "model/model.weights.h5")
    (clone / "reports/metrics.json").unlink()
    (clone / "data/.draws.npz.x").touch()
    assert clones.wrong(clone) == [NAMED, "model", "reports/metrics.json"]
    changed = clones.written(clone).items() - before.items()
    assert {path for path, _ in changed} == {NAMED, "model/model.weights.h5", "data/.draws.npz.x"}


def test_damaged_objects_of_the_cache_are_found(clone):
    path = clones.objects_of(clone, md5_of(clone / "model"))[-1]
    flip_a_bit(path)
    assert clones.wrong(clone) == [path.relative_to(clone).as_posix()]


def test_forgotten_stage_is_in_no_cache(clone):
    def stored() -> set[str]:
        return {path.name for path in (clone / ".dvc/cache/files").rglob("*") if path.is_file()}

    before, notes = stored(), len([*(clone / ".dvc/cache/runs").glob("*/*/*")])
    clones.forget(clone, "train")
    gone = {md5_of(clone / name)[2:] for name in ("model", "data/snapshots.npz")}
    assert len(before - stored()) == 5  # these two, the model's two files and a table
    assert gone <= before - stored()
    assert len([*(clone / ".dvc/cache/runs").glob("*/*/*")]) == notes - 1


@pytest.mark.parametrize("seed", range(20))
def test_damage_is_a_flipped_bit_or_a_lost_end(tmp_path, seed):
    path, link = tmp_path / "file", tmp_path / "link"
    content = bytes(range(200))
    path.write_bytes(content)
    path.chmod(0o444)
    link.hardlink_to(path)
    before = path.stat()
    says = damage.damage_file(path, random.Random(seed))
    found, after = path.read_bytes(), path.stat()
    if says.startswith("cut"):
        assert content.startswith(found)
        assert len(found) < len(content)
    else:
        changed = [a ^ b for a, b in zip(content, found, strict=True) if a != b]
        assert [number.bit_count() for number in changed] == [1]
    assert (link.read_bytes() == content) == ("alone" in says)
    assert (after.st_mtime_ns == before.st_mtime_ns) == ("old time" in says)
    assert after.st_mode == before.st_mode


@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("download", "data/images.npz"),
        ("augment", "data/draws.npz"),
        ("neighbors", "data/neighbors.npz"),
        ("evaluate", "reports/metrics.json"),
        ("report", "reports/figures/operations.png"),
    ],
)
def test_stage_names_the_file_that_does_not_fit(clone, monkeypatch, stage, file):
    before = clones.written(clone)
    with no_file_larger_than(100):
        code = exit_code_of(f"stages/{stage}.py", cwd=clone, monkeypatch=monkeypatch)
    assert code == f"error: {file}: File too large"
    assert clones.written(clone) == before


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="needs Linux's device that is always full"
)
def test_training_names_the_metrics_that_cannot_be_written(clone, monkeypatch, capsys):
    # DVCLive writes that after each epoch, and its error has no name.
    signal = clone / ".dvc/tmp/exps/run/DVCLIVE_STEP_COMPLETED"
    signal.parent.mkdir(parents=True, exist_ok=True)
    signal.symlink_to("/dev/full")
    code = exit_code_of("stages/train.py", cwd=clone, monkeypatch=monkeypatch)
    assert code == "error: dvclive: No space left on device"
    # Otherwise the message would stand behind the progress bar.
    assert capsys.readouterr().out.endswith("\n")


def test_run_on_a_full_disk_is_refused_and_the_next_one_completes(pipeline_run):
    # DVC's own files are smaller.
    file, limit = "data/images.npz", 1_000_000
    fault = Fault(
        "limit", "download", lambda _: no_file_larger_than(limit), file, at_stage=False, disks=()
    )
    assert faults.trial(fault, pipeline_run) == ("", "refused")


def test_full_disk_in_an_own_mount_namespace(pipeline_run):
    """In a process of its own, with which its mounts disappear."""
    code = """
import sys
from pathlib import Path
from tools.chaos import faults
if why_not := faults.own_mounts():
    sys.exit(f"skipped: {why_not}")
finished = Path(sys.argv[1])
(fault,) = [f for f in faults.full_disks(finished) if f.what == "disk full in data/neighbors.npz"]
print(faults.trial(fault, finished))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(pipeline_run)], capture_output=True, text=True, cwd=ROOT
    )
    if done.stderr.startswith("skipped: "):
        pytest.skip(done.stderr)
    assert done.stdout == "('', 'refused')\n", done.stderr


@pytest.mark.parametrize(("kind", "seed"), [("output", 1), ("object", 2)])
def test_damage_is_repaired(pipeline_run, kind, seed):
    make, _ = damage.KINDS[kind]
    what, _ = damage.trial(pipeline_run, make, random.Random(seed))
    assert what == ""
