import numpy as np
import pytest
from scipy import ndimage
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from iic.core.errors import InputError
from iic.pairs.neighbors import _features, nearest_neighbors


def test_neighbours_agree_with_distances_between_blurred_images(digits):
    images = digits.train_images[:150]
    blurred = ndimage.gaussian_filter(images.astype(float), (0, 1, 1)).reshape(150, -1)
    distances = np.linalg.norm(blurred[:, None] - blurred[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    expected = distances.argmin(axis=1)
    # Dropping components can swap neighbours at nearly the same distance.
    assert np.mean(nearest_neighbors(images, 1)[:, 0] == expected) > 0.95
    near = nearest_neighbors(images, 5)
    rank = np.argsort(np.argsort(distances, axis=1), axis=1)
    assert np.take_along_axis(rank, near, axis=1).max() < 10


@pytest.mark.parametrize("side", [16, 28, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_neighbours_of_images_of_any_size_and_colour_are_near(random, side, channels):
    kinds = random.integers(0, 256, (5, 4, 4, channels)).repeat(side // 4, axis=1)
    kinds = kinds.repeat(side // 4, axis=2)[..., :channels]
    noise = random.normal(0, 20, (60, *kinds.shape[1:]))
    images = (kinds[np.arange(60) % 5] + noise).clip(0, 255).astype(np.uint8)
    found = nearest_neighbors(images[..., 0] if channels == 1 else images, 3)
    np.testing.assert_array_equal(found % 5, np.arange(60)[:, None].repeat(3, axis=1) % 5)


def test_images_that_differ_in_hue_alone_are_no_neighbours(random):
    colors = np.zeros((40, 32, 32, 3), np.uint8)
    for index in range(40):
        colors[index, ..., index % 2] = random.integers(150, 200)
        colors[index, index // 2] = 255
    found = nearest_neighbors(colors, 2)
    np.testing.assert_array_equal(found % 2, np.arange(40)[:, None].repeat(2, axis=1) % 2)


def test_neighbours_are_sorted_and_exclude_the_image_itself(digits):
    images = digits.train_images[:100]
    found = nearest_neighbors(images, 99)
    assert found.dtype == np.int32
    for index, row in enumerate(found):
        assert sorted(row) == [other for other in range(100) if other != index]


def test_shifted_stroke_is_nearer_than_a_distant_stroke():
    images = np.zeros((3, 28, 28), np.uint8)
    images[0, 5:20, 10] = images[1, 5:20, 11] = images[2, 5:20, 20] = 255
    assert nearest_neighbors(images, 1)[0, 0] == 1


def test_most_neighbours_of_real_digits_are_the_same_digit(digits):
    found = nearest_neighbors(digits.train_images, 5)
    assert np.mean(digits.train_labels[found] == digits.train_labels[:, None]) > 0.95


def test_number_of_blas_threads_does_not_change_the_features(digits):
    def features(threads):
        with threadpool_limits(threads, "blas"):
            return _features(digits.train_images, np.arange(len(digits.train_images)))

    np.testing.assert_array_equal(features(1), features(2))


def test_zero_neighbours_give_an_array_without_columns(digits):
    assert nearest_neighbors(digits.train_images[:7], 0).shape == (7, 0)


def test_more_neighbours_than_images_are_refused(digits):
    with pytest.raises(InputError, match=r"augment\.neighbors: 7 neighbours .* there are 7; lower"):
        nearest_neighbors(digits.train_images[:7], 7)


def test_copies_are_left_out(digits):
    """Each of 30 images six times: the neighbours are those of the different images."""
    once = digits.train_images[:30]
    found = nearest_neighbors(np.tile(once, (6, 1, 1)), 5)
    np.testing.assert_array_equal(found, np.tile(nearest_neighbors(once, 5), (6, 1)))


def test_images_without_copies_have_the_neighbours_that_scikit_learn_finds(digits):
    images = digits.train_images[:200]
    index = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(
        _features(images, np.arange(200))
    )
    expected = index.kneighbors(return_distance=False).astype(np.int32)
    np.testing.assert_array_equal(nearest_neighbors(images, 4), expected)


def test_copies_do_not_count_as_neighbours(digits):
    images = np.tile(digits.train_images[:12], (3, 1, 1))
    with pytest.raises(
        InputError, match=r"augment\.neighbors: 20 .* 20 different .* are 12 among 36; lower it"
    ):
        nearest_neighbors(images, 20)
