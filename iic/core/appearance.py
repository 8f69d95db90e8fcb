"""How the images of a set look, found once: it holds for all of them, and later for new images."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from iic.core.errors import InputError
from iic.core.files import REMOVE_REMEDY, read_text, write_text
from iic.core.params import Section
from iic.core.validation import explain_first

# Types of numbers that images consist of: booleans, 8-bit integers, other integers, floats.
Numbers = Literal["bits", "bytes", "integers", "floats"]


class Appearance(Section):
    """Value range, ink and paper of a set of images.

    Attributes:
        ranges: Values that become black and white, by type of number.
        ink: Brightness of the ink relative to the paper.
        paper: Grey value of the paper, uint8, once the ink is light; fills margins.
        margin: Which images get a margin when they are fitted: none, those whose border is ink, or
            all, because the set is cut along the ink.
    """

    ranges: dict[Numbers, tuple[float, float]]
    ink: Literal["light", "dark"]
    paper: Annotated[int, Field(ge=0, le=127)] = 0
    margin: Literal["none", "ink", "all"] = "none"

    def limits(self, numbers: Numbers) -> tuple[float, float] | None:
        """Return the values that become black and white; None if the set has no such numbers."""
        return (0, 1) if numbers == "bits" else self.ranges.get(numbers)


_OPTIONAL: TypeAdapter[Appearance | None] = TypeAdapter(Appearance | None)


def write_appearance(appearance: Appearance | None, path: Path) -> None:
    """Write an appearance, None for published data sets, as JSON."""
    text = "null" if appearance is None else appearance.model_dump_json(indent=2)
    write_text(path, f"{text}\n")


def read_appearance(path: Path) -> Appearance | None:
    """Read what `write_appearance` wrote; None for published sets.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        return _OPTIONAL.validate_json(read_text(path, "run `dvc repro`", REMOVE_REMEDY, 1 << 20))
    except ValidationError as error:
        raise InputError(f"{path}: {explain_first(error)}; {REMOVE_REMEDY}") from error
