r"""Moving parts of overclusters between clusters where that raises the mutual information.

The overclustering head separates styles that the clustering head may join to the wrong digit, for
example sevens with a cross-bar to the twos. Each image lies in a part: its overcluster, as far as
it is in the image's cluster. Let P be the joint matrix of the k'·k parts over all pairs of training
images, and let a mapping name the cluster of each part, at first its own. The merged joint matrix
is M = CᵀPC with the (k'·k, k) indicator C of the mapping, so at first that of the clustering head,
and its mutual information, the objective of the loss for alpha = 1, is

    I(M) = 2·H(Mᵢ) - H(M)

As long as another cluster for a single part raises it enough, the best such move is made. Of
whole overclusters, those that the clustering head rightly splits between two digits would move as
well; and a larger alpha would pay for even clusters with wrong moves.
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.special import entr

# Nats by which a move has to raise the information, summed over the images: what a handful of them
# says is chance, among few as among many (reports/recipe-log.md).
MIN_GAIN = 20.0

# In place of the part of an image.
LEFT_OUT = -1


class Move(NamedTuple):
    """A part, the cluster it leaves, the one it joins, and the rise in nats."""

    part: int
    source: int
    target: int
    gain: float


def parts_of(overcluster: np.ndarray, cluster: np.ndarray, clusters: int) -> np.ndarray:
    """(n,) the part that each image lies in, overcluster·k + cluster; both (n,) integers."""
    return overcluster * clusters + cluster


def exact_joint(first: np.ndarray, second: np.ndarray, partners: np.ndarray, k: int) -> csr_array:
    """How often two parts meet in a pair: P (k, k), symmetric, sums to 1.

    Counted are surest assignments, not probabilities: while these are still spread over many
    overclusters, they tell little of which images an overcluster holds.

    Args:
        first: (n,) part of each image as the first of a pair, LEFT_OUT for one that is not counted.
        second: (n,) as the second.
        partners: (n, m) images that each is paired with.
        k: number of parts; most pairs of them never meet, so the matrix is sparse.
    """
    counts = csr_array((k, k))
    for column in partners.T:  # one at a time, since all pairs at once may not fit the memory
        counted = (first != LEFT_OUT) & (second[column] != LEFT_OUT)
        pairs = (first[counted], second[column][counted])
        counts += coo_array((np.ones(counted.sum()), pairs), shape=(k, k)).tocsr()
    return (counts + counts.T) / (2 * counts.sum())


def indicator(mapping: np.ndarray, clusters: int) -> np.ndarray:
    """C (parts, k): one in each row, at the part's cluster."""
    return np.eye(clusters)[mapping]


def merged(p_ij: csr_array | np.ndarray, mapping: np.ndarray, clusters: int) -> np.ndarray:
    """M = CᵀPC (k, k), the joint matrix after all parts of a cluster became one."""
    members = indicator(mapping, clusters)
    return members.T @ (p_ij @ members)


def information(p_ij: np.ndarray) -> np.ndarray:
    """I = 2·H(Pᵢ) - H(P) in nats of symmetric joints (..., k, k); empty cells count as 0."""
    return 2 * entr(p_ij.sum(axis=-1)).sum(axis=-1) - entr(p_ij).sum(axis=(-2, -1))


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

    With d = e_target - e_source and r = P_p·C, the row of part p becomes C_p + d and so M becomes
    M + d rᵀ + r dᵀ + P_pp d dᵀ: no product with the large P for each of the moves.
    """
    rows, same = p_ij @ indicator(mapping, clusters), p_ij.diagonal()
    now = merged(p_ij, mapping, clusters)
    gains = np.zeros((len(mapping), clusters))
    unit = np.eye(clusters)
    for source, target in permutations(range(clusters), 2):
        inside, d = np.flatnonzero(mapping == source), unit[target] - unit[source]
        change = d[:, None] * rows[inside, None, :]
        both = change + change.transpose(0, 2, 1)
        moved = now + both + same[inside, None, None] * np.outer(d, d)
        gains[inside, target] = information(np.maximum(moved, 0)) - information(now)
    return gains
