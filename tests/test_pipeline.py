"""dvc.yaml against the code: what a stage imports, reads and writes is what it declares."""

import ast
import hashlib
import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT, environment, override
from pydantic import BaseModel

from iic.params import Params, parse_params

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
STAGES = PIPELINE["stages"]
# Import layers, lowest first: a module imports from lower layers only.
LAYERS = [
    {"errors"},
    {"parsing"},
    {
        "assignments",
        "params",
        "datasets",
        "files",
        "draws",
        "diagnosis",
        "matching",
        "loss",
        "geometry",
        "lettering",
        "noise",
        "pages",
        "pictures",
        "processor",
        "styles",
    },
    {"sizes"},
    {
        "augmentation",
        "card",
        "download",
        "evaluation",
        "figures",
        "fitting",
        "model",
        "moves",
        "neighbors",
        "schedule",
    },
    {
        "bars",
        "batches",
        "committee",
        "features",
        "images",
        "info",
        "matrices",
        "mosaics",
        "run",
    },
    {"export", "learner", "prediction", "report_tables", "sources"},
    {"custom", "recording", "report_doubts", "report_outcome", "teaching"},
    {"resuming"},
    {"comparison", "explorer", "report", "report_pictures", "training"},
]


def module_path(name: str) -> Path | None:
    """The file of a local module, if it is one."""
    path = ROOT / (name.replace(".", "/") + ".py")
    return path.relative_to(ROOT) if path.is_file() else None


@cache
def local_imports(path: Path) -> frozenset[Path]:
    """Local modules that a file imports, at its top or inside its functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(filter(None, map(module_path, names)))


def transitive_imports(path: Path) -> set[Path]:
    found, waiting = set(), [path]
    while waiting:
        for other in local_imports(waiting.pop()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def declared(stage: str, kind: str) -> list[str]:
    return [next(iter(e)) if isinstance(e, dict) else e for e in STAGES[stage].get(kind, [])]


def outputs(stage: str) -> list[str]:
    return [path for kind in ("outs", "metrics", "plots") for path in declared(stage, kind)]


def leaf_names(model: type[BaseModel], prefix: str = "") -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names += leaf_names(field.annotation, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


@pytest.mark.parametrize("stage", STAGES)
def test_code_dependencies_are_complete_and_minimal(stage):
    script = Path(f"stages/{stage}.py")
    expected = {script, *transitive_imports(script)}
    sources = [(ROOT / path).read_text("utf-8") for path in expected]
    for template in (ROOT / "iic/templates").iterdir():
        if any(template.name in source for source in sources):
            expected.add(template.relative_to(ROOT))
    code = {Path(dep) for dep in declared(stage, "deps") if dep.startswith(("iic/", "stages/"))}
    assert code == expected


def test_the_committed_results_are_of_this_code():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text("utf-8"))
    for stage, entry in lock["stages"].items():
        for dep in entry["deps"]:
            if dep["path"].startswith(("iic/", "stages/")):
                content = (ROOT / dep["path"]).read_bytes()
                digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
                assert digest == dep["md5"], f"{stage}: {dep['path']} changed; run `make repro`"


def test_package_files_hold_no_code():
    """They run on every import but are no declared dependency."""
    for package in ("iic", "stages"):
        tree = ast.parse((ROOT / package / "__init__.py").read_text("utf-8"))
        assert [type(node) for node in tree.body] == [ast.Expr]


def test_imports_flow_one_way():
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    modules = {p.stem for p in (ROOT / "iic").glob("*.py")} - {"__init__"}
    assert set(level) == modules
    for name in modules:
        for other in local_imports(Path(f"iic/{name}.py")):
            assert other.parts[0] == "iic", f"iic/{name}.py imports {other}"
            assert level[other.stem] < level[name], f"iic/{name}.py imports {other}"


def test_the_library_knows_nothing_of_the_pipeline():
    for path in (ROOT / "iic").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        imported = {
            name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            )
        }
        assert not imported & {"dvc", "dvclive", "argparse", "sys", "stages"}, path


# What each package may import beside itself.
BELOW = {
    "iic": set(),
    "stages": {"iic"},
    "experiments": {"iic", "stages"},
    "commands": {"iic", "stages", "experiments"},
    "reliability": {"iic", "stages", "experiments", "commands"},
    "benchmarks": {"iic", "stages", "experiments", "reliability"},
}


def test_packages_import_one_way():
    for package, below in BELOW.items():
        for path in (ROOT / package).rglob("*.py"):
            for other in local_imports(path.relative_to(ROOT)):
                assert other.parts[0] in {package, *below}, f"{path} imports {other}"


@pytest.mark.parametrize("stage", ["download", "augment", "neighbors", "report"])
def test_light_stages_do_not_import_tensorflow(stage):
    code = (
        f"import sys, stages.{stage}\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]", result.stderr


def test_only_evaluate_depends_on_labels():
    users = [stage for stage in STAGES if "data/labels.npz" in declared(stage, "deps")]
    assert users == ["evaluate"]
    # What evaluate writes holds labels, so training may not read that either.
    assert not set(outputs("evaluate")) & set(declared("train", "deps"))


def test_every_parameter_is_declared_somewhere_and_exists():
    known = set(leaf_names(Params))
    used = {name for stage in STAGES for name in STAGES[stage].get("params", [])}
    assert used == known


def test_no_stage_loses_the_run_cache():
    """`persist` switches it off, and so does `cache: false` under `outs` (but not elsewhere)."""
    assert "persist" not in (ROOT / "dvc.yaml").read_text("utf-8")
    for stage in set(STAGES) - {"report"}:
        assert all(isinstance(out, str) for out in STAGES[stage].get("outs", [])), stage


def test_every_stage_is_described_and_runs_in_any_shell():
    for name, stage in STAGES.items():
        assert stage["desc"]
        assert stage["cmd"] == f"python -m stages.{name}"


def test_top_level_plots_and_artifacts_exist():
    written = {path for stage in STAGES for path in outputs(stage)}
    for plot in PIPELINE["plots"]:
        ((_, settings),) = plot.items()
        assert set(settings["y"]) <= written
    for artifact in PIPELINE["artifacts"].values():
        assert artifact["path"] in written


@contextmanager
def recording_leaves(params: Params) -> Iterator[set[str]]:
    """Collects the dotted name of each leaf that is read from these parameters in the block."""
    # By identity: a stage may also read a network's parameters from its own file.
    sections = {id(value): f"{name}." for name, value in params if isinstance(value, BaseModel)}
    prefixes = {id(params): "", **sections}
    plain, leaves = BaseModel.__getattribute__, set()

    def recording(model, name):
        value = plain(model, name)
        is_leaf = name in type(model).__pydantic_fields__ and not isinstance(value, BaseModel)
        if is_leaf and id(model) in prefixes:
            leaves.add(prefixes[id(model)] + name)
        return value

    BaseModel.__getattribute__ = recording
    try:
        yield leaves
    finally:
        BaseModel.__getattribute__ = plain


# Values with which a stage reads what it else does not.
MORE_READ = {
    "download": [{"data.name": "mnist"}, {"data.name": "custom", "data.path": "images.npz"}],
    "train": [{"committee.members": 1, "committee.epochs": 1, "train.epochs": 1}],
}


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_read_are_the_parameters_declared(
    stage, pipeline_run, monkeypatch, digits, tmp_path
):
    """Runs the stage on the outputs of a finished pipeline; reading is observed, not guessed."""
    folder = tmp_path / "clone"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("stages.download.fetch", lambda collection, sources: digits)
    np.savez("images.npz", images=digits.test_images)
    module = importlib.import_module(f"stages.{stage}")
    text = Path("params.yaml").read_text("utf-8")
    variants = [{}, *MORE_READ.get(stage, [])]
    read: set[str] = set()
    for values in variants:
        params = parse_params(override(text, values), "params.yaml")
        with recording_leaves(params) as leaves:
            module.main(params)
        read |= leaves
    assert read == set(STAGES[stage].get("params", []))
