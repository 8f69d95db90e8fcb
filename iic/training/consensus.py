"""What several clusterings of the same images agree on, without labels."""

import logging
import math
from collections.abc import Sequence

import numpy as np

from iic.core.constants import UNTAUGHT
from iic.model.matching import contingency_table, hungarian_match

log = logging.getLogger(__name__)


def agreement(
    clusterings: Sequence[np.ndarray], clusters: int, kept: float, quorum: float
) -> np.ndarray:
    """(n,) int32 the cluster, as the first clustering numbers it, that a quorum chose, or UNTAUGHT.

    Clusters carry no names, so each clustering is first matched to the first one (Hungarian). One
    that has a whole style in the wrong cluster is further from what most say than the others are.

    Args:
        clusterings: of the same n images, (n,) integers below `clusters` each.
        clusters: k.
        kept: share of the clusterings that vote, those nearest to what most say.
        quorum: share of these that have to agree on an image, more than a half.
    """
    first = clusterings[0]
    named = np.stack(
        [
            hungarian_match(contingency_table(first, clustering, clusters, clusters))[clustering]
            for clustering in clusterings
        ]
    )
    near = (named == _votes(named, clusters).argmax(axis=1)).mean(axis=1)
    order = np.argsort(-near, kind="stable")
    voters, others = np.split(order, [max(1, round(kept * len(named)))])
    if len(others):
        log.info("furthest from what most say, so without a vote: %s", _numbers(others))
    votes = _votes(named[voters], clusters)
    # Rounding may not ask for one vote more.
    needed = math.ceil(quorum * len(voters) - 1e-9)
    return np.where(votes.max(axis=1) >= needed, votes.argmax(axis=1), UNTAUGHT).astype(np.int32)


def _votes(named: np.ndarray, clusters: int) -> np.ndarray:
    """(n, clusters) how many of the clusterings (m, n) have an image in a cluster."""
    return np.stack([(named == cluster).sum(axis=0) for cluster in range(clusters)], axis=1)


def _numbers(members: np.ndarray) -> str:
    return ", ".join(str(member + 1) for member in sorted(members))
