"""Consensus of a committee (ensemble): the clusters that its members agree on, without labels."""

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
    """Find the cluster of each image on which a quorum of the clusterings agrees.

    The numbers of clusters are arbitrary, so each clustering is first matched to the first one by
    the Hungarian method. The members that differ most from the majority then lose their vote: a
    member with a whole style in the wrong cluster differs more than the others.

    Args:
        clusterings: Clusterings of the same n images, each (n,) integers from 0 to clusters - 1.
        clusters: Number of clusters k.
        kept: Share of the clusterings that vote, those closest to the majority, in (0, 1].
        quorum: Share of the voters that have to agree on an image, in (0.5, 1].

    Returns:
        (n,) int32 agreed clusters in the numbering of the first clustering; UNTAUGHT where there is
        no quorum.
    """
    first = clusterings[0]
    named = np.stack(
        [
            hungarian_match(contingency_table(first, clustering, clusters, clusters))[clustering]
            for clustering in clusterings
        ]
    )
    closeness = (named == _votes(named, clusters).argmax(axis=1)).mean(axis=1)
    order = np.argsort(-closeness, kind="stable")
    voters, others = np.split(order, [max(1, round(kept * len(named)))])
    if len(others):
        log.info(
            "members without a vote, furthest from the majority: %s",
            ", ".join(str(member + 1) for member in sorted(others)),
        )
    votes = _votes(named[voters], clusters)
    # Subtract a little, so that rounding does not ask for one more vote.
    needed = math.ceil(quorum * len(voters) - 1e-9)
    return np.where(votes.max(axis=1) >= needed, votes.argmax(axis=1), UNTAUGHT).astype(np.int32)


def _votes(named: np.ndarray, clusters: int) -> np.ndarray:
    """Count, for each image and cluster, the clusterings (m, n) that agree: (n, clusters)."""
    return np.stack([(named == cluster).sum(axis=0) for cluster in range(clusters)], axis=1)
