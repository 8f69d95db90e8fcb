"""Images and assignments that mean little are named."""

import numpy as np
import pytest

from iic.data.check import ImageCheck, Ink, assignment_warnings


def checked(images: np.ndarray, size: str = "fit", known: Ink | None = None) -> str:
    check = ImageCheck(size)
    for part in np.array_split(images, 3):
        check.add(part)
    return "\n".join(check.warnings(known))


@pytest.fixture
def images(digits) -> np.ndarray:
    return digits.train_images[:40]


def test_good_images_are_not_named(images):
    assert checked(images) == ""


def test_doubtful_images_are_counted(images, random):
    noise = random.integers(0, 31, (2, 28, 28)).astype(np.uint8)
    blank = np.concatenate([images, np.zeros((1, 28, 28), np.uint8), noise])
    assert "3 of 43 images are blank: no ink, or a contrast below 40 of 255" in checked(blank)
    assert "1 of 41 images is blank" in checked(blank[:41])
    assert "40 of 40 images are nearly all ink" in checked(255 - images // 8)
    assert "40 of 40 images are dim: no pixel is brighter than 100" in checked(images // 3)


@pytest.mark.parametrize("side", [16, 64, 128])
def test_images_of_any_size_are_judged_alike(images, side):
    enlarged = images.repeat(5, axis=1).repeat(5, axis=2)
    rows = np.linspace(0, 139, side).round().astype(int)
    assert checked(enlarged[:, rows][:, :, rows]) == ""
    small = np.zeros((40, side, side), np.uint8)
    small[:, 2 : 2 + side // 3, 3 : 3 + side // 3] = 255
    assert "40 of 40 images are tiny" in checked(small)


def test_colours_have_no_ink_to_judge(random):
    white = np.full((40, 32, 32, 3), 255, np.uint8)
    white[:, 10:15, 10:15] = random.integers(0, 128, (40, 5, 5, 3))
    assert checked(white) == ""
    assert checked(np.concatenate([white, white[:1] * 0])) == (
        "1 of 41 images is blank: a contrast below 40 of 255"
    )
    assert "40 of 40 images are dim" in checked(white // 4)
    check = ImageCheck("fit")
    check.add(white[:20])
    assert check.warnings(Ink(0.1, 0.01))[0].startswith("brightness is 9")
    assert check.different == 20


def test_tiny_ink_asks_for_crop(images):
    small = np.zeros_like(images)
    small[:, 10:17, 8:15] = images[:, ::4, ::4]
    line = checked(small)
    assert "40 of 40 images are tiny: ink fills " in line
    assert "--size crop" in line
    assert "crop" not in checked(small, "crop")


def test_ink_that_a_large_page_makes_dim_or_blank_asks_for_crop(images):
    small = np.zeros_like(images)
    small[:, 10:17, 8:15] = images[:, ::4, ::4] // 3
    assert "40 of 40 images are tiny: ink fills " in checked(small)
    line = checked(small // 3)
    assert "images are blank" in line
    assert "if their ink is tiny on a large page, set data.size to crop" in line
    assert "crop" not in checked(small // 3, "crop")


def test_unlike_ink_is_named_for_new_images(images):
    check = ImageCheck("fit")
    check.add(images)
    assert checked(images, known=check.ink) == ""
    line = checked(255 - images // 2, known=check.ink)
    assert "% of the training images; their clusters mean little" in line


def test_different_images_are_counted(images):
    check = ImageCheck("fit")
    check.add(np.repeat(images, 2, axis=0))
    check.add(images[:0])
    assert (check.total, check.different) == (80, 40)


def test_assignments_to_one_cluster_or_without_confidence_are_named():
    good = [0.9] * 20
    assert assignment_warnings([*range(10)] * 2, good) == []
    (line,) = assignment_warnings([3] * 19 + [1], good)
    assert line.startswith("19 of 20 images are in cluster 3; are they like the training images?")
    (line,) = assignment_warnings([*range(10)] * 2, [0.4] * 20)
    assert line.startswith("half of the images have a probability below 0.40")
    assert assignment_warnings([3] * 5, [0.1] * 5) == []
