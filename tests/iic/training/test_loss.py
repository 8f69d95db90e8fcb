import numpy as np
import pytest
import tensorflow as tf

from iic.training.loss import (
    cross_entropy,
    entropy,
    iic_loss,
    joint_probability,
    marginals,
    mutual_information,
    normalize_joint,
)


def soft_assignments(random: np.random.Generator, n: int, k: int, sharpness: float = 2.0):
    logits = sharpness * random.normal(size=(2, n, k))
    z = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return z.astype(np.float32)


def reference_loss(z: np.ndarray, z_t: np.ndarray, alpha: float) -> float:
    """Equation 3 of Ji et al., weighted by alpha and computed cell by cell in float64."""
    z, z_t = z.astype(np.float64), z_t.astype(np.float64)
    p = sum(np.outer(a, b) for a, b in zip(z, z_t, strict=True))
    p = np.maximum((p + p.T) / 2, 1e-7)
    p /= p.sum()
    total = 0.0
    for i in range(len(p)):
        for j in range(len(p)):
            p_i, p_j = p[i].sum(), p[:, j].sum()
            total += p[i, j] * (alpha * np.log(p_i) + alpha * np.log(p_j) - np.log(p[i, j]))
    return total


def published_loss(z: np.ndarray, z_t: np.ndarray, lamb: float) -> float:
    """The loss as the authors publish it (xu-ji/IIC, code/utils/cluster/IID_losses.py), in float64.

    Unlike ours, it normalises before it clips, clips at the machine epsilon, clips the marginals
    separately and does not normalise again.
    """
    smallest = np.finfo(np.float64).eps
    joint = z.T @ z_t
    joint = (joint + joint.T) / (2 * joint.sum())
    p_i, p_j = (np.maximum(joint.sum(axis), smallest) for axis in (1, 0))
    joint = np.maximum(joint, smallest)
    logs = np.log(joint) - lamb * np.log(p_i)[:, None] - lamb * np.log(p_j)[None, :]
    return -float((joint * logs).sum())


def test_joint_of_two_pairs_by_hand():
    z = tf.constant([[1.0, 0.0], [0.5, 0.5]])
    z_t = tf.constant([[0.0, 1.0], [0.5, 0.5]])
    # Outer products [[0, 1], [0, 0]] and [[.25, .25], [.25, .25]], symmetrised, over 2 pairs.
    expected = [[0.125, 0.375], [0.375, 0.125]]
    np.testing.assert_allclose(joint_probability(z, z_t), expected, rtol=1e-6)


def test_loss_of_two_pairs_by_hand():
    z = tf.constant([[1.0, 0.0], [0.5, 0.5]])
    z_t = tf.constant([[0.0, 1.0], [0.5, 0.5]])
    # H(marginal) = ln 2; H(P) = -2 (1/8 ln 1/8 + 3/8 ln 3/8) = 1.2554823...
    joint_entropy = -2 * (np.log(1 / 8) / 8 + 3 * np.log(3 / 8) / 8)
    for alpha in (1.0, 10.0):
        expected = -(2 * alpha * np.log(2) - joint_entropy)
        assert float(iic_loss(z, z_t, alpha)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("alpha", [1.0, 2.5, 10.0])
@pytest.mark.parametrize(("n", "k"), [(1, 2), (7, 3), (40, 10), (30, 50)])
def test_loss_agrees_with_a_float64_reference(random, n, k, alpha):
    z, z_t = soft_assignments(random, n, k)
    assert float(iic_loss(z, z_t, alpha)) == pytest.approx(
        reference_loss(z, z_t, alpha), rel=2e-6, abs=5e-6
    )


@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.5, 10.0])
@pytest.mark.parametrize(("n", "k"), [(20, 2), (100, 5), (500, 10), (500, 25), (1000, 70)])
def test_loss_agrees_with_the_published_implementation(random, n, k, alpha):
    """Batches whose cells all exceed our lower bound; where some do not, see the next test."""
    logits = random.normal(size=(2, n, k))
    z, z_t = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    published = published_loss(z, z_t, alpha)
    assert float(iic_loss(z, z_t, alpha)) == pytest.approx(published, rel=0, abs=1e-9)


@pytest.mark.parametrize("alpha", [1.0, 10.0])
def test_lower_bound_hardly_changes_the_published_loss(random, alpha):
    """Certain assignments, with most cells of the joint matrix empty."""
    clusters = random.integers(10, size=700)
    z = np.eye(10)[clusters]
    assert float(iic_loss(z, z, alpha)) == pytest.approx(
        published_loss(z, z, alpha), rel=0, abs=1e-6
    )


@pytest.mark.parametrize("alpha", [1.0, 10.0])
def test_gradient_agrees_with_finite_differences(random, alpha):
    logits, logits_t = random.normal(size=(2, 6, 4))

    def loss(x: tf.Tensor) -> tf.Tensor:
        return iic_loss(tf.nn.softmax(x), tf.nn.softmax(tf.constant(logits_t)), alpha)

    x = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(x)
    gradient = tape.gradient(value, x).numpy()
    step = 1e-6
    for index in np.ndindex(logits.shape):
        moved = np.zeros_like(logits)
        moved[index] = step
        slope = (loss(x + moved) - loss(x - moved)) / (2 * step)
        assert gradient[index] == pytest.approx(float(slope), abs=1e-7)


def test_loss_ignores_the_order_within_pairs(random):
    z, z_t = soft_assignments(random, 20, 5)
    assert float(iic_loss(z, z_t, 3.0)) == pytest.approx(float(iic_loss(z_t, z, 3.0)), rel=1e-6)


def test_joint_is_symmetric_positive_and_sums_to_1(random):
    p = joint_probability(*soft_assignments(random, 20, 5)).numpy()
    np.testing.assert_allclose(p, p.T, rtol=1e-6)
    assert p.sum() == pytest.approx(1, rel=1e-6)
    assert (p > 0).all()


def test_marginals_sum_over_the_other_index():
    p_i, p_j = marginals(tf.constant([[0.1, 0.2], [0.3, 0.4]]))
    np.testing.assert_allclose(p_i, [0.3, 0.7], rtol=1e-6)
    np.testing.assert_allclose(p_j, [0.4, 0.6], rtol=1e-6)


def test_loss_ignores_the_numbers_of_clusters(random):
    z, z_t = soft_assignments(random, 20, 6)
    order = random.permutation(6)
    renamed = float(iic_loss(z[:, order], z_t[:, order], 4.0))
    assert renamed == pytest.approx(float(iic_loss(z, z_t, 4.0)), rel=1e-6)


def test_loss_ignores_the_order_of_pairs_but_not_the_pairing(random):
    z, _ = soft_assignments(random, 20, 6, sharpness=5.0)
    order = np.roll(np.arange(20), 1)
    together = float(iic_loss(z, z))
    assert float(iic_loss(z[order], z[order])) == pytest.approx(together, rel=1e-6)
    assert float(iic_loss(z, z[order])) > together + 0.1


@pytest.mark.parametrize("k", [2, 10, 50])
def test_mutual_information_is_between_0_and_ln_k(random, k):
    z, z_t = soft_assignments(random, 200, k, sharpness=8.0)
    assert -1e-5 <= float(mutual_information(joint_probability(z, z_t))) <= np.log(k)
    certain = np.eye(k, dtype=np.float32).repeat(3, axis=0)
    assert float(mutual_information(joint_probability(certain, certain))) == pytest.approx(
        np.log(k), abs=1e-3
    )
    uniform = np.full((9, k), 1 / k, np.float32)
    assert float(mutual_information(joint_probability(uniform, uniform))) == pytest.approx(
        0, abs=1e-5
    )


def test_alpha_weights_both_marginal_entropies(random):
    p = joint_probability(*soft_assignments(random, 30, 4))
    p_i, p_j = marginals(p)
    for alpha in (0.5, 1.0, 7.0):
        expected = alpha * float(entropy(p_i) + entropy(p_j)) - float(entropy(p))
        assert float(mutual_information(p, alpha)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_loss_and_gradient_of_extreme_logits_are_finite(random, scale):
    logits = tf.constant(scale * random.normal(size=(10, 5)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = iic_loss(tf.nn.softmax(logits), tf.nn.softmax(-logits), 10.0)
    assert np.isfinite(float(value))
    assert np.isfinite(tape.gradient(value, logits).numpy()).all()


def test_joint_of_summed_counts_equals_the_joint_of_all_pairs(random):
    z, z_t = soft_assignments(random, 60, 5)
    parts = [z[a : a + 20].T @ z_t[a : a + 20] for a in (0, 20, 40)]
    np.testing.assert_allclose(normalize_joint(sum(parts)), joint_probability(z, z_t), rtol=1e-5)


def test_cross_entropy_by_hand():
    teacher = tf.constant([[0.5, 0.5], [0.0, 1.0], [0.0, 0.0]])
    z = tf.constant([[0.25, 0.75], [0.5, 0.5], [0.9, 0.1]])
    expected = -(0.5 * np.log(0.25) + 0.5 * np.log(0.75) + np.log(0.5)) / 3
    assert float(cross_entropy(teacher, z)) == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_is_finite_for_a_probability_of_0():
    value = cross_entropy(tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]]))
    assert float(value) == pytest.approx(-np.log(1e-30), rel=1e-5)


def test_cross_entropy_has_a_gradient_for_a_confident_wrong_cluster():
    # The probability of the taught cluster is 4e-18.
    logits = tf.Variable([[0.0, 40.0]])
    with tf.GradientTape() as tape:
        value = cross_entropy(tf.constant([[1.0, 0.0]]), tf.nn.softmax(logits))
    np.testing.assert_allclose(tape.gradient(value, logits), [[-1.0, 1.0]], rtol=1e-5)


@pytest.mark.parametrize("alpha", [1.0, 10.0])
@pytest.mark.parametrize("sizes", [[12, 12, 12], [1, 30, 5]])
def test_gradients_of_several_machines_add_up_to_the_gradient_of_the_batch(random, alpha, sizes):
    """Each machine sends its (k, k) counts, receives their sum, and sends its gradient."""
    x, x_t = random.normal(size=(2, sum(sizes), 7))
    weights = tf.Variable(random.normal(size=(7, 4)))
    with tf.GradientTape() as tape:
        z, z_t = (tf.nn.softmax(view @ weights) for view in (x, x_t))
        loss = iic_loss(z, z_t, alpha)
    whole = tape.gradient(loss, weights)

    ends = np.cumsum(sizes)[:-1]
    parts = list(zip(np.split(x, ends), np.split(x_t, ends), strict=True))

    def counts_of(views: tuple[np.ndarray, np.ndarray]) -> tf.Tensor:
        z, z_t = (tf.nn.softmax(view @ weights) for view in views)
        return tf.matmul(z, z_t, transpose_a=True)

    total = tf.add_n([counts_of(views) for views in parts])
    with tf.GradientTape() as tape:
        tape.watch(total)
        loss_of_sum = -mutual_information(normalize_joint(total), alpha)
    sent = tape.gradient(loss_of_sum, total)
    gradients = []
    for views in parts:
        with tf.GradientTape() as tape:
            counts = counts_of(views)
        gradients.append(tape.gradient(counts, weights, output_gradients=sent))
    assert float(loss_of_sum) == pytest.approx(float(loss), rel=1e-12)
    np.testing.assert_allclose(tf.add_n(gradients), whole, rtol=1e-9, atol=1e-12)
