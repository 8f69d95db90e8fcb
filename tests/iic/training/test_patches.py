"""Features of patches, compared with a computation patch by patch."""

import numpy as np
import pytest

from iic.training import patches
from iic.training.patches import CENTRES, GRID, SIZE, STRIDE, patch_features


@pytest.fixture
def few(digits) -> np.ndarray:
    return digits.train_images[:40]


def test_features_are_those_of_each_patch(few):
    features = patch_features(few)
    assert features.shape == (40, GRID * GRID * CENTRES + 1)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features[:, -1], 1)
    centres = patches._centres(few[..., None])[:, :, 0].reshape(-1, CENTRES).T
    tops = range(0, 28 - SIZE + 1, STRIDE)
    # Means of the patches in each third, 11 patches in each direction.
    thirds = [slice(0, 4), slice(4, 7), slice(7, 11)]
    for image, row in zip(few[:3] / 255, features, strict=False):
        cells = np.empty((len(tops), len(tops), CENTRES))
        for y, top in enumerate(tops):
            for x, left in enumerate(tops):
                patch = image[top : top + SIZE, left : left + SIZE].ravel()
                distances = np.linalg.norm(centres - patch, axis=1)
                cells[y, x] = np.maximum(0, distances.mean() - distances)
        expected = [cells[rows, columns].mean((0, 1)) for rows in thirds for columns in thirds]
        np.testing.assert_allclose(row[:-1], np.concatenate(expected), atol=2e-3)


@pytest.mark.parametrize("shape", [(16, 16), (64, 64, 3), (28, 28, 3)])
def test_images_of_other_shapes_have_as_many_features(random, shape):
    images = random.integers(0, 256, (20, *shape), np.uint8)
    features = patch_features(images)
    assert features.shape == (20, GRID * GRID * CENTRES + 1)
    assert np.isfinite(features).all()
    assert features[:, :-1].std(axis=0).max() > 0


def test_equal_images_have_equal_features(few):
    """But for the rounding of convolutions, which on some processors depends on the place."""
    features = patch_features(np.concatenate([few, few]))
    np.testing.assert_allclose(features[:40], features[40:], atol=1e-5)


def test_images_without_a_stroke_have_features():
    assert np.isfinite(patch_features(np.zeros((5, 28, 28), np.uint8))).all()
