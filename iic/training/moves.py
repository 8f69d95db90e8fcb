r"""Moving parts of overclusters between clusters where that raises the mutual information.

The overclustering head separates styles that the clustering head may join to the wrong digit, for
example sevens with a cross-bar to the twos. The part of an image is the pair of its overcluster and
its cluster, so an overcluster that the clustering head splits between two clusters has two parts.
Let P be the joint matrix of the parts over pairs of training images, and let a mapping name the
cluster of each part, at first its own. The merged joint matrix is M = CᵀPC with the indicator C
(parts, k) of the mapping, at first that of the clustering head, and its mutual information, the
objective of the loss for alpha = 1, is

    I(M) = 2·H(Mᵢ) - H(M)

Greedily, the single move that raises it most is made, until none raises it enough. Parts move
rather than whole overclusters, since one that is rightly split would move as a whole. And alpha
stays 1, since a larger one rewards clusters of equal size, also for wrong moves.
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.special import entr

# A move has to raise the information by this many nats over the number of images: what a handful of
# images says is chance, in a small set as in a large one (measured: docs/recipe-log.md).
MIN_GAIN = 20.0
# Stands for the part of an image outside the sample, whose pairs are not counted.
LEFT_OUT = -1


class Move(NamedTuple):
    """A part, the cluster it leaves (where an earlier move put it), the one it joins, nats won."""

    part: int
    source: int
    target: int
    gain: float


def parts_of(overcluster: np.ndarray, cluster: np.ndarray, clusters: int) -> np.ndarray:
    """(n,) the part that each image lies in, overcluster·k + cluster; both (n,) integers."""
    return overcluster * clusters + cluster


def exact_joint(
    first: np.ndarray, second: np.ndarray, partners: np.ndarray, parts: int
) -> csr_array:
    """Joint matrix of the parts over all pairs: P (parts, parts), symmetric, sums to 1.

    Counted are surest assignments, not probabilities: while these are still spread over many
    overclusters, they tell little of which images an overcluster holds.

    Args:
        first: (n,) part of each image as the first of a pair, or LEFT_OUT.
        second: (n,) as the second.
        partners: (n, m) images that each is paired with.
        parts: number of parts; most pairs of them never meet, so the matrix is sparse.
    """
    counts = csr_array((parts, parts))
    for column in partners.T:  # one at a time, since all pairs at once may not fit the memory
        counted = (first != LEFT_OUT) & (second[column] != LEFT_OUT)
        pairs = (first[counted], second[column][counted])
        counts += coo_array((np.ones(counted.sum()), pairs), shape=(parts, parts)).tocsr()
    return (counts + counts.T) / (2 * counts.sum())


def indicator(mapping: np.ndarray, clusters: int) -> np.ndarray:
    """C (parts, k): one in each row, at the part's cluster."""
    return np.eye(clusters)[mapping]


def merged(p_ij: csr_array | np.ndarray, mapping: np.ndarray, clusters: int) -> np.ndarray:
    """M = CᵀPC (k, k), the joint matrix after all parts of a cluster became one."""
    members = indicator(mapping, clusters)
    return members.T @ (p_ij @ members)


def information(p_ij: np.ndarray) -> float:
    """I = 2·H(Pᵢ) - H(P) in nats of a symmetric joint matrix; empty cells count as 0."""
    return float(2 * entr(p_ij.sum(axis=0)).sum() - entr(p_ij).sum())


def best_moves(
    p_ij: csr_array | np.ndarray, mapping: np.ndarray, clusters: int, images: int
) -> tuple[np.ndarray, list[Move]]:
    """Make the move that raises the mutual information most until none is worth MIN_GAIN.

    The information has an upper bound, so this ends.

    Args:
        p_ij: (parts, parts) symmetric joint matrix, sums to 1.
        mapping: (parts,) cluster of each part, to start from.
        clusters: k.
        images: number of images that p_ij counts.

    Returns:
        The mapping after all moves, and the moves in their order.
    """
    mapping = mapping.copy()
    moves: list[Move] = []
    while True:
        gains = _gains(p_ij, mapping, clusters)
        part, target = np.unravel_index(gains.argmax(), gains.shape)
        gain = float(gains[part, target])
        if gain * images < MIN_GAIN:
            return mapping, moves
        moves.append(Move(int(part), int(mapping[part]), int(target), gain))
        mapping[part] = target


def _gains(p_ij: csr_array | np.ndarray, mapping: np.ndarray, clusters: int) -> np.ndarray:
    """(parts, k) rise of the mutual information when one part goes to one cluster.

    With the row r = P_p·C of part p, its move from s to t takes r from row and column s of M and
    adds it to row and column t. Nothing else changes, so nothing else is computed.
    """
    rows, same = p_ij @ indicator(mapping, clusters), p_ij.diagonal()
    now = merged(p_ij, mapping, clusters)
    gains = np.zeros((len(mapping), clusters))
    for source, target in permutations(range(clusters), 2):
        inside = np.flatnonzero((mapping == source) & (rows.sum(axis=1) > 0))
        r, pair = rows[inside], [source, target]
        change = np.stack([-r, r], axis=1)
        # Where both rows cross their columns, the part meets itself as well.
        change[:, :, pair] += change[:, :, pair].transpose(0, 2, 1)
        change[:, :, pair] += same[inside, None, None] * np.array([[1, -1], [-1, 1]])
        moved = np.maximum(now[pair] + change, 0)
        gains[inside, target] = _of_rows(moved, pair) - _of_rows(now[pair], pair)
    return gains


def _of_rows(rows: np.ndarray, pair: list[int]) -> np.ndarray:
    """What two rows (..., 2, k) of M and the same columns contribute to its information."""
    # Columns are rows again, but for the 2×2 cells in which they cross.
    cells = 2 * entr(rows).sum(axis=(-2, -1)) - entr(rows[..., pair]).sum(axis=(-2, -1))
    return 2 * entr(rows.sum(axis=-1)).sum(axis=-1) - cells
