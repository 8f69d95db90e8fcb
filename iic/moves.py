r"""Moving single overclusters between clusters where that raises the mutual information.

The overclustering head separates styles that the clustering head may join to the wrong digit, for
example sevens with a cross-bar to the twos. Let P (k', k') be the overclusters' joint matrix over
all pairs of training images, and let a mapping name the cluster of each overcluster. Its merged
joint matrix is M = CᵀPC with the (k', k) indicator C of the mapping, and its mutual information,
the objective of the loss for alpha = 1, is

    I(M) = 2·H(Mᵢ) - H(M)

As long as another cluster for a single overcluster raises it by MIN_GAIN, the best such move is
made. A larger alpha would pay for even clusters with wrong moves.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import entr

from iic.matching import contingency_table

# Nats by which a move has to raise the information. All wrong moves that were seen stayed below
# it, nearly all right ones above (reports/recipe-log.md).
MIN_GAIN = 0.002


class Move(NamedTuple):
    """An overcluster, the cluster it leaves, the one it joins, and the rise in nats."""

    overcluster: int
    source: int
    target: int
    gain: float


def exact_joint(first: np.ndarray, second: np.ndarray, partners: np.ndarray, k: int) -> np.ndarray:
    """How often two overclusters meet in a pair: P (k', k'), symmetric, sums to 1.

    Counted are surest overclusters, not probabilities: while these are still spread over many
    overclusters, they tell little of which images an overcluster holds.

    Args:
        first: (n,) overcluster of each image as the first of a pair.
        second: (n,) as the second.
        partners: (n, m) images that each is paired with.
        k: k'.
    """
    counts = np.zeros((k, k))
    for column in partners.T:  # one at a time, since all pairs at once may not fit the memory
        counts += contingency_table(first, second[column], k, k)
    return (counts + counts.T) / (2 * counts.sum())


def indicator(mapping: np.ndarray, clusters: int) -> np.ndarray:
    """C (k', k): one in each row, at the overcluster's cluster."""
    return np.eye(clusters)[mapping]


def merged(p_ij: np.ndarray, mapping: np.ndarray, clusters: int) -> np.ndarray:
    """M = CᵀPC (k, k), the joint matrix after all overclusters of a cluster became one."""
    members = indicator(mapping, clusters)
    return members.T @ p_ij @ members


def information(p_ij: np.ndarray) -> float:
    """I = 2·H(Pᵢ) - H(P) in nats of a symmetric joint matrix; empty cells count as 0."""
    return float(2 * entr(p_ij.sum(axis=0)).sum() - entr(p_ij).sum())


def best_moves(
    p_ij: np.ndarray, mapping: np.ndarray, clusters: int
) -> tuple[np.ndarray, list[Move]]:
    """Make the move that raises the mutual information most until none raises it by MIN_GAIN.

    The information has an upper bound, so this ends.

    Args:
        p_ij: (k', k') symmetric joint matrix of the overclustering head, sums to 1.
        mapping: (k',) cluster of each overcluster, to start from.
        clusters: k.

    Returns:
        The mapping after all moves, and the moves in their order.
    """
    mapping = mapping.copy()
    moves: list[Move] = []
    while True:
        gains = _gains(p_ij, mapping, clusters)
        overcluster, target = np.unravel_index(gains.argmax(), gains.shape)
        gain = float(gains[overcluster, target])
        if gain < MIN_GAIN:
            return mapping, moves
        moves.append(Move(int(overcluster), int(mapping[overcluster]), int(target), gain))
        mapping[overcluster] = target


def _gains(p_ij: np.ndarray, mapping: np.ndarray, clusters: int) -> np.ndarray:
    """(k', k) rise of the mutual information when one overcluster goes to one cluster.

    With d = e_target - e_source and r = P_o·C, C becomes C + e_o dᵀ and so M becomes
    M + d rᵀ + r dᵀ + P_oo d dᵀ: no product with the large P for each of the k'·k moves.
    """
    rows = p_ij @ indicator(mapping, clusters)
    now = merged(p_ij, mapping, clusters)
    gains = np.zeros((len(mapping), clusters))
    unit = np.eye(clusters)
    for overcluster, target in np.ndindex(*gains.shape):
        d, r = unit[target] - unit[mapping[overcluster]], rows[overcluster]
        change = np.outer(d, r)
        moved = now + change + change.T + p_ij[overcluster, overcluster] * np.outer(d, d)
        gains[overcluster, target] = information(np.maximum(moved, 0))
    return gains - information(now)
