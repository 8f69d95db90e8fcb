"""Results of experiments, read from Git and DVC, below another repository too."""

import shutil
from pathlib import Path

import pytest
from conftest import commit, run

from iic.core.errors import InputError
from iic.experiments.reading import array_of, columns_of, metrics_of, settings_of
from iic.pipeline.paths import HISTORY, IMAGES


@pytest.fixture
def inner(pipeline_run, tmp_path, monkeypatch) -> Path:
    """A finished pipeline in a repository that has files of the same names at its top."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/metrics.json").write_text('{"acc": 2.0}\n')
    (tmp_path / "reports/history.csv").write_text("other\n1\n")
    (tmp_path / "params.yaml").write_text("seed: 77\n")
    folder = tmp_path / "big project/ml/iic"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    shutil.rmtree(folder / ".git")
    run("git", "init", "--quiet", "--initial-branch=main", cwd=tmp_path)
    run("git", "config", "user.name", "test", cwd=tmp_path)
    run("git", "config", "user.email", "test@example.org", cwd=tmp_path)
    commit(tmp_path)
    monkeypatch.chdir(folder)
    return folder


def test_files_of_this_project_are_read_below_another_repository(inner):
    assert metrics_of("HEAD") == metrics_of("workspace") != {"acc": 2.0}
    assert settings_of("HEAD") == settings_of("workspace")
    assert settings_of("HEAD")["seed"] == 0
    history = columns_of("HEAD", HISTORY)
    assert len(history["loss"]) == 2
    here, there = (array_of(name, IMAGES, "test_images") for name in ("workspace", "HEAD"))
    assert (here == there).all()
    # A file that is missing here is not taken from the project around.
    run("git", "rm", "--quiet", "--cached", "reports/metrics.json", cwd=inner)
    run("git", "commit", "--quiet", "--message", "removed", cwd=inner)
    with pytest.raises(InputError, match=r"^HEAD: reports/metrics\.json cannot be read"):
        metrics_of("HEAD")
