"""Soft assignments, the output of the network: a probability for each cluster of each head."""

from typing import NamedTuple

import numpy as np


class Assignments(NamedTuple):
    """Soft assignments of n images by both heads.

    Attributes:
        cluster: (n, clusters) float32 probabilities of the clustering head; rows sum to 1.
        overcluster: (n, overclusters) float32 probabilities of the overclustering head.
    """

    cluster: np.ndarray
    overcluster: np.ndarray

    @property
    def hard_cluster(self) -> np.ndarray:
        """Most probable cluster of each image, (n,) integers."""
        return self.cluster.argmax(axis=1)

    @property
    def hard_overcluster(self) -> np.ndarray:
        """Most probable overcluster of each image, (n,) integers."""
        return self.overcluster.argmax(axis=1)

    @property
    def probability(self) -> np.ndarray:
        """Probability of each image's most probable cluster, (n,)."""
        return self.cluster.max(axis=1)
