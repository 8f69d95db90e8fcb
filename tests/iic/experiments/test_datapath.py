"""data.path is checked before DVC starts; the message names the path, the links and a remedy."""

import subprocess

import pytest

from iic.core.errors import InputError
from iic.experiments.datapath import check_data_path


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "New folder (2)"
    folder.mkdir()
    (folder / "good.png").touch()
    return folder


def message(path):
    with pytest.raises(InputError) as caught:
        check_data_path(path)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_files_folders_and_links_to_them_pass(scans):
    (scans.parent / "link").symlink_to(scans)
    (scans / "linked.png").symlink_to(scans / "good.png")
    for path in (scans, scans / "good.png", scans.parent / "link", scans / "linked.png"):
        check_data_path(path)


def test_missing_path_is_named_with_remedies(scans):
    said = message(scans / "no")
    assert said.startswith(f"data.path: {scans}/no does not exist; correct it in params.yaml")
    assert "`dvc repro --allow-missing`" in said


@pytest.mark.parametrize("target", ["missing", "link"])
def test_broken_link_as_path_is_named(scans, target):
    link = scans.parent / "link"
    link.symlink_to(target)
    assert f"{link} is a broken link" in message(link)


def test_broken_links_are_counted_and_the_command_removes_them_alone(scans):
    (scans / "0.png").symlink_to("missing.png")
    assert "contains 1 broken link (0.png), where DVC stops" in message(scans)
    for name in ("1.png", "2.png", "3.png", "4.png"):
        (scans / name).symlink_to(name)
    (scans / "linked.png").symlink_to("good.png")
    said = message(scans)
    assert "contains 5 broken links (0.png, 1.png, 2.png and 2 more)" in said
    subprocess.run(["sh", "-c", said.partition("to remove: ")[2]], check=True)
    assert sorted(path.name for path in scans.iterdir()) == ["good.png", "linked.png"]
    check_data_path(scans)
