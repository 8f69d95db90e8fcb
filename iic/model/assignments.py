"""What a network says of images: a probability for each output of each head."""

from typing import NamedTuple

import numpy as np


class Assignments(NamedTuple):
    """Soft assignments of n images: `cluster` (n, clusters), `overcluster` (n, overclusters)."""

    cluster: np.ndarray
    overcluster: np.ndarray

    @property
    def hard_cluster(self) -> np.ndarray:
        """(n,) the most probable cluster."""
        return self.cluster.argmax(axis=1)

    @property
    def hard_overcluster(self) -> np.ndarray:
        """(n,) the most probable overcluster."""
        return self.overcluster.argmax(axis=1)

    @property
    def probability(self) -> np.ndarray:
        """(n,) of the most probable cluster."""
        return self.cluster.max(axis=1)
