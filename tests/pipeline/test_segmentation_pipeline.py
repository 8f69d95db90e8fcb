"""segmentation/dvc.yaml and the code agree on what each stage imports, reads and writes."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, environment
from test_pipeline import leaf_names, transitive_imports

from iic.pipeline.inputs import md5_of
from iic.pipeline.paths import SEGMENTATION
from iic.segmentation.params import SegmentationParams

STAGES = yaml.safe_load((ROOT / SEGMENTATION.stages).read_text("utf-8"))["stages"]


def named(stage, kind):
    return [next(iter(e)) if isinstance(e, dict) else e for e in STAGES[stage].get(kind, [])]


def outputs(stage):
    return [path for kind in ("outs", "metrics", "plots") for path in named(stage, kind)]


def code_of(stage):
    script = Path(f"stages/segmentation/{stage}.py")
    return {script, *transitive_imports(script)}


def declared_code(stage):
    return [Path(dep) for dep in named(stage, "deps") if dep.startswith(("iic/", "stages/"))]


@pytest.mark.parametrize("stage", STAGES)
def test_code_of_a_stage_lies_under_its_dependencies(stage):
    for path in code_of(stage):
        assert any(path.is_relative_to(dep) for dep in declared_code(stage)), path
    for dep in declared_code(stage):
        assert any(path.is_relative_to(dep) for path in code_of(stage)), dep


@pytest.mark.parametrize("stage", STAGES)
def test_stages_run_in_the_top_folder_and_have_a_description(stage):
    assert STAGES[stage]["wdir"] == ".."
    assert STAGES[stage]["desc"]
    assert STAGES[stage]["cmd"] == f"python -m stages.segmentation.{stage}"


def test_only_evaluate_depends_on_masks():
    users = [stage for stage in STAGES if "data/segmentation/masks.npz" in named(stage, "deps")]
    assert users == ["evaluate"]
    assert not set(outputs("evaluate")) & set(named("train", "deps"))


def test_stages_declare_all_parameters_and_no_others():
    used = set()
    for stage in STAGES.values():
        for files in stage.get("params", []):
            assert set(files) == {str(SEGMENTATION.params)}
            used |= set(files[str(SEGMENTATION.params)])
    leaves = leaf_names(SegmentationParams)
    for leaf in leaves:
        assert any(f"{leaf}.".startswith(f"{name}.") for name in used), leaf
    for name in used:
        assert any(f"{leaf}.".startswith(f"{name}.") for leaf in leaves), name


@pytest.mark.parametrize("stage", ["source", "scenes", "report"])
def test_stages_without_a_network_import_no_tensorflow(stage):
    code = (
        f"import sys, stages.segmentation.{stage}\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]", result.stderr


def test_committed_results_come_from_this_code():
    lock = yaml.safe_load((ROOT / SEGMENTATION.lock).read_text("utf-8"))
    assert set(lock["stages"]) == set(STAGES)
    for stage, entry in lock["stages"].items():
        for dep in entry["deps"]:
            if dep["path"].startswith(("iic/", "stages/")):
                path = ROOT / dep["path"]
                is_current = path.exists() and md5_of(path) == dep["md5"]
                assert is_current, f"{stage}: {dep['path']} changed; run `make segment`"
