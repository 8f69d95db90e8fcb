import numpy as np
import pytest
import tensorflow as tf

from iic.segmentation.loss import displaced_counts, masked, segmentation_loss
from iic.training.loss import iic_loss


def soft_maps(random, n=2, h=5, w=6, k=3):
    logits = 2 * random.normal(size=(2, n, h, w, k))
    z = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return z.astype(np.float32)


def reference_counts(z, z_t, reach):
    """Loop over displacements, pictures and pixels, in float64."""
    n, h, w, k = z.shape
    counts = np.zeros((2 * reach + 1, 2 * reach + 1, k, z_t.shape[-1]))
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            for picture in range(n):
                for y in range(h):
                    for x in range(w):
                        if 0 <= y + down < h and 0 <= x + right < w:
                            first, second = z[picture, y, x], z_t[picture, y + down, x + right]
                            counts[down + reach, right + reach] += np.outer(
                                first.astype(np.float64), second.astype(np.float64)
                            )
    return counts


def reference_loss(z, z_t, alpha, reach):
    counts = reference_counts(z, z_t, reach)
    values = []
    for one in counts.reshape(-1, *counts.shape[2:]):
        p = np.maximum((one + one.T) / 2, 1e-7)
        p /= p.sum()
        p_i, p_j = p.sum(axis=1), p.sum(axis=0)
        entropies = [-(q * np.log(q)).sum() for q in (p_i, p_j, p)]
        values.append(alpha * entropies[0] + alpha * entropies[1] - entropies[2])
    return -np.mean(values)


@pytest.mark.parametrize("reach", [0, 1, 2, 4])
def test_counts_agree_with_explicit_loops(random, reach):
    z, _ = soft_maps(random)
    _, z_t = soft_maps(random, k=4)
    np.testing.assert_allclose(
        displaced_counts(z, z_t, reach), reference_counts(z, z_t, reach), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("alpha", [1.0, 5.0])
@pytest.mark.parametrize("reach", [0, 1, 3])
def test_loss_agrees_with_explicit_loops(random, reach, alpha):
    z, z_t = soft_maps(random)
    expected = reference_loss(z, z_t, alpha, reach)
    assert float(segmentation_loss(z, z_t, alpha, reach)) == pytest.approx(
        expected, rel=1e-5, abs=1e-6
    )


def test_loss_without_displacement_is_the_loss_of_clustering_with_pixels_for_images(random):
    z, z_t = soft_maps(random)
    pixels = iic_loss(z.reshape(-1, 3), z_t.reshape(-1, 3), 2.5)
    assert float(segmentation_loss(z, z_t, 2.5)) == pytest.approx(float(pixels), rel=1e-6)


def test_gradient_agrees_with_finite_differences(random):
    z, z_t = (tf.constant(one) for one in soft_maps(random, h=4, w=4))
    with tf.GradientTape() as tape:
        tape.watch([z, z_t])
        loss = segmentation_loss(z, z_t, 2.0, 2)
    for place, gradient in enumerate(tape.gradient(loss, [z, z_t])):
        direction = random.normal(size=z.shape)
        step = 1e-5
        ends = []
        for sign in (1, -1):
            maps = [z.numpy().astype(np.float64), z_t.numpy().astype(np.float64)]
            maps[place] = maps[place] + sign * step * direction
            ends.append(reference_loss(*maps, 2.0, 2))
        expected = (ends[0] - ends[1]) / (2 * step)
        assert float((gradient * direction).numpy().sum()) == pytest.approx(expected, rel=1e-3)


def test_masked_pixels_count_in_no_displacement(random):
    z, z_t = soft_maps(random)
    valid = random.integers(2, size=z.shape[:3])
    counts = displaced_counts(masked(z, valid), masked(z_t, valid), 2)
    removed = z * valid[..., None], z_t * valid[..., None]
    np.testing.assert_allclose(counts, reference_counts(*removed, 2), rtol=1e-5, atol=1e-5)
    # Whatever the network says about a masked pixel changes nothing.
    other = np.where(valid[..., None], z, 1 / 3).astype(np.float32)
    loss = segmentation_loss(masked(z, valid), masked(z_t, valid), 1.0, 2)
    assert float(loss) == float(segmentation_loss(masked(other, valid), masked(z_t, valid), 1.0, 2))


def test_a_picture_without_valid_pixels_gives_a_finite_loss(random):
    z, z_t = soft_maps(random)
    none = np.zeros(z.shape[:3])
    assert np.isfinite(float(segmentation_loss(masked(z, none), masked(z_t, none), 5.0, 1)))


def test_displacements_favour_compact_over_scattered_segments(random):
    """Two segments of the same size, both perfectly predictable without displacement."""
    compact = np.repeat([[0, 1]], 32, axis=0).repeat(16, axis=1)
    scattered = random.permutation(compact.ravel()).reshape(32, 32)
    maps = [np.eye(2, dtype=np.float32)[one][None] for one in (compact, scattered)]
    still = [float(segmentation_loss(one, one)) for one in maps]
    assert still == pytest.approx([-np.log(2)] * 2, abs=1e-5)
    moved = [float(segmentation_loss(one, one, 1.0, 1)) for one in maps]
    assert moved[0] < -0.5
    assert moved[1] > -0.2
