import numpy as np
import pytest

from iic.core.errors import InputError
from iic.segmentation.textures import NAMES, equalized, installed_textures, mosaics


@pytest.fixture(scope="module")
def textures():
    pytest.importorskip("skimage")
    return installed_textures()


def test_photographs_are_those_of_the_package(textures):
    import skimage.data

    for name, texture in textures.items():
        np.testing.assert_array_equal(texture, getattr(skimage.data, name)())


def test_textures_have_the_same_mean_and_contrast(textures):
    values = [equalized(texture).astype(float) for texture in textures.values()]
    np.testing.assert_allclose([v.mean() for v in values], 128, atol=1)
    np.testing.assert_allclose([v.std() for v in values], 45, atol=2)


def test_each_pixel_comes_from_its_texture_and_its_half(monkeypatch):
    monkeypatch.setattr("iic.segmentation.textures.equalized", lambda texture: texture)
    sides = np.repeat([0, 1], 64)[None].repeat(64, axis=0).astype(np.uint8)
    plain = {name: sides + 2 * number for number, name in enumerate(NAMES)}
    for half in (0, 1):
        images, masks = mosaics(plain, 5, 48, half, seed=0)
        assert set(masks.ravel()) == {0, 1, 2}
        np.testing.assert_array_equal(images, 2 * masks + half)


def test_seed_and_half_decide_the_mosaics(textures):
    first, masks = mosaics(textures, 4, 48, 0, seed=1)
    again, same = mosaics(textures, 4, 48, 0, seed=1)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(masks, same)
    assert (mosaics(textures, 4, 48, 0, seed=2)[1] != masks).any()
    assert (mosaics(textures, 4, 48, 1, seed=1)[1] != masks).any()


def test_mosaics_have_all_textures_in_similar_amounts(textures):
    images, masks = mosaics(textures, 200, 48, 0, seed=0)
    assert images.shape == masks.shape == (200, 48, 48)
    shares = np.bincount(masks.ravel()) / masks.size
    assert len(shares) == 3
    assert shares.min() > 0.27
    # Three cells or more, so every mosaic has every texture, unless a cell has no pixel.
    assert np.mean([len(np.unique(mask)) for mask in masks]) > 2.8


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="scikit-image: not installed; `make segment`"):
        installed_textures()
