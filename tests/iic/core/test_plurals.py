"""Numbers with nouns."""

import pytest

from iic.core.plurals import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (1000, "1,000 images")]
)
def test_noun_agrees_with_its_number(number, text):
    assert counted(number, "image") == text


def test_irregular_plural_can_be_given():
    assert counted(1, "class", "classes") == "1 class"
    assert counted(3, "class", "classes") == "3 classes"
