"""Exact copies among images, and the check that there are enough different ones to train on."""

import hashlib
from typing import NamedTuple

import numpy as np

from iic.core.errors import InputError


class Distinct(NamedTuple):
    """The different images of a set.

    Attributes:
        first: (d,) index of the first copy of each different image, ascending.
        place: (n,) place in `first` of the image that each image is a copy of.
    """

    first: np.ndarray
    place: np.ndarray

    def __str__(self) -> str:
        """Both numbers, such as "600 training images, 100 different"."""
        return f"{len(self.place):,} training images, {len(self.first):,} different"


def find_distinct(images: np.ndarray) -> Distinct:
    """Find the different images among images (n, h, w) or (n, h, w, 3), uint8."""
    places: dict[bytes, int] = {}
    first: list[int] = []
    place = np.empty(len(images), np.int64)
    for index, image in enumerate(images):
        # A digest, since a million images as keys would take their memory again.
        key = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        if key not in places:
            places[key] = len(first)
            first.append(index)
        place[index] = places[key]
    return Distinct(np.array(first, np.int64), place)


def check_enough(distinct: Distinct, clusters: int) -> None:
    """Check that training images are at least as many, copies not counted, as clusters.

    Args:
        distinct: The different training images.
        clusters: Number of outputs of the clustering head; 1 checks only that images differ.

    Raises:
        InputError: There are fewer, or all images are the same.
    """
    n, different = len(distinct.place), len(distinct.first)
    if different == 1 < n:
        raise InputError(
            f"all {n:,} training images are the same, so there is nothing to cluster; check "
            "data.path, data.size and data.ink"
        )
    if different < clusters:
        raise InputError(
            f"model.clusters: {clusters:,} clusters need at least as many different training "
            f"images ({distinct}); lower it"
        )
