"""Commands name their own options where the readers of images name keys of params.yaml."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from iic.cli.remedies import in_options, options_in_errors
from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.data.check import ImageCheck
from iic.data.examine import examine
from iic.data.found import find_parts
from iic.data.images import ArraySource, Reading, read_images


@options_in_errors()
def read(path: Path, most: int, **reading: str) -> None:
    look = Appearance(ranges={"bytes": (0, 255)}, ink="light")
    for part in find_parts(path, most, names="nothing").values():
        list(read_images(part.source, look, Reading(**reading), pytest.fail))


def refused(path: Path, most: int = 10, **reading: str) -> str:
    with pytest.raises(InputError) as error:
        read(path, most, **reading)
    line = str(error.value)
    assert "data." not in line.replace(str(path), "")
    return line


def test_too_many_images(tmp_path):
    images = np.zeros((3, 28, 28), np.uint8)
    np.save(tmp_path / "x.npy", images)
    np.savez(tmp_path / "x.npz", images=images)
    (tmp_path / "x.csv").write_text("\n".join([",".join(["0"] * 785)] * 3))
    (tmp_path / "names.csv").write_text("a.png,1\nb.png,2\nc.png,3\n")
    (tmp_path / "x").mkdir()
    for number in range(3):
        Image.new("L", (28, 28)).save(tmp_path / f"x/{number}.png")
    for name in ("x.npy", "x.npz", "x.csv", "names.csv", "x"):
        assert "--max-images" in refused(tmp_path / name, most=2)


def test_broken_links_and_other_sizes(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a.png").symlink_to("/nowhere.png")
    assert refused(tmp_path / "x").endswith("restore or remove them, or give --skip-broken")
    assert refused(tmp_path / "x/a.png").endswith("restore or remove it, or give --skip-broken")
    Image.new("L", (20, 40)).save(tmp_path / "data.size.png")
    line = refused(tmp_path / "data.size.png", size="refuse")
    assert line.endswith("set --size to fit, stretch or crop")
    assert str(tmp_path / "data.size.png") in line


def test_two_data_sets(tmp_path):
    for name in ("a", "b"):
        header = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2])
        (tmp_path / name).write_bytes(header + name.encode() * 8)
    assert refused(tmp_path).endswith("remove one, or give one data set")


def test_warnings_of_images():
    check = ImageCheck("fit")
    dot = np.zeros((4, 28, 28), np.uint8)
    dot[:, 10:13, 10:13] = 255
    check.add(np.concatenate([dot, np.full((4, 28, 28), 255, np.uint8)]))
    source = ArraySource("x", np.zeros((2, 28, 28, 3), np.uint8))
    lines = [*check.warnings(), *examine([source], "auto", has_colors=True).warnings]
    said = "\n".join(map(in_options, lines))
    assert "give --size crop" in said
    assert "exchanged, give --ink" in said
    assert "no colours in the images examined, but the network sees colours" in said
    assert "data." not in said
    assert "iic predict" not in said
