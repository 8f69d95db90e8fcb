"""Mosaics of textures: the offline data set, whose segments differ only in their structure.

Each mosaic has random Voronoi cells, filled from photographs of brick, grass and gravel (512×512
grey, CC0, part of scikit-image's package). All photographs get the same mean and contrast, which so
do not tell the textures apart. Training mosaics use the left halves of the photographs and test
mosaics the right halves.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial import KDTree

from iic.core.errors import InputError

NAMES = ("brick", "grass", "gravel")
# Mean and standard deviation of the grey values of each texture.
_MEAN, _DEVIATION = 128.0, 45.0
# Fewest and most cells of a mosaic.
_CELLS = (3, 6)


def installed_textures() -> dict[str, np.ndarray]:
    """Read the photographs from the installed scikit-image, without importing it.

    Returns:
        (512, 512) uint8 grey values by name.

    Raises:
        InputError: scikit-image is not installed, or a photograph is missing from it.
    """
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise InputError("scikit-image: not installed; `make segment` installs it")
    return {name: _photograph(Path(found.origin).parent / f"data/{name}.png") for name in NAMES}


def _photograph(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); reinstall scikit-image"
        ) from error


def equalized(texture: np.ndarray) -> np.ndarray:
    """Give a texture, uint8, the mean and the standard deviation that all textures get."""
    values = (texture - texture.mean()) / texture.std()
    return np.rint(_MEAN + _DEVIATION * values).clip(0, 255).astype(np.uint8)


def mosaics(
    textures: Mapping[str, np.ndarray], count: int, side: int, half: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw mosaics.

    Args:
        textures: (h, w) uint8 grey values by name, in the order of the classes.
        count: Number of mosaics n.
        side: Height and width of a mosaic in pixels, at most half the width of a texture.
        half: Half of the textures to cut from, 0 = left, 1 = right.
        seed: Seed of all random choices.

    Returns:
        Mosaics (n, side, side), uint8, and the texture of each pixel (n, side, side), uint8.
    """
    halves = []
    for texture in textures.values():
        middle = texture.shape[1] // 2
        halves.append(equalized(texture)[:, half * middle : (half + 1) * middle])
    random = np.random.default_rng([seed, half])
    drawn = [_mosaic(halves, side, random) for _ in range(count)]
    return np.stack([image for image, _ in drawn]), np.stack([truth for _, truth in drawn])


def _mosaic(
    textures: list[np.ndarray], side: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one mosaic; each cell has its own place in a texture, so that edges do not line up."""
    cells = int(random.integers(_CELLS[0], _CELLS[1] + 1))
    # All textures, as far as there are cells, then any.
    order = random.permutation(len(textures))
    chosen = np.concatenate([order, random.integers(len(textures), size=cells)])[:cells]
    seeds = random.uniform(0, side, (cells, 2))
    rows, columns = np.mgrid[:side, :side]
    points = np.stack([rows, columns], axis=-1).reshape(-1, 2)
    cell = KDTree(seeds).query(points)[1].reshape(side, side)
    image = np.empty((side, side), np.uint8)
    for number, kind in enumerate(chosen):
        texture = textures[kind]
        top, left = (int(random.integers(size - side + 1)) for size in texture.shape)
        inside = cell == number
        image[inside] = texture[top : top + side, left : left + side][inside]
    return image, chosen[cell].astype(np.uint8)
