"""Both dvc.yaml files and the code agree on what each stage imports, reads and writes."""

import ast
import importlib
import re
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

from iic.core.params import Params, parse_params
from iic.pipeline.inputs import md5_of
from iic.pipeline.paths import SEGMENTATION
from iic.segmentation.params import SegmentationParams

CLUSTERING_FILE, SEGMENTATION_FILE = (
    yaml.safe_load((ROOT / file).read_text("utf-8")) for file in ("dvc.yaml", SEGMENTATION.stages)
)
CLUSTERING = CLUSTERING_FILE["stages"]
# Stages of both pipelines, by the path of their script in stages/.
STAGES = CLUSTERING | {
    f"segmentation/{name}": stage for name, stage in SEGMENTATION_FILE["stages"].items()
}
# Sub-packages that each sub-package of iic may import, besides itself; see docs/CONTRIBUTING.md.
_LOWEST = {"core", "render"}
_SECOND = {"data", "pairs", "model", "pipeline"}
_THIRD = {"training", "evaluation"}
_FOURTH = {"report", "serving"}
_USING = _LOWEST | _SECOND | _THIRD | {"segmentation"}
BELOW = {
    "core": set(),
    "render": set(),
    **dict.fromkeys(_SECOND, _LOWEST),
    **dict.fromkeys(_THIRD, _LOWEST | _SECOND),
    "segmentation": _LOWEST | _SECOND | _THIRD,
    **dict.fromkeys(_FOURTH, _USING),
    # A library: it neither reads the pipeline's files nor knows its commands.
    "estimator": (_LOWEST | _SECOND | _THIRD) - {"pipeline"},
    # Figures of a fitted estimator, also those of the explorer.
    "notebook": _LOWEST | _SECOND | _THIRD | _FOURTH | {"estimator"},
    "experiments": _USING | _FOURTH,
    "cli": _USING | _FOURTH | {"experiments"},
}


def module_path(name: str) -> Path | None:
    """Return the file of a module, if the module is in this repository."""
    path = ROOT / (name.replace(".", "/") + ".py")
    return path.relative_to(ROOT) if path.is_file() else None


@cache
def local_imports(path: Path) -> frozenset[Path]:
    """Return the files of local modules that a file imports, also inside functions."""
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


def code_of(stage: str) -> set[Path]:
    """Return the files of a stage's code: its script, its imports and their templates."""
    script = Path(f"stages/{stage}.py")
    files = {script, *transitive_imports(script)}
    sources = [(ROOT / path).read_text("utf-8") for path in files]
    templates = [*(ROOT / "iic").rglob("*.j2"), *(ROOT / "iic").rglob("*.js")]
    return files | {
        template.relative_to(ROOT)
        for template in templates
        if any(template.name in source for source in sources)
    }


def declared_code(stage: str) -> list[Path]:
    return [Path(dep) for dep in declared(stage, "deps") if dep.startswith(("iic/", "stages/"))]


def params_of(stage: str) -> type[BaseModel]:
    return SegmentationParams if stage.startswith("segmentation/") else Params


def declared_params(stage: str) -> set[str]:
    """Return the parameters that a stage declares; a section stands for all of its parameters."""
    names: list[str] = []
    for entry in STAGES[stage].get("params", []):
        # The parameters of segmentation are in a file of their own, which the entry names.
        names += entry[str(SEGMENTATION.params)] if isinstance(entry, dict) else [entry]
    leaves = leaf_names(params_of(stage))
    for name in names:
        assert any(f"{leaf}.".startswith(f"{name}.") for leaf in leaves), name
    return {leaf for leaf in leaves if any(f"{leaf}.".startswith(f"{n}.") for n in names)}


@pytest.mark.parametrize("stage", STAGES)
def test_code_of_a_stage_lies_under_its_dependencies(stage):
    for path in code_of(stage):
        assert any(path.is_relative_to(dep) for dep in declared_code(stage)), path


@pytest.mark.parametrize("stage", STAGES)
def test_every_declared_sub_package_is_imported_from(stage):
    for dep in declared_code(stage):
        assert any(path.is_relative_to(dep) for path in code_of(stage)), dep


@pytest.mark.parametrize(
    ("params", "file", "command"),
    [
        (Params, "dvc.lock", "make repro"),
        (SegmentationParams, SEGMENTATION.lock, "make segment"),
    ],
)
def test_committed_results_come_from_this_code(params, file, command):
    lock = yaml.safe_load((ROOT / file).read_text("utf-8"))
    stages = {Path(stage).name for stage in STAGES if params_of(stage) is params}
    assert set(lock["stages"]) == stages
    for stage, entry in lock["stages"].items():
        for dep in entry["deps"]:
            if dep["path"].startswith(("iic/", "stages/")):
                path = ROOT / dep["path"]
                is_current = path.exists() and md5_of(path) == dep["md5"]
                assert is_current, f"{stage}: {dep['path']} changed; run `{command}`"


def test_package_files_hold_no_code():
    """Every import runs them, also in stages that must not import TensorFlow.

    Only `iic` itself has a public name, imported at its first use.
    """
    for path in [*(ROOT / "iic").glob("*/**/__init__.py"), *(ROOT / "stages").rglob("__init__.py")]:
        assert [type(node) for node in ast.parse(path.read_text("utf-8")).body] == [ast.Expr], path


def test_sub_packages_import_in_one_direction():
    packages = {path.parent.name for path in (ROOT / "iic").glob("*/__init__.py")}
    assert set(BELOW) == packages
    # The public name of `iic` itself is imported from above, at its first use.
    for path in (ROOT / "iic").glob("*/**/*.py"):
        for other in local_imports(path.relative_to(ROOT)):
            assert other.parts[0] == "iic", f"{path} imports {other}"
            package, imported = path.relative_to(ROOT / "iic").parts[0], other.parts[1]
            assert imported in {package, *BELOW[package]}, f"{path} imports {other}"


@pytest.mark.parametrize("pattern", [r"\{py:mod\}`iic\.([a-z]+)`", r"^api/iic\.([a-z]+)$"])
def test_reference_lists_sub_packages_in_the_order_of_imports(pattern):
    text = (ROOT / "docs/api.md").read_text("utf-8")
    listed = re.findall(pattern, text, re.MULTILINE)
    for index, package in enumerate(listed):
        assert BELOW[package] <= set(listed[:index]), package


def test_only_some_sub_packages_import_dvc_and_ray():
    for path in (ROOT / "iic").rglob("*.py"):
        inside = path.relative_to(ROOT / "iic")
        tree = ast.parse(path.read_text("utf-8"))
        imported = {
            name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            )
        }
        if inside.parts[0] not in ("experiments", "cli"):
            assert not imported & {"dvc", "dvclive", "click", "argparse"}, path
        if inside.as_posix() != "experiments/sweep/cluster.py":
            assert "ray" not in imported, path


def test_stages_and_tools_import_in_one_direction():
    below = {"stages": {"iic"}, "tools": {"iic", "stages"}}
    for package, others in below.items():
        for path in (ROOT / package).rglob("*.py"):
            for other in local_imports(path.relative_to(ROOT)):
                assert other.parts[0] in {package, *others}, f"{path} imports {other}"


NO_NETWORK = ("source", "download", "augment", "neighbors", "scenes", "report")


@pytest.mark.parametrize("stage", [name for name in STAGES if name.endswith(NO_NETWORK)])
def test_stages_without_a_network_do_not_import_tensorflow(stage):
    code = (
        f"import sys, stages.{stage.replace('/', '.')}\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize(
    ("file", "prefix"),
    [("data/labels.npz", ""), ("data/segmentation/masks.npz", "segmentation/")],
)
def test_only_evaluate_depends_on_labels(file, prefix):
    users = [stage for stage in STAGES if file in declared(stage, "deps")]
    assert users == [f"{prefix}evaluate"]
    # The outputs of evaluate contain labels, so training may not read them either.
    assert not set(outputs(f"{prefix}evaluate")) & set(declared(f"{prefix}train", "deps"))


@pytest.mark.parametrize("params", [Params, SegmentationParams])
def test_stages_declare_all_parameters(params):
    stages = [stage for stage in STAGES if params_of(stage) is params]
    used = {name for stage in stages for name in declared_params(stage)}
    assert used == set(leaf_names(params))


def test_every_stage_uses_the_run_cache():
    """`persist` switches it off, and so does `cache: false` under `outs`, but not elsewhere."""
    for file in ("dvc.yaml", SEGMENTATION.stages):
        assert "persist" not in (ROOT / file).read_text("utf-8")
    for stage in set(STAGES) - {"report", "segmentation/report"}:
        assert all(isinstance(out, str) for out in STAGES[stage].get("outs", [])), stage


def test_every_stage_has_a_description_and_a_simple_command():
    for name, stage in STAGES.items():
        assert stage["desc"]
        assert stage["cmd"] == f"python -m stages.{name.replace('/', '.')}"
        # All run in the top folder.
        assert stage.get("wdir", ".") == (".." if "/" in name else ".")


def test_top_level_plots_and_artifacts_exist():
    written = {path for stage in STAGES for path in outputs(stage)}
    for plot in CLUSTERING_FILE["plots"]:
        ((_, settings),) = plot.items()
        assert set(settings["y"]) <= written
    for artifact in CLUSTERING_FILE["artifacts"].values():
        assert artifact["path"] in written


@contextmanager
def recording_leaves(params: Params) -> Iterator[set[str]]:
    """Collect the dotted name of each parameter that the block reads from `params`."""
    # Compared by identity, since a stage may also read a network's parameters from its own file.
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


# Parameters of a declared section that the stage does not read. They change one of its inputs, so a
# change of them reruns the stage anyway.
ALREADY_IN_AN_INPUT = {"train": {"augment.views"}}
# Values with which a stage reads further parameters.
MORE_READ = {
    "download": [{"data.name": "mnist"}, {"data.name": "custom", "data.path": "images.npz"}],
    "train": [
        {"student.teachers": 1, "student.length": 3.0, "train.epochs": 1},
        {"augment.ops": ["flip", "color"], "train.epochs": 1},
    ],
}


@pytest.mark.parametrize("stage", CLUSTERING)
def test_stage_reads_the_parameters_that_it_declares(
    stage, pipeline_run, monkeypatch, digits, tmp_path
):
    """Run the stage on the outputs of a finished pipeline, and record the parameters it reads."""
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
    assert read == declared_params(stage) - ALREADY_IN_AN_INPUT.get(stage, set())
