"""`make` notices a .venv that cannot be used, makes it anew and says why; a healthy one stays."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from tools import environment

# A Python whose new environments have a stand-in for pip, since the real one takes seconds.
PYTHON = """#!/bin/sh
if [ "$1 $2" != "-m venv" ]; then exec "{python}" "$@"; fi
"{python}" -m venv --without-pip "$3" || exit 1
if [ -e "{broken}" ]; then echo "ensurepip is not available"; exit 1; fi
packages=$(echo "$3"/lib/python*/site-packages)
mkdir "$packages/pip-1.dist-info"
echo "Name: pip" > "$packages/pip-1.dist-info/METADATA"
echo "pip/__init__.py,," > "$packages/pip-1.dist-info/RECORD"
echo "#!$PWD/$3/bin/python" > "$3/bin/pip"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the Makefile needs, with a finished environment."""
    folder = tmp_path / "project"
    for name in ("Makefile", "pyproject.toml", "requirements/run.txt", "tools/environment.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "iic").mkdir()
    (folder / "iic/__init__.py").touch()
    python = tmp_path / "python3"
    python.write_text(PYTHON.format(python=sys.executable, broken=tmp_path / "broken"))
    python.chmod(0o755)
    assert " -m venv .venv" in make(folder)
    (folder / ".venv/.run").touch()
    return folder


def make(folder: Path, *arguments: str) -> str:
    """Run make, by default for the environment's Python; return all output."""
    python = f"PYTHON={folder.parent / 'python3'}"
    command = ["make", "--no-print-directory", python, *(arguments or [".venv/bin/python"])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


def packages(folder: Path) -> Path:
    (found,) = folder.glob(".venv/lib/python*/site-packages")
    return found


def without_pip(folder: Path) -> None:
    shutil.rmtree(packages(folder) / "pip-1.dist-info")


def half_of_pip(folder: Path) -> None:
    (packages(folder) / "pip-1.dist-info/RECORD").unlink()


def without_configuration(folder: Path) -> None:
    (folder / ".venv/pyvenv.cfg").unlink()


def dangling(folder: Path) -> None:
    (folder / ".venv/bin/python3").unlink()
    (folder / ".venv/bin/python").unlink()
    (folder / ".venv/bin/python").symlink_to("/usr/bin/no-such-python")


def without_python(folder: Path) -> None:
    shutil.rmtree(folder / ".venv/bin")


def other_code(folder: Path) -> None:
    other = folder.parent / "other folder"
    shutil.copytree(folder / "iic", other / "iic")
    (packages(folder) / "iic.pth").write_text(f"{other}\n")


def a_file(folder: Path) -> None:
    shutil.rmtree(folder / ".venv")
    (folder / ".venv").touch()


def test_healthy_environment_stays(project):
    assert "up to date" in make(project, ".venv/.run")
    # Also if it runs the code of this folder, as it does once iic is installed.
    (packages(project) / "iic.pth").write_text(f"{project}\n")
    assert "anew" not in make(project)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (without_pip, "it is incomplete"),
        (half_of_pip, "it is incomplete"),
        (without_configuration, "it is incomplete"),
        (dangling, "its Python does not start"),
        (without_python, "its Python does not start"),
        (a_file, "its Python does not start"),
        (other_code, "it runs the code in .*/other folder"),
    ],
)
def test_unusable_environment_is_made_anew(project, damage, reason):
    damage(project)
    planned = make(project, "--dry-run", ".venv/.run")
    assert planned.count(".venv/bin/python -m pip install") == 2
    lines = make(project).splitlines()
    assert re.fullmatch(f".venv is made anew: {reason}", lines[0])
    assert " -m venv .venv" in lines[1]
    assert "anew" not in make(project)


@pytest.mark.parametrize("change", [shutil.copytree, Path.rename])
def test_copied_or_moved_environment_is_made_anew(project, change):
    other = project.parent / "copy of it"
    change(project, other, **({"symlinks": True} if change is shutil.copytree else {}))
    assert make(other).startswith(
        f".venv is made anew: it was made in another folder, {project}/.venv\n"
    )
    assert "anew" not in make(other)


def test_failure_leaves_no_half_made_environment(project):
    shutil.rmtree(project / ".venv")
    (project.parent / "broken").touch()
    assert "ensurepip is not available" in make(project)
    assert not (project / ".venv").exists()
    (project.parent / "broken").unlink()
    make(project)
    assert (project / ".venv/bin/pip").exists()


def test_targets_that_need_no_environment_do_not_look_at_it(project):
    dangling(project)
    assert "anew" not in make(project, "help")
    assert "anew" not in make(project, "--dry-run", "clean")


def python_that_prints(folder: Path, text: str) -> str:
    path = folder / "other-python"
    path.write_text(f"#!/bin/sh\necho {text}\n")
    path.chmod(0o755)
    return str(path)


def test_other_version_is_a_fault_only_if_it_is_asked_for(tmp_path):
    own = "{}.{}".format(*sys.version_info)
    assert environment.fault("") == environment.fault(str(tmp_path / "missing"))
    other = environment.fault(python_that_prints(tmp_path, "3.99"))
    assert other == f"its Python is {own}, not 3.99"
    assert "not" not in environment.fault(python_that_prints(tmp_path, own))


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14)])
def test_unsupported_version_is_a_fault(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    assert environment.fault("") == "its Python is {}.{}".format(*version)


def test_unsupported_python_does_not_remove_an_environment(project):
    python = python_that_prints(project.parent, "3.10")
    # The Makefile's own check of the version refuses it.
    Path(python).write_text('#!/bin/sh\ncase "$2" in *sys.exit*) exit 1;; esac\necho 3.10\n')
    said = make(project, f"PYTHON={python}", ".venv/bin/python")
    assert said.startswith(".venv is made anew: its Python is ")
    assert " -m venv" not in said
    assert (project / ".venv/bin/pip").exists()


def test_commands_get_the_name_of_the_account_where_the_environment_has_none():
    """DVC uses the name for SSH remotes."""
    variables = {key: text for key, text in os.environ.items() if key != "USER"}
    show = 'show: ; @export $(RUN); echo "$$USER"'
    done = subprocess.run(
        ["make", "-s", "--eval", show, "show"],
        cwd=ROOT, env=variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == pwd.getpwuid(os.getuid()).pw_name
