import numpy as np
import pytest

from iic.core.shapes import GREY_SHAPE, array_shape, batch_size_of, shape_of


@pytest.mark.parametrize("shape", [GREY_SHAPE, (16, 16, 1), (128, 128, 3)])
def test_stored_images_have_the_shape_of_the_input(shape):
    assert shape_of(np.empty((5, *array_shape(shape)))) == shape


def test_larger_images_form_smaller_batches():
    shapes = [(16, 16, 1), GREY_SHAPE, (28, 28, 3), (64, 64, 1), (64, 64, 3), (128, 128, 3)]
    assert [batch_size_of(shape) for shape in shapes] == [500, 500, 166, 95, 31, 10]
