"""Smaller copies of images."""

import numpy as np
import pytest

from iic.core.pixels import fit_budget, reduced


@pytest.mark.parametrize("channels", [(), (3,)])
def test_images_are_reduced_to_a_number_of_pixels_of_all(channels):
    images = np.zeros((10, 64, 64, *channels), np.uint8)
    images[:, :32] = 200
    small = fit_budget(images, 10 * 16 * 16)
    assert small.shape == (10, 16, 16, *channels)
    assert (small[:, :8] == 200).all()
    assert (small[:, 8:] == 0).all()
    assert fit_budget(images, 10 * 17 * 17 - 1).shape[1] == 16
    assert fit_budget(images, 10 * 64 * 64) is images
    assert fit_budget(images[:0], 100).shape[0] == 0


def test_only_larger_images_are_reduced_by_averages():
    images = np.zeros((2, 8, 8), np.uint8)
    images[:, ::2, ::2] = 200
    np.testing.assert_array_equal(reduced(images, 4), np.full((2, 4, 4), 50))
    assert reduced(images, 8) is images
