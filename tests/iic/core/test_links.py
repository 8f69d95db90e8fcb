"""Files behind links are found once on each way to them; broken links are named, loops end."""

import pytest

from iic.core.links import broken_links, files_below


@pytest.fixture
def folder(tmp_path):
    """A folder with a file, linked folders and files, broken links and loops."""
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "elsewhere/deep/far.png").touch()
    here = tmp_path / "here"
    (here / "0").mkdir(parents=True)
    (here / "0/near.png").touch()
    (here / "1").symlink_to(tmp_path / "elsewhere")
    (here / "0/file.png").symlink_to(tmp_path / "elsewhere/deep/far.png")
    (here / "0/broken.png").symlink_to("missing.png")
    (here / "2").symlink_to("missing")
    (here / "self").symlink_to("self")
    (here / "a").symlink_to("b")
    (here / "b").symlink_to("a")
    (here / "0/up").symlink_to("..")
    (tmp_path / "elsewhere/back").symlink_to(here)
    return here


def names(folder, paths):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_links_are_followed_and_loops_end(folder):
    assert names(folder, files_below(folder)) == [
        *("0/broken.png", "0/file.png", "0/near.png", "1/deep/far.png", "2", "a", "b", "self")
    ]


def test_a_linked_folder_is_searched_on_each_way_to_it(folder):
    (folder / "twice").symlink_to("1")
    assert "twice/deep/far.png" in names(folder, files_below(folder))


def test_broken_links_are_found(folder):
    assert names(folder, broken_links(folder)) == ["0/broken.png", "2", "a", "b", "self"]
