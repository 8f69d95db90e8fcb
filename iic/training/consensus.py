"""Consensus of several networks (an ensemble): the clusters of most of them, without labels."""

from collections.abc import Sequence

import numpy as np

from iic.core.constants import UNTAUGHT
from iic.model.matching import contingency_table, hungarian_match


def majority(clusterings: Sequence[np.ndarray], clusters: int) -> np.ndarray:
    """Find the cluster of each image that more than half of the clusterings give it.

    The numbers of clusters are arbitrary, so each clustering is first matched to the first one by
    the Hungarian method.

    Args:
        clusterings: Clusterings of the same n images, each (n,) integers from 0 to clusters - 1.
        clusters: Number of clusters k.

    Returns:
        (n,) int32 clusters in the numbering of the first clustering; UNTAUGHT without a majority.
    """
    first = clusterings[0]
    named = np.stack(
        [
            hungarian_match(contingency_table(first, clustering, clusters, clusters))[clustering]
            for clustering in clusterings
        ]
    )
    votes = np.stack([(named == cluster).sum(axis=0) for cluster in range(clusters)], axis=1)
    most = votes.max(axis=1) > len(named) / 2
    return np.where(most, votes.argmax(axis=1), UNTAUGHT).astype(np.int32)
