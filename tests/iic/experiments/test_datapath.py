"""Paths of data are checked before DVC starts; the message names the file, the key and a remedy."""

import subprocess

import pytest
from conftest import ROOT, override

from iic.core.errors import InputError
from iic.experiments.datapath import check_data_paths
from iic.pipeline.paths import CLUSTERING, PIPELINES, SEGMENTATION

# Each path of data: the pipeline, the key in its file, and how the message spells it.
PATHS = [
    (CLUSTERING, "data.path", "data.path"),
    (SEGMENTATION, "data.path", "segmentation/params.yaml:data.path"),
    (SEGMENTATION, "data.masks", "segmentation/params.yaml:data.masks"),
]
each_path = pytest.mark.parametrize(("pipeline", "key", "shown"), PATHS)


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """A folder of pictures; the current folder has the committed parameters of both pipelines."""
    monkeypatch.chdir(tmp_path)
    for name in ("stages/no-images", "stages/no-masks", "segmentation", "photos"):
        (tmp_path / name).mkdir(parents=True)
    for pipeline in PIPELINES:
        pipeline.params.write_text((ROOT / pipeline.params).read_text("utf-8"), "utf-8")
    folder = tmp_path / "New folder (2)"
    folder.mkdir()
    (folder / "good.png").touch()
    return folder


def set_path(pipeline, key, path):
    """Read custom data, with one path of its own."""
    values = {"data.name": "custom", "data.path": "photos"} | {key: str(path)}
    pipeline.params.write_text(override(pipeline.params.read_text("utf-8"), values), "utf-8")


def message(pipeline):
    with pytest.raises(InputError) as caught:
        check_data_paths(pipeline)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_committed_parameters_pass(scans, pipeline):
    check_data_paths(pipeline)


@each_path
def test_files_folders_and_links_to_them_pass(scans, pipeline, key, shown):
    (scans.parent / "link").symlink_to(scans)
    (scans / "linked.png").symlink_to(scans / "good.png")
    for path in (scans, scans / "good.png", scans.parent / "link", scans / "linked.png"):
        set_path(pipeline, key, path)
        check_data_paths(pipeline)


@each_path
def test_a_missing_path_is_named_with_its_file_and_remedies(scans, pipeline, key, shown):
    set_path(pipeline, key, scans / "no")
    said = message(pipeline)
    assert said.startswith(f"{shown}: {scans}/no does not exist; correct it in {pipeline.params}.")
    assert f"`dvc repro --allow-missing {pipeline.stages}`" in said


@pytest.mark.parametrize("target", ["missing", "link"])
@each_path
def test_a_broken_link_as_path_is_named(scans, pipeline, key, shown, target):
    link = scans.parent / "link"
    link.symlink_to(target)
    set_path(pipeline, key, link)
    assert message(pipeline).startswith(f"{shown}: {link} is a broken link; correct it in ")


@each_path
def test_broken_links_are_named_and_the_command_removes_them_alone(scans, pipeline, key, shown):
    set_path(pipeline, key, scans)
    (scans / "0.png").symlink_to("missing.png")
    assert message(pipeline).startswith(f"{shown}: {scans} contains 1 broken link (0.png), where ")
    for name in ("1.png", "2.png", "3.png", "4.png"):
        (scans / name).symlink_to(name)
    (scans / "linked.png").symlink_to("good.png")
    said = message(pipeline)
    assert "contains 5 broken links (0.png, 1.png, 2.png and 2 more), where DVC stops" in said
    subprocess.run(["sh", "-c", said.partition("to remove: ")[2]], check=True)
    assert sorted(path.name for path in scans.iterdir()) == ["good.png", "linked.png"]
    check_data_paths(pipeline)


@each_path
def test_the_paths_of_the_other_pipeline_do_not_matter(scans, pipeline, key, shown):
    set_path(pipeline, key, "/nowhere")
    (other,) = set(PIPELINES) - {pipeline}
    check_data_paths(other)
    # Not even a file that cannot be read.
    pipeline.params.write_text("[", "utf-8")
    check_data_paths(other)
