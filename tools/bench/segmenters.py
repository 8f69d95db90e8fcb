"""Ways to segment tiles without labels, and without a network: peers of the segmentation pipeline.

All are fitted to the training tiles and score the test tiles, as the network does. Three of them
group pixels or regions by k-means; they differ in what describes a pixel.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve
from skimage.color import rgb2lab
from skimage.filters import gabor_kernel
from skimage.segmentation import felzenszwalb, slic
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

# Tiles, evenly spread over those of the training, and pixels of them that k-means is fitted to.
_FITTED, _SAMPLED = 120, 100_000
# Cycles per pixel and orientations of the filters; extent of the mean of their energies, pixels.
_FREQUENCIES, _ORIENTATIONS, _EXTENT = (0.1, 0.2, 0.35), 4, 5.0
# Settings of the regions: scale of Felzenszwalb, and pixels of a superpixel of SLIC.
_SCALE, _SUPERPIXEL = 100.0, 150

# Describes the pixels of a tile (h, w) or (h, w, 3): (h, w, features) float32.
Features = Callable[[np.ndarray], np.ndarray]
# Numbers the regions of a tile from 0: (h, w) integers.
Regions = Callable[[np.ndarray], np.ndarray]


class Segmenter(NamedTuple):
    """A method to segment tiles.

    Attributes:
        features: Description of a pixel.
        regions: Regions that get one segment each; None for single pixels.
    """

    features: Features
    regions: Regions | None = None


def colors(tile: np.ndarray) -> np.ndarray:
    """Describe a pixel by its grey value, or by its red, green and blue; 0 to 1."""
    shown = tile if tile.ndim == 3 else tile[..., None]
    return (shown / np.float32(255)).astype(np.float32)


def energies(tile: np.ndarray) -> np.ndarray:
    """Describe a pixel by the energies of Gabor filters around it, and by its colours.

    The energy of a filter is the logarithm of the mean of its squared response near the pixel; a
    grey value itself says nothing about a texture, so only colours are added.
    """
    grey = tile if tile.ndim == 2 else tile.mean(axis=2)
    grey = grey / np.float32(255)
    found = []
    for kernel in _KERNELS:
        wide = np.pad(grey, [(side // 2, side // 2) for side in kernel.shape], "symmetric")
        squared = sum(fftconvolve(wide, part, "valid") ** 2 for part in (kernel.real, kernel.imag))
        found.append(np.log(ndimage.gaussian_filter(squared, _EXTENT) + 1e-6))
    if tile.ndim == 3:
        lab = rgb2lab(tile) / 100
        found += [ndimage.gaussian_filter(lab[..., channel], 1.0) for channel in range(3)]
    return np.stack(found, axis=-1).astype(np.float32)


# Scikit-image does not annotate the function.
_KERNELS = [
    gabor_kernel(frequency, theta=number * np.pi / _ORIENTATIONS)  # type: ignore[no-untyped-call]
    for frequency in _FREQUENCIES
    for number in range(_ORIENTATIONS)
]


def _felzenszwalb(tile: np.ndarray) -> np.ndarray:
    return felzenszwalb(tile, scale=_SCALE, channel_axis=None if tile.ndim == 2 else -1)


def _slic(tile: np.ndarray) -> np.ndarray:
    return slic(
        tile,
        n_segments=max(1, tile.shape[0] * tile.shape[1] // _SUPERPIXEL),
        channel_axis=None if tile.ndim == 2 else -1,
        start_label=0,
    )


SEGMENTERS = {
    "k-means": Segmenter(colors),
    "energies": Segmenter(energies),
    "felzenszwalb": Segmenter(energies, _felzenszwalb),
    "slic": Segmenter(energies, _slic),
}


def segment(
    method: Segmenter, train: np.ndarray, test: np.ndarray, k: int, seed: int
) -> np.ndarray:
    """Fit a method to training tiles and segment test tiles.

    Args:
        method: Method of SEGMENTERS.
        train: (n, s, s) or (n, s, s, 3) uint8 training tiles.
        test: (m, s, s) or (m, s, s, 3) uint8 test tiles.
        k: Number of segments.
        seed: Seed of k-means and of the sample.

    Returns:
        Segments (m, s, s), integers.
    """
    random = np.random.default_rng(seed)
    fitted = train[:: max(1, len(train) // _FITTED)]
    sample = np.concatenate(
        [rows for rows, _ in _described(method, fitted, random, _SAMPLED // len(fitted) + 1)]
    )
    scaler = StandardScaler().fit(sample)
    model = KMeans(n_clusters=k, n_init=5, random_state=seed).fit(scaler.transform(sample))
    return np.stack(
        [model.predict(scaler.transform(rows))[places] for rows, places in _described(method, test)]
    )


def _described(
    method: Segmenter,
    tiles: np.ndarray,
    random: np.random.Generator | None = None,
    most: int | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each tile the descriptions (n, features) of its pixels or regions, or of some.

    Beside them stands which of them each pixel has, (h, w); it has no meaning for a sample.
    """
    for tile in tiles:
        pixels = method.features(tile)
        if method.regions is None:
            rows = pixels.reshape(-1, pixels.shape[-1])
            places = np.arange(len(rows)).reshape(tile.shape[:2])
        else:
            places = method.regions(tile)
            rows = _means(pixels, places)
        if random is not None and most is not None and len(rows) > most:
            rows = rows[random.choice(len(rows), most, replace=False)]
        yield rows, places


def _means(pixels: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Return the mean description of each region, (regions, features)."""
    flat, numbers = pixels.reshape(-1, pixels.shape[-1]), regions.ravel()
    sizes = np.bincount(numbers)
    sums = np.stack([np.bincount(numbers, column) for column in flat.T], axis=1)
    return sums / sizes[:, None]
