"""What several clusterings of the same images agree on, without labels."""

import math
from collections.abc import Sequence

import numpy as np

from iic.matching import contingency_table, hungarian_match

UNTAUGHT = -1


def agreement(clusterings: Sequence[np.ndarray], clusters: int, quorum: float) -> np.ndarray:
    """(n,) int32 the cluster, as the first clustering numbers it, that a quorum chose, or UNTAUGHT.

    Clusters carry no names, so each clustering is first matched to the first one (Hungarian).

    Args:
        clusterings: of the same n images, (n,) integers below `clusters` each.
        clusters: k.
        quorum: share of the clusterings that have to agree on an image, more than a half.
    """
    first = clusterings[0]
    votes = np.zeros((len(first), clusters), np.int32)
    for clustering in clusterings:
        names = hungarian_match(contingency_table(first, clustering, clusters, clusters))
        votes[np.arange(len(first)), names[clustering]] += 1
    # Rounding may not ask for one vote more.
    needed = math.ceil(quorum * len(clusterings) - 1e-9)
    return np.where(votes.max(axis=1) >= needed, votes.argmax(axis=1), UNTAUGHT).astype(np.int32)
