r"""The objective of IIC: the mutual information of the cluster assignments of image pairs.

Ji, Henriques, Vedaldi: Invariant Information Clustering for Unsupervised Image Classification and
Segmentation, ICCV 2019 (https://arxiv.org/abs/1807.06653).

For n pairs of images with soft assignments z and z', both (n, k), the joint distribution of the
clusters of a pair is the (k, k) matrix

    P = zᵀz' / n                                              equation 2

made symmetric, since the order of a pair has no meaning: P = (zᵀz' + z'ᵀz) / 2n. IIC maximises
the mutual information

    I(P) = Σᵢⱼ Pᵢⱼ ln(Pᵢⱼ / (Pᵢ·Pⱼ)) = H(Pᵢ) + H(Pⱼ) - H(P)   equation 3

with the marginals Pᵢ and Pⱼ. The article weights both marginal entropies by alpha, which favours
clusters of equal size:

    loss = -(alpha·H(Pᵢ) + alpha·H(Pⱼ) - H(P))
"""

import tensorflow as tf

# Lower bound of a cell's co-occurrence count, which keeps the logarithm finite; each pair of images
# adds 1 in total.
EPSILON = 1e-7
# Lower bound of a probability in the cross-entropy. Below it the gradient vanishes, so it is far
# smaller: an image has to be able to leave a cluster that the network is very confident of.
TINY = 1e-30


def joint_probability(z: tf.Tensor, z_t: tf.Tensor) -> tf.Tensor:
    """Compute the joint matrix P = (zᵀz' + z'ᵀz) / 2, clipped at EPSILON and normalised to sum 1.

    Args:
        z: (n, k) float soft assignments of the first images of the pairs; rows sum to 1.
        z_t: (n, k) float soft assignments of the second images, in the same order.

    Returns:
        (k, k) joint matrix, symmetric and positive, with sum 1.
    """
    return normalize_joint(tf.matmul(z, z_t, transpose_a=True))


def normalize_joint(counts: tf.Tensor) -> tf.Tensor:
    """Turn co-occurrence counts zᵀz' into the joint matrix P.

    Counts are additive, so the sum of the counts of several batches gives the P of all their pairs.

    Args:
        counts: (k, k) float counts of one batch or summed over several.

    Returns:
        (k, k) joint matrix, symmetric and positive, with sum 1.
    """
    p_ij = (counts + tf.transpose(counts)) / 2
    p_ij = tf.maximum(p_ij, EPSILON)
    return p_ij / tf.reduce_sum(p_ij)


def entropy(p: tf.Tensor) -> tf.Tensor:
    """Compute H(p) = -Σ p ln p, in nats, over all elements of a distribution without zeros."""
    return -tf.reduce_sum(p * tf.math.log(p))


def marginals(p_ij: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute the marginals Pᵢ = Σⱼ Pᵢⱼ and Pⱼ = Σᵢ Pᵢⱼ, both (k,), of a joint matrix (k, k)."""
    return tf.reduce_sum(p_ij, axis=1), tf.reduce_sum(p_ij, axis=0)


def mutual_information(p_ij: tf.Tensor, alpha: float | tf.Tensor = 1.0) -> tf.Tensor:
    """Compute alpha·H(Pᵢ) + alpha·H(Pⱼ) - H(P), the mutual information for alpha = 1.

    For alpha = 1 it ranges from 0 (the clusters of a pair are independent) to ln k (both images of
    each pair are in the same cluster with certainty, and all clusters have the same size).

    Args:
        p_ij: (k, k) joint matrix, positive, with sum 1.
        alpha: Weight of both marginal entropies.

    Returns:
        Scalar, in nats.
    """
    p_i, p_j = marginals(p_ij)
    return alpha * entropy(p_i) + alpha * entropy(p_j) - entropy(p_ij)


def iic_loss(z: tf.Tensor, z_t: tf.Tensor, alpha: float | tf.Tensor = 1.0) -> tf.Tensor:
    """Compute the loss: the negative mutual information with entropies weighted by alpha.

    Args:
        z: (n, k) float soft assignments of the first images of the pairs; rows sum to 1.
        z_t: (n, k) float soft assignments of the second images, in the same order.
        alpha: Weight of both marginal entropies; 1 is the loss of Ji et al., 10 the article's best.

    Returns:
        Scalar, in nats.
    """
    return -mutual_information(joint_probability(z, z_t), alpha)


def cross_entropy(teacher: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """Compute the cross-entropy -Σ teacher·ln z, averaged over the rows.

    Args:
        teacher: (n, k) non-negative target distributions; a row of zeros contributes 0.
        z: (n, k) float soft assignments; rows sum to 1.

    Returns:
        Scalar, in nats.
    """
    log_z = tf.math.log(tf.maximum(z, TINY))
    return -tf.reduce_mean(tf.reduce_sum(teacher * log_z, axis=1))
