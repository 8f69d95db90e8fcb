"""What is installed and what is never used: pins, advisories, licences, pickles, YAML."""

import ast
import json
import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT
from dvc.repo import Repo

from iic.core.errors import InputError
from iic.core.params import parse_params
from tools.docs import audit, licences
from tools.docs.pins import pins, requirements

OWN = sorted(
    path
    for folder in ("iic", "stages", "experiments", "commands", "benchmarks", "reliability")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.chdir(ROOT)


def entries(path: Path) -> list[str]:
    """The requirements of a file, each on one line with all that belongs to it."""
    lines = path.read_text("utf-8").replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.txt")), ids=lambda p: p.name)
def test_all_that_is_installed_is_pinned_with_its_hash_and_from_nowhere_in_particular(path):
    found = entries(path)
    assert len(found) == len(pins(path)) > 10
    hashed = re.compile(r"[\w.-]+==[\w.!+]+ *(;[^@]*?)?( +--hash=sha256:[0-9a-f]{64})+")
    for entry in found:
        assert hashed.fullmatch(" ".join(entry.split())), entry[:80]
    assert "://" not in path.read_text("utf-8")


def test_one_version_of_a_package_is_pinned_in_all_files_and_the_makefile_asks_for_hashes():
    of_name: dict[str, set[frozenset[str]]] = {}
    for path in requirements():
        for name in {pin.name for pin in pins(path)}:
            versions = frozenset(pin.version for pin in pins(path) if pin.name == name)
            of_name.setdefault(name, set()).add(versions)
    assert not {name: found for name, found in of_name.items() if len(found) > 1}
    installs = re.findall(r"-m pip install.*", (ROOT / "Makefile").read_text("utf-8"))
    assert len(installs) >= 3
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)


def test_the_list_of_licences_is_of_what_is_pinned():
    """`python -m tools.docs.licences` writes it."""
    _, _, rows_text = licences_page().partition("| --- | --- | --- | --- |")
    rows = re.findall(r"^\| ([\w.-]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", rows_text, re.M)
    listed = {(name, version) for name, cell, *_ in rows for version in cell.split(", ")}
    assert listed == {pin for path in requirements() for pin in pins(path)}
    for name, _, licence, files in rows:
        assert licence.strip(), name
        assert files == page_files(name), name


def licences_page() -> str:
    return (ROOT / licences.PAGE).read_text("utf-8")


def page_files(name: str) -> str:
    stems = [path.stem for path in requirements() if name in {pin.name for pin in pins(path)}]
    return ", ".join(
        stem.removeprefix("requirements-").replace("requirements", "all") for stem in stems
    )


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"License-Expression": ["MIT"], "License": ["other"]}, "MIT"),
        ({"Classifier": ["License :: OSI Approved :: MIT License", "Topic :: X"]}, "MIT License"),
        ({"Classifier": ["License :: OSI Approved"], "License": ["BSD"]}, "BSD"),
        ({"License": ["Permission is hereby\ngranted"]}, "not stated"),
        ({"License": ["UNKNOWN"]}, "not stated"),
        ({}, "not stated"),
    ],
)
def test_where_a_licence_is_stated(fields, licence):
    package = SimpleNamespace(metadata=SimpleNamespace(get_all=fields.get))
    package.metadata.get_all = lambda key, default: fields.get(key, default)
    assert licences.licence_of(package) == licence


def test_a_package_that_is_not_installed_as_pinned_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements/run.txt").write_text("numpy==0.0.1 \\\n")
    with pytest.raises(InputError, match=rf"numpy: {metadata('numpy')['Version']} is installed"):
        licences.rows()
    (tmp_path / "requirements/run.txt").write_text("no-such-package==1 \\\n")
    with pytest.raises(InputError, match="no-such-package: not installed"):
        licences.rows()


KNOWN = {
    "name": "wheel-of\x1b[2J",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1", "2.0"]}],
}


def asked(monkeypatch, stdout: str, stderr: str = "", status: int = 0):
    """pip-audit answers so."""
    done = subprocess.CompletedProcess([], status, stdout, stderr)
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: done)


def test_an_advisory_is_told_with_what_mends_it(monkeypatch):
    fine = {"name": "a", "version": "1", "vulns": []}
    asked(monkeypatch, json.dumps({"dependencies": [fine, KNOWN]}), status=1)
    with pytest.raises(InputError) as caught:
        audit.main([])
    lines = str(caught.value).splitlines()
    assert len(lines) == len(requirements())
    told = r"wheel-of\x1b[2J 1.0: PYSEC-1, CVE-2026-1; fixed in 1.1, 2.0"
    assert lines[0] == f"requirements/run.txt: {told}"


def test_no_data_is_no_good_news(monkeypatch):
    unknown = {"name": "a", "skip_reason": "not found: a (1)"}
    asked(monkeypatch, json.dumps({"dependencies": [unknown]}))
    with pytest.raises(InputError, match=r"requirements\.txt: no data on 1 of 1 packages \(not f"):
        audit.main([])
    asked(monkeypatch, json.dumps({"dependencies": []}))
    with pytest.raises(InputError, match="no data on 0 of 0 packages"):
        audit.main([])
    asked(monkeypatch, "", "Traceback\nConnectionError: no such host\n", status=1)
    with pytest.raises(InputError, match=r"no data could be had \(ConnectionError: no such host\)"):
        audit.main([])


def test_good_news_is_said(monkeypatch, capsys):
    asked(monkeypatch, json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}))
    audit.main([])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "requirements/run.txt: asked about 1 packages"
    assert said[-1] == "no advisory is known"


UNSAFE_MODULES = {"cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
# Ray sends a task to other machines by value; see SECURITY.md.
ALLOWED = {("iic/experiments/sweep/cluster.py", "cloudpickle")}


def unsafe(tree: ast.AST) -> list[str]:
    """What in a module runs what it reads: modules, calls, arguments."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [name for name in names if name.split(".")[0] in UNSAFE_MODULES]
        elif isinstance(node, ast.Attribute) and node.attr in UNSAFE_MODULES:
            found.append(node.attr)
        elif isinstance(node, ast.Call):
            found += _unsafe_call(node)
    return found


def _unsafe_call(node: ast.Call) -> list[str]:
    called, options = ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
    found = [called] if called in UNSAFE_CALLS else []
    for option, safe in (("allow_pickle", False), ("shell", False), ("safe_mode", True)):
        value = options.get(option)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is safe):
            found.append(option)
    if re.fullmatch(r"yaml\.(?!safe_load$)\w*load\w*", called):
        loader = ast.unparse(options.get("Loader", ast.Constant(None)))
        # Ours is a SafeLoader, see below.
        found += [] if loader == "_CoreSchemaLoader" else [called]
    if called.endswith("load_model") and "safe_mode" not in options:
        found.append(called)
    return found


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_what_it_reads(path):
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
        ("keras.models.load_model(x)", "keras.models.load_model"),
        ("keras.models.load_model(x, safe_mode=False)", "safe_mode"),
    ],
)
def test_what_would_be_unsafe_is_noticed(code, what):
    assert unsafe(ast.parse(code)) == [what]
    assert (
        unsafe(ast.parse("np.load(f, allow_pickle=False); yaml.safe_load(x); re.compile(x)")) == []
    )


def test_our_yaml_parser_makes_no_objects():
    with pytest.raises(InputError):
        parse_params("seed: !!python/object/apply:os.getpid []\n", "params.yaml")


def test_dvc_keeps_its_own_cache_where_it_is_told(tmp_path, monkeypatch):
    """As SECURITY.md says for machines that others use."""
    assert "export DVC_SITE_CACHE_DIR=" in (ROOT / "SECURITY.md").read_text("utf-8")
    script = "from dvc.repo import Repo; print(Repo().site_cache_dir)"
    Repo.init(tmp_path, no_scm=True).close()
    told = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "DVC_SITE_CACHE_DIR": str(tmp_path / "own")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(told.stdout.strip()).is_relative_to(tmp_path / "own")
