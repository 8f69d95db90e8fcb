r"""The objective of IIC for segmentation: one joint matrix for each displacement.

Ji, Henriques, Vedaldi: Invariant Information Clustering for Unsupervised Image Classification and
Segmentation, ICCV 2019, section 3.3 (https://arxiv.org/abs/1807.06653).

Let z and z' be the soft assignments of the pixels u of n pictures and of transformed views of them,
whose transformation of the geometry has been undone. For a displacement t,

    P(t) = Σₙ Σᵤ z(n, u)ᵀ z'(n, u + t)

normalised to sum 1 and made symmetric. The loss is the mean over all displacements of at most T
pixels along each axis:

    loss = mean over |t| ≤ T of -I(P(t)), with the entropies weighted by alpha as in
           iic.training.loss

A segment that is irregular at the scale of T says little about the pixel at a distance of t, so
displacements favour segments with few and smooth borders.
"""

import tensorflow as tf

from iic.training.loss import mutual_information, normalize_joint


def displaced_counts(z: tf.Tensor, z_t: tf.Tensor, reach: int) -> tf.Tensor:
    """Compute the co-occurrence counts of both outputs for all displacements.

    The sum over pictures and pixels is one convolution, of z' with z as its filter, so no displaced
    copy of an output is ever in memory. A pixel whose partner lies outside the picture does not
    count, nor does one without assignments: zeros, as `masked` makes them.

    Args:
        z: (n, h, w, k) float soft assignments of the pictures.
        z_t: (n, h, w, k') float soft assignments of their views.
        reach: T, the largest displacement along each axis, in pixels of the outputs; 0 or more.

    Returns:
        (2T + 1, 2T + 1, k, k') counts; the displacement of entry (a, b) is a - T pixels down and
        b - T pixels to the right.
    """
    # The clusters of z' are the images of the convolution, and the pictures are its channels.
    views = tf.pad(tf.transpose(z_t, [3, 1, 2, 0]), [[0, 0], [reach] * 2, [reach] * 2, [0, 0]])
    filters = tf.transpose(z, [1, 2, 0, 3])
    counts = tf.nn.conv2d(views, filters, strides=1, padding="VALID")
    return tf.transpose(counts, [1, 2, 3, 0])


def masked(z: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Set the soft assignments of pixels that do not count to zero.

    Args:
        z: (n, h, w, k) float soft assignments.
        valid: (n, h, w) 1 for pixels that count, 0 for others.

    Returns:
        (n, h, w, k) float.
    """
    return z * tf.cast(valid, z.dtype)[..., None]


def segmentation_loss(
    z: tf.Tensor, z_t: tf.Tensor, alpha: float | tf.Tensor = 1.0, reach: int = 0
) -> tf.Tensor:
    """Compute the loss: the mean over displacements of the negative mutual information.

    Args:
        z: (n, h, w, k) float soft assignments of the pictures; pixels that do not count are zero.
        z_t: (n, h, w, k) float soft assignments of their views, likewise.
        alpha: Weight of both marginal entropies.
        reach: T, the largest displacement along each axis, in pixels of the outputs.

    Returns:
        Scalar, in nats.
    """
    k = z.shape[-1]
    counts = tf.reshape(displaced_counts(z, z_t, reach), [-1, k, k])
    return -tf.reduce_mean(
        tf.vectorized_map(lambda one: mutual_information(normalize_joint(one), alpha), counts)
    )
