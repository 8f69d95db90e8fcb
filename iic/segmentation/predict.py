"""Segments of pictures by a trained network."""

import keras
import numpy as np

from iic.model.network import as_input
from iic.segmentation.network import build_fine

# Pixels of the tiles that are segmented at once: 50 MB for 24 probabilities each.
_PIXELS = 1 << 19


def segment_tiles(
    network: keras.Model, poolings: int, tiles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Segment tiles.

    Args:
        network: Network from build_trunk.
        poolings: Number of its poolings.
        tiles: (n, s, s) or (n, s, s, 3) uint8 tiles.

    Returns:
        Segments of the clustering and of the overclustering head, both (n, s, s) uint8.
    """
    fine = build_fine(network, poolings)
    size = max(1, _PIXELS // (tiles.shape[1] * tiles.shape[2]))
    found: tuple[list[np.ndarray], ...] = ([], [])
    for start in range(0, len(tiles), size):
        for segments, soft in zip(found, fine(as_input(tiles[start : start + size])), strict=True):
            segments.append(np.argmax(soft, axis=-1).astype(np.uint8))
    cluster, overcluster = (np.concatenate(segments) for segments in found)
    return cluster, overcluster
