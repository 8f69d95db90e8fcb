"""Pinned requirements, licences, and the absence of unsafe deserialisation."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT
from dvc.repo import Repo
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from iic.core.errors import InputError
from iic.core.params import parse_params

REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
LICENCES = ROOT / "docs/licences.md"
OWN = sorted(
    path for folder in ("iic", "stages", "tools") for path in (ROOT / folder).rglob("*.py")
)


class Pin(NamedTuple):
    """A package at a version."""

    name: str
    version: str


def entries(path: Path) -> list[str]:
    """Return the requirements of a file, each on one line with its hashes."""
    lines = path.read_text("utf-8").replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def requirements(path: Path) -> list[Requirement]:
    return [Requirement(entry.partition(" --hash=")[0]) for entry in entries(path)]


def pin_of(requirement: Requirement) -> Pin:
    (version,) = requirement.specifier
    return Pin(canonicalize_name(requirement.name), version.version)


@cache
def pins(path: Path) -> set[Pin]:
    return {pin_of(requirement) for requirement in requirements(path)}


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_with_hashes_and_without_an_index(path):
    found = entries(path)
    assert len(found) > 10
    hashed = re.compile(r"[\w.-]+==[\w.!+]+ *(;[^@]*?)?( +--hash=sha256:[0-9a-f]{64})+")
    for entry in found:
        assert hashed.fullmatch(" ".join(entry.split())), entry[:80]
    assert "://" not in path.read_text("utf-8")


def test_all_files_pin_the_same_version_of_a_package():
    versions: dict[str, set[frozenset[str]]] = {}
    for path in REQUIREMENTS:
        for name in {pin.name for pin in pins(path)}:
            pinned = frozenset(pin.version for pin in pins(path) if pin.name == name)
            versions.setdefault(name, set()).add(pinned)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_every_dependency_in_pyproject_is_pinned():
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras, groups = tree["project"]["optional-dependencies"], tree["dependency-groups"]
    declared = {"run": tree["project"]["dependencies"], **extras, **groups}
    assert declared.keys() == {path.stem for path in REQUIREMENTS}
    for stem, dependencies in declared.items():
        names = {canonicalize_name(Requirement(text).name) for text in dependencies}
        assert names <= {pin.name for pin in pins(ROOT / f"requirements/{stem}.txt")}, stem


def test_makefile_installs_only_with_hashes():
    installs = re.findall(r"-m pip install.*", (ROOT / "Makefile").read_text("utf-8"))
    assert installs
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)


def licence_rows() -> dict[Pin, str]:
    """Return the licence of each package in docs/licences.md."""
    _, _, table = LICENCES.read_text("utf-8").partition("|--")
    rows = re.findall(r"^\| ([\w.-]+) +\| ([^| ]+) +\| (.*?) *\|$", table, re.MULTILINE)
    return {Pin(canonicalize_name(name), version): licence for name, version, licence in rows}


def test_licences_page_lists_all_pinned_packages():
    """Versions that are pinned for other Python versions may be absent."""
    pinned = {pin for path in REQUIREMENTS for pin in pins(path)}
    listed = licence_rows().keys()
    assert listed <= pinned
    assert {pin.name for pin in listed} == {pin.name for pin in pinned}


# A word of each licence that is allowed.
ALLOWED_LICENCES = re.compile(
    r"\b(MIT|BSD|0BSD|ISC|Apache|Python|PSF|MPL|Mozilla|Zope|EPL|Public Domain)\b", re.IGNORECASE
)
# The text of docs/licences.md explains these.
EXCEPTIONS = {
    "grandalf": "GNU General Public License v2 (GPLv2)",
    "namex": "UNKNOWN",
    "pygit2": "GPLv2 with linking exception",
}
# PyTorch for Linux needs NVIDIA's own libraries, in this file only.
PROPRIETARY = re.compile(r"nvidia-|cuda-toolkit$")
WITH_PROPRIETARY = "peers.txt"


def test_every_licence_is_allowed():
    licences = {pin.name: licence for pin, licence in licence_rows().items()}
    refused = {name: text for name, text in licences.items() if not ALLOWED_LICENCES.search(text)}
    proprietary = {name for name in refused if PROPRIETARY.match(name)}
    assert {name: refused[name] for name in refused.keys() - proprietary} == EXCEPTIONS
    for path in REQUIREMENTS:
        if path.name != WITH_PROPRIETARY:
            assert not proprietary & {pin.name for pin in pins(path)}, path.name


UNSAFE_MODULES = {"cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
SAFE_OPTIONS = {"allow_pickle": False, "shell": False, "safe_mode": True}
# Ray sends tasks to other machines by value (docs/SECURITY.md); a hostile file is made, not read.
ALLOWED = {
    ("iic/experiments/sweep/cluster.py", "cloudpickle"),
    ("tools/chaos/crafted.py", "allow_pickle"),
}


def unsafe(tree: ast.AST) -> list[str]:
    """Return the modules, calls and options with which a module could run its input as code."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [name for name in names if name.split(".")[0] in UNSAFE_MODULES]
        elif isinstance(node, ast.Attribute) and node.attr in UNSAFE_MODULES:
            found.append(node.attr)
        elif isinstance(node, ast.Call):
            found += unsafe_call(node)
    return found


def unsafe_call(node: ast.Call) -> list[str]:
    called, options = ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
    found = [called] if called in UNSAFE_CALLS else []
    for option, safe in SAFE_OPTIONS.items():
        value = options.get(option)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is safe):
            found.append(option)
    if re.fullmatch(r"yaml\.(?!safe_load$)\w*load\w*", called):
        found.append(called)
    # ruamel.yaml: only its unsafe loader makes Python objects.
    if called.endswith("YAML") and ast.unparse(options.get("typ", ast.Constant("rt"))) not in (
        "'rt'",
        "'safe'",
    ):
        found.append("typ")
    if called.endswith("load_model") and "safe_mode" not in options:
        found.append(called)
    return found


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_cannot_run_its_input_as_code(path):
    name = str(path.relative_to(ROOT))
    found = unsafe(ast.parse(path.read_text("utf-8")))
    assert [what for what in found if (name, what) not in ALLOWED] == []


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import pickle", "pickle"),
        ("from joblib.x import load", "joblib.x"),
        ("ray.cloudpickle.loads(b)", "cloudpickle"),
        ("eval(x)", "eval"),
        ("np.load(f, allow_pickle=True)", "allow_pickle"),
        ("np.load(f, allow_pickle=maybe)", "allow_pickle"),
        ("run(x, shell=True)", "shell"),
        ("yaml.load(x, Loader=yaml.Loader)", "yaml.load"),
        ("yaml.unsafe_load(x)", "yaml.unsafe_load"),
        ("YAML(typ='unsafe')", "typ"),
        ("ruamel.yaml.YAML(typ=kind)", "typ"),
        ("keras.models.load_model(x)", "keras.models.load_model"),
        ("keras.models.load_model(x, safe_mode=False)", "safe_mode"),
    ],
)
def test_unsafe_code_is_found(code, what):
    assert unsafe(ast.parse(code)) == [what]


@pytest.mark.parametrize(
    "code",
    [
        "np.load(f, allow_pickle=False)",
        "yaml.safe_load(x)",
        "YAML()",
        "YAML(typ='safe')",
        "re.compile(x)",
    ],
)
def test_safe_code_is_accepted(code):
    assert unsafe(ast.parse(code)) == []


def test_parameters_with_yaml_objects_are_refused():
    with pytest.raises(InputError):
        parse_params("seed: !!python/object/apply:os.getpid []\n", "params.yaml")


def test_dvc_keeps_its_site_cache_in_the_given_folder(tmp_path):
    """docs/SECURITY.md recommends this on shared machines."""
    assert "export DVC_SITE_CACHE_DIR=" in (ROOT / "docs/SECURITY.md").read_text("utf-8")
    script = "from dvc.repo import Repo; print(Repo().site_cache_dir)"
    Repo.init(tmp_path, no_scm=True).close()
    printed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "DVC_SITE_CACHE_DIR": str(tmp_path / "own")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(printed.stdout.strip()).is_relative_to(tmp_path / "own")
