import numpy as np
import pytest
import tensorflow as tf

from iic.segmentation.poses import Poses, apply, draw_poses, visible

EIGHT = [(a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)]


def poses_of(bits, degrees=None):
    return Poses(*(tf.constant(column) for column in np.array(bits).T), degrees)


def test_eight_symmetries_are_different_and_keep_all_values(random):
    x = random.normal(size=(1, 6, 6, 2)).astype(np.float32).repeat(8, axis=0)
    posed = apply(x, poses_of(EIGHT)).numpy()
    assert len({one.tobytes() for one in posed}) == 8
    assert all(sorted(one.ravel()) == sorted(x[0].ravel()) for one in posed)


def test_a_quarter_turn_is_among_them(random):
    x = random.normal(size=(1, 5, 5, 1)).astype(np.float32)
    turned = np.rot90(x, axes=(1, 2))
    assert any(np.array_equal(apply(x, poses_of([bits])), turned) for bits in EIGHT)


def test_order_of_the_operations_is_that_of_the_documentation():
    x = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    both = apply(x, poses_of([(True, True, False)])).numpy()[0, ..., 0]
    np.testing.assert_array_equal(both, x[0, ..., 0].T[::-1])


def test_a_rotation_follows_the_symmetry(random):
    """Rotated back, the middle of a smooth picture is that of the picture in its symmetry alone."""
    rows, columns = np.mgrid[:32, :32]
    smooth = np.sin(rows / 5) + np.cos(columns / 4)
    x = smooth[None, ..., None].astype(np.float32)
    bits = [(True, False, True)]
    turned = apply(x, poses_of(bits, tf.constant([20.0])))
    back = apply(turned, poses_of([(False, False, False)], tf.constant([-20.0]))).numpy()
    still = apply(x, poses_of(bits)).numpy()
    np.testing.assert_allclose(back[:, 8:24, 8:24], still[:, 8:24, 8:24], atol=0.03)
    assert np.abs(turned.numpy() - still).max() > 0.3


def test_pixels_from_outside_do_not_count():
    poses = poses_of([(False, False, False)], tf.constant([30.0]))
    counts = visible(np.ones((1, 32, 32), bool), poses).numpy()[0]
    assert counts[16, 16] == 1
    assert counts[0, 0] == counts[0, -1] == counts[-1, 0] == counts[-1, -1] == 0
    assert 0.6 < counts.mean() < 0.95


def test_without_rotation_all_valid_pixels_count(random):
    valid = random.integers(2, size=(8, 6, 6)).astype(bool)
    counts = visible(valid, poses_of(EIGHT)).numpy()
    np.testing.assert_array_equal(counts, apply(valid[..., None] * 1.0, poses_of(EIGHT))[..., 0])


def test_a_pixel_that_is_not_valid_never_counts(random):
    valid = np.ones((1, 32, 32), bool)
    valid[0, 10:14, 10:14] = False
    counts = visible(valid, poses_of([(False, False, False)], tf.constant([5.0]))).numpy()
    assert not counts[0, 11:13, 11:13].any()
    assert counts[0, 20:24, 10:14].all()


@pytest.mark.parametrize("symmetries", [False, True])
def test_draws_do_not_depend_on_the_settings(symmetries):
    """So that changing one operation leaves the draws of all others as they are."""
    first, second = np.random.default_rng(3), np.random.default_rng(3)
    poses = draw_poses(first, 50, symmetries=symmetries, rotation=10.0)
    still = draw_poses(second, 50, symmetries=True, rotation=0.0)
    assert first.random() == second.random()
    assert not still.degrees.any()
    assert np.abs(poses.degrees).max() <= 10.0
    assert len({tuple(bits) for bits in np.array(poses[:3]).T}) == (8 if symmetries else 1)
