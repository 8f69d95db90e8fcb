r"""The objective of IIC: mutual information of the cluster assignments of image pairs.

For pairs of images with soft assignments z, z' (n, k), the joint distribution of the cluster of
either image is P = zᵀz' / n, made symmetric since the order of a pair means nothing. IIC maximises

    I(P) = H(Pᵢ) + H(Pⱼ) - H(P)

and the article weights the two marginal entropies by alpha, which favours clusters of equal size.
Equation 3 of Ji, Henriques, Vedaldi: Invariant Information Clustering for Unsupervised Image
Classification and Segmentation, ICCV 2019 (https://arxiv.org/abs/1807.06653).
"""

import tensorflow as tf

# Keeps log finite; far below the probability of a pair that any batch could show.
EPSILON = 1e-7
# The same for one image, which may be much surer than that and still has to learn otherwise.
TINY = 1e-30


def joint_probability(z: tf.Tensor, z_t: tf.Tensor) -> tf.Tensor:
    """P = (zᵀz' + z'ᵀz) / 2, clipped at EPSILON and normalised to sum 1.

    Args:
        z: (n, k) soft assignments of the first images of the pairs; rows sum to 1.
        z_t: (n, k) soft assignments of the second images of the pairs, in the same order.

    Returns:
        (k, k) symmetric, positive, sums to 1.
    """
    return normalize_joint(tf.matmul(z, z_t, transpose_a=True))


def normalize_joint(counts: tf.Tensor) -> tf.Tensor:
    """Turn co-occurrence counts (k, k), of a batch or summed over many, into a joint P."""
    p_ij = (counts + tf.transpose(counts)) / 2
    p_ij = tf.maximum(p_ij, EPSILON)
    return p_ij / tf.reduce_sum(p_ij)


def entropy(p: tf.Tensor) -> tf.Tensor:
    """H(p) = -Σ p ln p, in nats, over all elements of a distribution without zeros."""
    return -tf.reduce_sum(p * tf.math.log(p))


def marginals(p_ij: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pᵢ = Σⱼ Pᵢⱼ and Pⱼ = Σᵢ Pᵢⱼ, both (k,)."""
    return tf.reduce_sum(p_ij, axis=1), tf.reduce_sum(p_ij, axis=0)


def mutual_information(p_ij: tf.Tensor, alpha: float | tf.Tensor = 1.0) -> tf.Tensor:
    """alpha·H(Pᵢ) + alpha·H(Pⱼ) - H(P), in nats; mutual information for alpha = 1.

    Bounds for alpha = 1: 0 (independent views) to ln k (equal, certain, equally filled).
    """
    p_i, p_j = marginals(p_ij)
    return alpha * entropy(p_i) + alpha * entropy(p_j) - entropy(p_ij)


def iic_loss(z: tf.Tensor, z_t: tf.Tensor, alpha: float | tf.Tensor = 1.0) -> tf.Tensor:
    """The loss that training minimises: the negative alpha-weighted mutual information, in nats.

    Args:
        z: (n, k) soft assignments of the first views.
        z_t: (n, k) soft assignments of the second views.
        alpha: weight of both marginal entropies; 1 is the paper's loss, 10 the article's best.
    """
    return -mutual_information(joint_probability(z, z_t), alpha)


def cross_entropy(teacher: tf.Tensor, z: tf.Tensor) -> tf.Tensor:
    """-Σ teacher·ln z, in nats, mean over rows.

    Args:
        teacher: (n, k) non-negative; a row of zeros teaches nothing.
        z: (n, k) soft assignments.
    """
    log_z = tf.math.log(tf.maximum(z, TINY))
    return -tf.reduce_mean(tf.reduce_sum(teacher * log_z, axis=1))
