r"""Moving single overclusters between clusters where that raises the objective.

The overclustering head separates styles that the clustering head may join to the wrong digit, for
example sevens with a cross-bar to the twos. Let P (k', k') be the overclustering head's joint
matrix over all pairs of training images, and let a mapping name the cluster of each overcluster.
Its merged joint matrix is M = CᵀPC with the (k', k) indicator C of the mapping, and its objective
that of the loss, without labels:

    alpha·2·H(Mᵢ) - H(M)

As long as another cluster for a single overcluster raises it, the best such move is made.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import entr

# Of a sum of k² terms in float64; a gain below it is none.
_ROUNDING = 1e-9


class Move(NamedTuple):
    """An overcluster, the cluster it leaves, the one it joins, and the objective's rise in nats."""

    overcluster: int
    source: int
    target: int
    gain: float


def exact_joint(z: np.ndarray, z_t: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """P = Σᵢ Σⱼ zᵢ z'ⱼᵀ over all images i and their partners j, symmetric, sums to 1.

    Args:
        z: (n, k') soft assignments of the first view of each image.
        z_t: (n, k') of its second view.
        partners: (n, m) images that each is paired with.
    """
    total = np.zeros((z.shape[1], z.shape[1]))
    for column in partners.T:
        total += z.T @ z_t[column]
    return (total + total.T) / (2 * total.sum())


def indicator(mapping: np.ndarray, clusters: int) -> np.ndarray:
    """C (k', k): one in each row, at the overcluster's cluster."""
    return np.eye(clusters)[mapping]


def merged(p_ij: np.ndarray, mapping: np.ndarray, clusters: int) -> np.ndarray:
    """M = CᵀPC (k, k), the joint matrix after all overclusters of a cluster became one."""
    members = indicator(mapping, clusters)
    return members.T @ p_ij @ members


def objective(p_ij: np.ndarray, alpha: float) -> float:
    """alpha·2·H(Pᵢ) - H(P) in nats of a symmetric joint matrix; empty cells count as 0."""
    return float(2 * alpha * entr(p_ij.sum(axis=0)).sum() - entr(p_ij).sum())


def best_moves(
    p_ij: np.ndarray, mapping: np.ndarray, clusters: int, alpha: float
) -> tuple[np.ndarray, list[Move]]:
    """Make the move that raises the objective most until none does.

    Each move raises it and there are finitely many mappings, so this ends.

    Args:
        p_ij: (k', k') symmetric joint matrix of the overclustering head, sums to 1.
        mapping: (k',) cluster of each overcluster, to start from.
        clusters: k.
        alpha: weight of the marginal entropies.

    Returns:
        The mapping after all moves, and the moves in their order.
    """
    mapping = mapping.copy()
    moves: list[Move] = []
    while True:
        gains = _gains(p_ij, mapping, clusters, alpha)
        overcluster, target = np.unravel_index(gains.argmax(), gains.shape)
        gain = float(gains[overcluster, target])
        if gain <= _ROUNDING:
            return mapping, moves
        moves.append(Move(int(overcluster), int(mapping[overcluster]), int(target), gain))
        mapping[overcluster] = target


def _gains(p_ij: np.ndarray, mapping: np.ndarray, clusters: int, alpha: float) -> np.ndarray:
    """(k', k) rise of the objective when one overcluster goes to one cluster.

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
        gains[overcluster, target] = objective(np.maximum(moved, 0), alpha)
    return gains - objective(now, alpha)
