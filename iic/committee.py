"""What several clusterings of the same images agree on, without labels."""

from collections.abc import Sequence

import numpy as np

from iic.matching import contingency_table, hungarian_match

UNTAUGHT = -1


def agreement(clusterings: Sequence[np.ndarray], clusters: int) -> np.ndarray:
    """(n,) the cluster, as the first clustering numbers it, where all agree; UNTAUGHT elsewhere.

    Clusters carry no names, so each clustering is first matched to the first one (Hungarian).

    Args:
        clusterings: of the same n images, (n,) integers below `clusters` each.
        clusters: k.
    """
    first, *others = clusterings
    agreed = first.astype(np.int32)
    for other in others:
        names = hungarian_match(contingency_table(first, other, clusters, clusters))
        agreed[names[other] != first] = UNTAUGHT
    return agreed
