"""A stage detects damaged inputs, even if their sizes and times are unchanged."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import flip_a_bit, run

from iic.core.errors import InputError
from iic.pipeline.inputs import check_inputs, md5_of, outputs_in


@pytest.fixture
def clone(pipeline_run, tmp_path, monkeypatch):
    folder = tmp_path / "clone"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def test_checksums_equal_those_of_dvc(clone):
    outputs = dict(outputs_in(Path("dvc.lock")))
    assert {"model", "reports/figures", "data/images.npz"} <= outputs.keys()
    assert {name: md5_of(Path(name)) for name in outputs} == outputs


@pytest.mark.parametrize("stage", ["train", "../dvc.yaml:train"])
@pytest.mark.parametrize("name", ["data/draws.npz", "data/images.npz"])
def test_flipped_bit_is_detected_before_any_work(clone, monkeypatch, name, stage):
    """Also if DVC was started in a sub-folder."""
    monkeypatch.setenv("DVC_STAGE", stage)
    check_inputs()
    flip_a_bit(clone / name)
    with pytest.raises(InputError, match=f"{name}: damaged, its MD5 is not that in dvc.lock; run"):
        check_inputs()


def test_flipped_bit_in_a_folder_is_detected(clone, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "evaluate")
    flip_a_bit(clone / "model/model.weights.h5")
    with pytest.raises(InputError, match="model: damaged"):
        check_inputs()


@pytest.mark.parametrize("stage", [None, "download", "augment"])
def test_only_inputs_of_a_stage_that_dvc_started_are_checked(clone, monkeypatch, stage):
    if stage:
        monkeypatch.setenv("DVC_STAGE", stage)
    flip_a_bit(clone / "data/draws.npz")
    (clone / "data/images.npz").unlink()  # the stage itself reports a missing file
    check_inputs()


def test_stage_with_a_damaged_input_fails_with_one_line_and_writes_nothing(clone):
    run("dvc", "status", cwd=clone)  # DVC records the times of these files
    flip_a_bit(clone / "data/images.npz")
    assert json.loads(run("dvc", "status", "--json", cwd=clone).stdout) == {}
    before = (clone / "data/draws.npz").read_bytes()
    done = run("dvc", "repro", "--force", "--single-item", "augment", cwd=clone, check=False)
    assert done.returncode != 0
    assert "error: data/images.npz: damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert (clone / "data/draws.npz").read_bytes() == before
