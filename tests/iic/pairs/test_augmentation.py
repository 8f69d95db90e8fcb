import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from iic.core.params import ARTICLE_OPERATIONS, OPERATIONS
from iic.pairs.augmentation import (
    Draws,
    Transform,
    add_noise,
    binarize,
    change_colors,
    flip,
    make_pair,
    operation_examples,
)
from iic.pairs.draws import DRAW_NAMES, make_draws
from iic.pairs.geometry import distortion_matrix, rotation_matrix, sample, warp
from iic.pairs.noise import FIELD_GRID, normal_noise, smooth_field


def draws_with(n: int = 1, **columns: float) -> Draws:
    """Draws of 0 except in the named columns."""
    unit = np.zeros((n, len(DRAW_NAMES)), np.float32)
    for name, value in columns.items():
        unit[:, DRAW_NAMES.index(name)] = value
    return Draws(tf.constant(unit), seeds(n))


@pytest.fixture
def images(digits) -> tf.Tensor:
    return tf.constant(digits.train_images[:16, ..., None] / np.float32(255))


@pytest.fixture
def views() -> tuple[Draws, Draws]:
    arrays = make_draws(0, 2, 16)
    return tuple(
        Draws(tf.constant(arrays["draws"][v]), tf.constant(arrays["noise_seeds"][v]))
        for v in (0, 1)
    )


def seeds(n: int) -> tf.Tensor:
    return tf.constant(np.arange(n, dtype=np.uint32))


def with_ops(params, *ops: str) -> Transform:
    return Transform(params.augment.model_copy(update={"ops": list(ops)}))


def center_of_mass(image: np.ndarray) -> np.ndarray:
    return np.array(ndimage.center_of_mass(image))


def dot(row: int, column: int) -> tf.Tensor:
    image = np.zeros((1, 28, 28, 1), np.float32)
    image[0, row, column] = 1
    return tf.constant(image)


def test_no_operation_leaves_images_unchanged(params, images, views):
    np.testing.assert_array_equal(with_ops(params)(images, views[0], 1.0), images)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_strength_0_leaves_images_unchanged(params, images, views, operation):
    result = with_ops(params, operation)(images, views[0], 0.0)
    np.testing.assert_allclose(result, images, atol=1e-5)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_changes_images_and_stays_in_range(params, images, views, operation):
    result = with_ops(params, operation)(images, views[0], 1.0).numpy()
    assert result.shape == images.shape
    assert (np.abs(result - images).max(axis=(1, 2, 3)) > 0.1).any()
    assert result.min() >= 0
    assert result.max() <= 1


def test_view_of_an_image_does_not_depend_on_the_batch(params, images, views):
    transform = with_ops(params, *OPERATIONS)
    whole = transform(images, views[0], 0.7).numpy()
    picked = [5, 2, 11]
    part = transform(
        tf.gather(images, picked), Draws(*(tf.gather(d, picked) for d in views[0])), 0.7
    )
    np.testing.assert_array_equal(part, whole[picked])


def test_order_of_ops_does_not_matter(params, images, views):
    forward = with_ops(params, *OPERATIONS)(images, views[0], 1.0)
    backward = with_ops(params, *reversed(OPERATIONS))(images, views[0], 1.0)
    np.testing.assert_array_equal(forward, backward)


def test_rotation_turns_anticlockwise_about_the_centre():
    # A quarter turn moves ink from the right of the centre to above it.
    result = warp(dot(13, 20), rotation_matrix(tf.constant([90.0])), tf.zeros((1, 2)))
    expected = np.zeros((28, 28))
    expected[7, 13] = 1
    np.testing.assert_allclose(result[0, ..., 0], expected, atol=1e-4)


def test_rotation_agrees_with_scipy(images):
    turned = warp(images, rotation_matrix(tf.fill([16], 20.0)), tf.zeros((16, 2)))
    for image, result in zip(images.numpy(), turned.numpy(), strict=True):
        reference = ndimage.rotate(image[..., 0], 20, reshape=False, order=1)
        np.testing.assert_allclose(result[4:24, 4:24, 0], reference[4:24, 4:24], atol=2e-3)


def test_rotation_range_is_in_degrees(params):
    transform = Transform(params.augment.model_copy(update={"ops": ["rotation"], "rotation": 90.0}))
    full = transform(dot(13, 20), draws_with(angle=1.0), 1.0)
    half = transform(dot(13, 20), draws_with(angle=1.0), 0.5)
    assert np.unravel_index(np.argmax(full), (28, 28)) == (7, 13)
    row, column = center_of_mass(half.numpy()[0, ..., 0]) - 13.5
    assert np.degrees(np.arctan2(-row, column)) == pytest.approx(45 + 4.4, abs=4)


def test_shift_moves_right_and_down_by_pixels(params):
    update = {"ops": ["distortion"], "shift": 3.0, "elastic": 0.0}
    transform = Transform(params.augment.model_copy(update=update))
    result = transform(dot(10, 10), draws_with(shift_x=1.0, shift_y=-1.0), 1.0)
    assert np.unravel_index(np.argmax(result), (28, 28)) == (7, 13)
    assert float(tf.reduce_max(result)) == pytest.approx(1, abs=1e-4)


def test_distortion_matrix_scales_after_the_shear():
    matrix = distortion_matrix(tf.constant([0.2]), tf.constant([[1.25, 0.75]]))[0]
    # Shear: x += 0.2 y; then x by 1.25 and y by 0.75.
    np.testing.assert_allclose(matrix, [[1.25, 0.25], [0, 0.75]], rtol=1e-6)


def test_distortion_ranges_are_slope_and_relative_size(params):
    update = {"ops": ["distortion"], "shear": 0.4, "scale": 0.25, "shift": 0.0, "elastic": 0.0}
    transform = Transform(params.augment.model_copy(update=update))
    result = transform(dot(16, 20), draws_with(shear=0.5, scale_x=1.0, scale_y=-1.0), 1.0)
    expected = 13.5 + np.array([0.75 * 2.5, 1.25 * (6.5 + 0.2 * 2.5)])
    np.testing.assert_allclose(center_of_mass(result.numpy()[0, ..., 0]), expected, atol=0.3)


def test_bend_of_0_changes_nothing(images):
    linear, shift = rotation_matrix(tf.fill([16], 20.0)), tf.fill([16, 2], 1.5)
    bent = warp(images, linear, shift, tf.zeros((16, 28, 28, 2)))
    np.testing.assert_allclose(bent, warp(images, linear, shift), atol=1e-4)


def test_bend_displaces_the_sampled_points():
    bend = np.zeros((1, 28, 28, 2), np.float32)
    bend[0, 5, 5] = [3, -2]
    result = warp(dot(3, 8), tf.eye(2, batch_shape=[1]), tf.zeros((1, 2)), tf.constant(bend))
    expected = np.zeros((28, 28))
    expected[3, 8] = expected[5, 5] = 1
    np.testing.assert_allclose(result[0, ..., 0], expected, atol=1e-5)


def test_samples_agree_with_scipy_inside_and_outside(images, random):
    points = random.uniform(-4, 31, (16, 28, 28, 2)).astype(np.float32)
    for image, where, result in zip(
        images.numpy(), points, sample(images, tf.constant(points)).numpy(), strict=True
    ):
        reference = ndimage.map_coordinates(
            np.pad(image[..., 0], 4), where[..., ::-1].transpose(2, 0, 1) + 4, order=1
        )
        np.testing.assert_allclose(result[..., 0], reference, atol=1e-4)


def test_elastic_range_is_in_pixels(params, images, views):
    update = {"ops": ["distortion"], "shear": 0.0, "scale": 0.0, "shift": 0.0, "elastic": 2.0}
    transform = Transform(params.augment.model_copy(update=update))
    field = smooth_field(views[0].noise_seeds, 28)
    for strength in (1.0, 0.5):
        expected = warp(
            images, tf.eye(2, batch_shape=[16]), tf.zeros((16, 2)), 2.0 * strength * field
        )
        np.testing.assert_allclose(transform(images, views[0], strength), expected, atol=1e-5)
    np.testing.assert_allclose(transform(images, views[0], 0.0), images, atol=1e-5)


def test_smooth_field_is_smooth_normal_and_independent_of_the_noise():
    field = smooth_field(seeds(500), 28).numpy()
    assert field.shape == (500, 28, 28, 2)
    steps = np.abs(np.diff(field, axis=1)).max()
    assert 0 < steps < 10 * FIELD_GRID / 28
    corner = field[:, 3, 3]
    assert corner.mean() == pytest.approx(0, abs=0.1)
    assert corner.std() == pytest.approx(1, abs=0.1)
    assert abs(np.corrcoef(corner.T)[0, 1]) < 0.15
    noise = normal_noise(seeds(500), (28, 28, 1)).numpy()[:, 3, 3, 0]
    assert abs(np.corrcoef(corner[:, 0], noise)[0, 1]) < 0.15


def test_scale_enlarges_about_the_centre():
    larger = warp(dot(16, 20), tf.eye(2, batch_shape=[1]) * 1.5, tf.zeros((1, 2))).numpy()
    np.testing.assert_allclose(
        center_of_mass(larger[0, ..., 0]) - 13.5, [1.5 * 2.5, 1.5 * 6.5], atol=0.3
    )


def test_binarize_thresholds_only_the_chosen_images():
    image = tf.constant(np.linspace(0, 1, 28 * 28, dtype=np.float32).reshape(1, 28, 28, 1))
    low = binarize(image, draws_with(binarize=0.49, threshold=0.0), 0.5).numpy()
    np.testing.assert_array_equal(low, (image.numpy() > 0.3).astype(np.float32))
    high = binarize(image, draws_with(binarize=0.0, threshold=0.999), 0.5).numpy()
    np.testing.assert_array_equal(high, (image.numpy() > 0.3 + 0.4 * np.float32(0.999)))
    np.testing.assert_array_equal(binarize(image, draws_with(binarize=0.5), 0.5), image)


def test_noise_has_the_given_deviation_and_is_clipped():
    grey = tf.fill((8, 28, 28, 1), 0.5)
    noisy = add_noise(grey, seeds(8), 0.1).numpy()
    assert noisy.std() == pytest.approx(0.1, rel=0.05)
    assert noisy.mean() == pytest.approx(0.5, abs=0.01)
    strong = add_noise(grey, seeds(8), 2.0).numpy()
    assert (strong.min(), strong.max()) == (0, 1)


def test_noise_is_standard_normal():
    noise = normal_noise(seeds(100), (28, 28, 1)).numpy().ravel()
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert (noise**4).mean() == pytest.approx(3, abs=0.1)
    quantiles = np.quantile(noise, [0.025, 0.16, 0.5, 0.84, 0.975])
    np.testing.assert_allclose(quantiles, [-1.96, -0.994, 0, 0.994, 1.96], atol=0.03)


def test_noise_of_adjacent_seeds_and_pixels_is_uncorrelated():
    noise = normal_noise(seeds(200), (28, 28, 1)).numpy().reshape(200, -1)
    between_seeds = np.corrcoef(noise) - np.eye(200)
    assert np.abs(between_seeds).max() < 6 / np.sqrt(784)
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.02


def test_noise_of_an_odd_number_of_pixels():
    assert normal_noise(seeds(2), (3, 3, 1)).shape == (2, 3, 3, 1)


def test_pair_with_one_view_transforms_only_the_partner(params, images, views):
    transform, partners = with_ops(params, *OPERATIONS), images[::-1]
    x, x_t = make_pair(images, partners, views[:1], transform, 1.0)
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(x_t, transform(partners, views[0], 1.0))


def test_pair_with_two_views_transforms_each_image_by_its_own_draws(params, images, views):
    transform, partners = with_ops(params, *OPERATIONS), images[::-1]
    x, x_t = make_pair(images, partners, views, transform, 1.0)
    np.testing.assert_array_equal(x, transform(images, views[0], 1.0))
    np.testing.assert_array_equal(x_t, transform(partners, views[1], 1.0))


@pytest.mark.parametrize("shape", [(16, 16, 1), (28, 28, 3), (64, 64, 1), (128, 128, 3)])
def test_views_have_the_shape_of_the_images(params, random, views, shape):
    images = tf.constant(random.random((16, *shape), np.float32))
    found = with_ops(params, *OPERATIONS)(images, views[0], 1.0).numpy()
    assert found.shape == images.shape
    assert 0 <= found.min() <= found.max() <= 1
    alone = Draws(views[0].unit[3:4], views[0].noise_seeds[3:4])
    again = with_ops(params, *OPERATIONS)(images[3:4], alone, 1.0)
    np.testing.assert_array_equal(again[0], found[3])


@pytest.mark.parametrize("channels", [1, 3])
def test_ranges_in_pixels_are_relative_to_28(params, channels):
    image = np.zeros((1, 56, 56, channels), np.float32)
    image[0, 20:30, 20:30] = 1
    transform = Transform(
        params.augment.model_copy(update={"ops": ["distortion"], "shift": 3.0, "elastic": 0.0})
    )
    moved = transform(tf.constant(image), draws_with(shift_x=1.0, shift_y=-0.5), 1.0)
    np.testing.assert_allclose(
        center_of_mass(moved[0, ..., 0].numpy()), (24.5 - 3, 24.5 + 6), atol=1e-4
    )


def test_the_border_of_colours_continues_where_the_background_of_grey_images_begins(params):
    transform = Transform(
        params.augment.model_copy(update={"ops": ["distortion"], "shift": 5.0, "elastic": 0.0})
    )
    draws = draws_with(shift_x=1.0)
    colors = np.zeros((1, 28, 28, 3), np.float32)
    colors[:] = 0.25, 0.5, 1
    np.testing.assert_allclose(transform(tf.constant(colors), draws, 1.0), colors)
    grey = transform(tf.constant(colors[..., :1]), draws, 1.0)[0, ..., 0].numpy()
    assert (grey[:, :4] == 0).all()
    assert (grey[:, 6:] == 0.25).all()


def test_flip_mirrors_the_share_of_images_that_its_probability_says(random):
    images = random.random((4000, 4, 4, 1), np.float32)
    draws = draws_with(4000)
    found = flip(tf.constant(images), draws, 0.3).numpy()
    mirrored = (found == images[:, :, ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(found[~mirrored], images[~mirrored])
    assert mirrored.mean() == pytest.approx(0.3, abs=0.03)
    np.testing.assert_array_equal(flip(tf.constant(images), draws, 0.0), images)
    np.testing.assert_array_equal(flip(tf.constant(images), draws, 1.0), images[:, :, ::-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_change_as_defined(random, channels):
    images = random.uniform(0.3, 0.6, (8, 5, 6, channels)).astype(np.float32)
    draws, ranges = draws_with(8), (0.2, 0.3, 0.4, 0.1)
    drawn = 2 * np.stack(draws.added(), axis=1)[:, 1:].astype(float) - 1
    luma = np.array([0.299, 0.587, 0.114]) if channels == 3 else np.ones(1)
    found = change_colors(tf.constant(images), draws, ranges).numpy()
    for image, result, (b, c, s, h) in zip(images, found, drawn * ranges, strict=True):
        expected = image.astype(float) * (1 + b)
        mean = (expected @ luma).mean()
        expected = mean + (1 + c) * (expected - mean)
        if channels == 3:
            to_yiq = np.array([luma, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
            yiq = expected @ to_yiq.T
            chroma = (yiq[..., 1] + 1j * yiq[..., 2]) * (1 + s) * np.exp(2j * np.pi * h)
            turned = np.stack([yiq[..., 0], chroma.real, chroma.imag], axis=-1)
            expected = turned @ np.linalg.inv(to_yiq).T
        np.testing.assert_allclose(result, expected.clip(0, 1), atol=1e-5)


def test_full_turns_of_the_hue_and_no_changes_give_the_same_colours(random):
    images = random.random((3, 5, 5, 3)).astype(np.float32)
    same = change_colors(tf.constant(images), draws_with(3), (0.0, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(same, images, atol=1e-5)
    grey = np.repeat(images[..., :1], 3, axis=3)
    turned = change_colors(tf.constant(grey), draws_with(3), (0.0, 0.0, 1.0, 0.5))
    # Grey pixels have neither saturation nor hue; the axes of chroma are rounded.
    np.testing.assert_allclose(turned, grey, atol=1e-3)


def test_draws_of_flip_and_color_are_even_and_unlike_the_noise():
    drawn = np.stack(draws_with(5000).added(), axis=1)
    assert 0 < drawn.min() < drawn.max() < 1
    np.testing.assert_allclose(drawn.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(drawn.std(axis=0), 12**-0.5, atol=0.02)
    noise = normal_noise(seeds(5000), (5,)).numpy()
    both = np.corrcoef(np.concatenate([drawn, noise], axis=1), rowvar=False)
    assert np.abs(both - np.eye(10)).max() < 0.06


def test_examples_of_a_run_with_further_operations_show_them(params, random, views):
    images = tf.constant(random.random((16, 32, 32, 3), np.float32))
    used = params.augment.model_copy(update={"ops": ["noise", "flip", "color"]})
    assert operation_examples(images, views[0], used).shape == (16, 8, 32, 32, 3)


def test_examples_show_the_original_each_operation_and_all_of_them(params, images, views):
    examples = operation_examples(images, views[0], params.augment)
    assert examples.shape == (16, 2 + len(ARTICLE_OPERATIONS), 28, 28)
    assert examples.dtype == np.uint8
    np.testing.assert_array_equal(examples[:, 0], np.rint(255 * images[..., 0]))
    binarized = with_ops(params, "binarization")(images, views[0], 1.0)
    np.testing.assert_array_equal(
        examples[:, 1 + OPERATIONS.index("binarization")], np.rint(255 * binarized[..., 0])
    )
