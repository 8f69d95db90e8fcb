"""The notebook docs/tutorial.ipynb, without running it; `make docs` runs it."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest
from conftest import ROOT

NOTEBOOK = ROOT / "docs/tutorial.ipynb"
TEXT = NOTEBOOK.read_text("utf-8")
CELLS = json.loads(TEXT)["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
PROSE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown"]
# Longest cell of code after the imports, in lines.
LONGEST = 16


def test_notebook_has_no_outputs():
    for cell in CELLS:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_metadata_is_tidy():
    """Editors add versions and settings of their own, which would change with each of them."""
    notebook = json.loads(TEXT)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook["metadata"] == {"kernelspec": kernel, "language_info": {"name": "python"}}
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert all(cell["metadata"] == {} for cell in CELLS)
    assert len({cell["id"] for cell in CELLS}) == len(CELLS)
    assert json.dumps(notebook, indent=1, ensure_ascii=False) + "\n" == TEXT


def test_cells_are_short_and_explained():
    assert all(len(code.splitlines()) <= LONGEST for code in CODE[1:])
    kinds = [cell["cell_type"] for cell in CELLS]
    assert kinds[0] == kinds[-1] == "markdown"
    # At most two cells of code follow each other without a word.
    assert "code code code" not in " ".join(kinds)


def imports(tree: ast.AST) -> list[tuple[str, str]]:
    """Return module and name of each import; an empty name for a whole module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(str(node.module), alias.name) for alias in node.names]
    return found


def test_code_compiles_and_imports_only_public_names_that_exist():
    tree = ast.parse("\n".join(CODE))
    for module, name in imports(tree):
        assert not any(part.startswith("_") for part in f"{module}.{name}".split("."))
        loaded = importlib.import_module(module)
        assert not name or hasattr(loaded, name) or importlib.import_module(f"{module}.{name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), node.attr


def test_settings_are_parameters_of_the_estimator():
    from iic import IIC

    names = set(re.findall(r"\b[a-z]+__[a-z_]+\b", "\n".join(CODE)))
    assert names
    IIC(**dict.fromkeys(names))


@pytest.mark.parametrize("text", PROSE, ids=range(len(PROSE)))
def test_links_of_the_notebook_resolve(text):
    for path in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (NOTEBOOK.parent / path).is_file(), path


def test_documentation_runs_the_notebook_and_stops_at_errors():
    conf = (ROOT / "docs/conf.py").read_text("utf-8")
    for line in (
        'nb_execution_mode = "force"',
        "nb_execution_raise_on_error = True",
        'nb_output_stderr = "warn"',
    ):
        assert line in conf
    assert "--fail-on-warning" in Path(ROOT / "Makefile").read_text("utf-8")
