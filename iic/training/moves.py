r"""Reassignment of overclusters: move parts of them to the cluster that fits their pairs better.

The overclustering head separates styles that the clustering head may put into the wrong cluster,
for example sevens with a cross-bar among the twos. A part is the set of images with the same
overcluster and the same cluster, so an overcluster that is split between two clusters has two
parts. Let P be the joint matrix of the parts over pairs of training images, and let a mapping
assign each part to a cluster. With the mapping's indicator matrix C (parts, k), the joint matrix of
the clusters is

    M = CᵀPC                  (k, k)

and its mutual information, the objective of the loss for alpha = 1, is

    I(M) = 2·H(Mᵢ) - H(M)

The mapping starts at the parts' own clusters. A greedy search makes the single move that raises
I(M) most, until no move raises it enough. It moves parts rather than whole overclusters, because an
overcluster that is rightly split has to stay split. Alpha is 1, because a larger alpha rewards
clusters of equal size, which also favours wrong moves.
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.special import entr

# Smallest rise of the mutual information that is worth a move, in nats times images. Evidence from
# a few images is chance, in small and in large data sets (measurements: docs/recipe-log.md).
MIN_GAIN = 20.0
# Part of an image outside the sample; its pairs are not counted.
LEFT_OUT = -1


class Move(NamedTuple):
    """One move of a part to another cluster.

    Attributes:
        part: Number of the part.
        source: Cluster that the part leaves; an earlier move may have put it there.
        target: Cluster that the part joins.
        gain: Rise of the mutual information in nats.
    """

    part: int
    source: int
    target: int
    gain: float


def parts_of(overcluster: np.ndarray, cluster: np.ndarray, clusters: int) -> np.ndarray:
    """Number the part of each image as overcluster·k + cluster.

    Args:
        overcluster: (n,) integer overclusters.
        cluster: (n,) integer clusters.
        clusters: Number of clusters k.

    Returns:
        (n,) integer parts.
    """
    return overcluster * clusters + cluster


def exact_joint(
    first: np.ndarray, second: np.ndarray, partners: np.ndarray, parts: int
) -> csr_array:
    """Compute the joint matrix of the parts over all pairs of each image with its partners.

    It counts hard assignments. Probabilities are spread over many overclusters early in training
    and then say little about which images an overcluster contains.

    Args:
        first: (n,) part of each image as the first of a pair, or LEFT_OUT.
        second: (n,) part of each image as the second of a pair, or LEFT_OUT.
        partners: (n, m) indices of the partners of each image.
        parts: Number of parts.

    Returns:
        (parts, parts) joint matrix, symmetric, with sum 1; sparse, since most parts never meet.
    """
    counts = csr_array((parts, parts))
    for column in partners.T:  # all pairs at once may not fit into memory
        counted = (first != LEFT_OUT) & (second[column] != LEFT_OUT)
        pairs = (first[counted], second[column][counted])
        counts += coo_array((np.ones(counted.sum()), pairs), shape=(parts, parts)).tocsr()
    return (counts + counts.T) / (2 * counts.sum())


def indicator(mapping: np.ndarray, clusters: int) -> np.ndarray:
    """Build the indicator matrix C of a mapping.

    Args:
        mapping: (parts,) cluster of each part.
        clusters: Number of clusters k.

    Returns:
        (parts, k) float64, 1 at each part's cluster and 0 elsewhere.
    """
    return np.eye(clusters)[mapping]


def merged(p_ij: csr_array | np.ndarray, mapping: np.ndarray, clusters: int) -> np.ndarray:
    """Compute M = CᵀPC, the (k, k) joint matrix of the clusters.

    Args:
        p_ij: (parts, parts) joint matrix of the parts.
        mapping: (parts,) cluster of each part.
        clusters: Number of clusters k.

    Returns:
        (k, k) joint matrix, symmetric, with the sum of p_ij.
    """
    members = indicator(mapping, clusters)
    return members.T @ (p_ij @ members)


def information(p_ij: np.ndarray) -> float:
    """Compute I = 2·H(Pᵢ) - H(P), in nats, of a symmetric joint matrix; empty cells count as 0."""
    return float(2 * entr(p_ij.sum(axis=0)).sum() - entr(p_ij).sum())


def best_moves(
    p_ij: csr_array | np.ndarray, mapping: np.ndarray, clusters: int, images: int
) -> tuple[np.ndarray, list[Move]]:
    """Make the move that raises the mutual information most, until no gain reaches MIN_GAIN.

    The search ends, since the mutual information has an upper bound.

    Args:
        p_ij: (parts, parts) joint matrix of the parts, symmetric, with sum 1.
        mapping: (parts,) initial cluster of each part.
        clusters: Number of clusters k.
        images: Number of images counted in p_ij.

    Returns:
        The (parts,) mapping after all moves, and the moves in order.
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
    """Compute the rise of the mutual information for each move of one part: (parts, k).

    With the row r = P_p·C of part p, its move from cluster s to t subtracts r from row and column s
    of M and adds it to row and column t. Only these rows and columns are computed.
    """
    rows, same = p_ij @ indicator(mapping, clusters), p_ij.diagonal()
    now = merged(p_ij, mapping, clusters)
    gains = np.zeros((len(mapping), clusters))
    for source, target in permutations(range(clusters), 2):
        inside = np.flatnonzero((mapping == source) & (rows.sum(axis=1) > 0))
        r, pair = rows[inside], [source, target]
        change = np.stack([-r, r], axis=1)
        # In the 2×2 cells where they cross, both the rows and the columns change, and P_pp moves.
        change[:, :, pair] += change[:, :, pair].transpose(0, 2, 1)
        change[:, :, pair] += same[inside, None, None] * np.array([[1, -1], [-1, 1]])
        moved = np.maximum(now[pair] + change, 0)
        gains[inside, target] = _contribution(moved, pair) - _contribution(now[pair], pair)
    return gains


def _contribution(rows: np.ndarray, pair: list[int]) -> np.ndarray:
    """Compute what two rows (..., 2, k) and the same columns of M contribute to I(M)."""
    # Columns equal rows, but the 2×2 cells where they cross count once.
    cells = 2 * entr(rows).sum(axis=(-2, -1)) - entr(rows[..., pair]).sum(axis=(-2, -1))
    return 2 * entr(rows.sum(axis=-1)).sum(axis=-1) - cells
