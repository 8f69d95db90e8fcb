"""The wheel contains the package `iic` alone, with its templates and its command."""

import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

from iic.experiments.scratch import copy_working_tree


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("packaging")
    copy_working_tree(ROOT, folder / "source")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(folder / "source")]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_contains_package_iic_and_nothing_else(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"iic"}


def test_wheel_contains_every_module_and_template(wheel):
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "iic").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path.rpartition(".")[2] for path in files} >= {"py", "j2", "js", "json"}
    assert files == {name for name in wheel.namelist() if name.startswith("iic/")}


def test_wheel_has_licence_and_command(wheel):
    (info,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert "MIT License" in wheel.read(f"{info}/licenses/LICENSE").decode()
    assert "iic = iic.cli.main:main" in wheel.read(f"{info}/entry_points.txt").decode()
