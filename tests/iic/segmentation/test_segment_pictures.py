import keras
import numpy as np
import pytest
from segmentation_settings import settings

from iic.segmentation import predict
from iic.segmentation.network import build_trunk
from iic.segmentation.predict import context, segment_picture, segment_tiles


def network_of(params, channels):
    """A network with random weights, whose BatchNorm knows noise, so that all segments occur."""
    keras.utils.set_random_seed(0)
    network = build_trunk(params, channels)
    shape = (1, 96, 96, channels)
    noise = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    for _ in range(50):
        network(noise, training=True)
    return network


@pytest.mark.parametrize(
    ("widths", "poolings", "channels"), [([4, 6, 5], 2, 1), ([4, 5], 0, 3), ([3, 4, 5], 3, 1)]
)
@pytest.mark.parametrize("size", [(130, 200), (64, 64), (71, 33)])
def test_windows_give_the_segments_of_the_whole_picture(
    monkeypatch, widths, poolings, channels, size
):
    params = settings({"model.widths": widths, "model.poolings": poolings}).model
    network = network_of(params, channels)
    shape = size if channels == 1 else (*size, channels)
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    whole = segment_picture(network, params, picture)
    monkeypatch.setattr(predict, "_WINDOW", 64)
    finished = []
    windows = segment_picture(network, params, picture, finished.append)
    assert sum(finished) == size[0] * size[1]
    for one, other in zip(whole, windows, strict=True):
        assert one.shape == size
        # Rounding may change a pixel between two equally likely segments.
        assert (one != other).mean() < 1e-3
    assert len(np.unique(whole.overcluster)) > 1


def test_a_narrower_context_would_change_segments(monkeypatch):
    params = settings({"model.widths": [4, 6, 5], "model.poolings": 2}).model
    network = network_of(params, 1)
    picture = np.random.default_rng(1).integers(0, 256, (130, 200), np.uint8)
    whole = segment_picture(network, params, picture)
    monkeypatch.setattr(predict, "_WINDOW", 64)
    monkeypatch.setattr(predict, "context", lambda _: 0)
    windows = segment_picture(network, params, picture)
    assert (whole.overcluster != windows.overcluster).mean() > 1e-3


@pytest.mark.parametrize(("widths", "poolings", "wanted"), [([1], 0, 3), ([1, 1, 1], 2, 16)])
def test_context_is_a_multiple_of_a_cell(widths, poolings, wanted):
    # Radii 1; and 1 + 2 + 4; each and two cells, rounded up.
    params = settings({"model.widths": widths, "model.poolings": poolings}).model
    assert context(params) == wanted


def test_a_tile_and_a_picture_of_its_size_have_the_same_segments():
    params = settings({"model.widths": [4, 6], "model.poolings": 2}).model
    network = network_of(params, 1)
    tile = np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8)
    tiles = segment_tiles(network, 2, tile[None])
    picture = segment_picture(network, params, tile)
    np.testing.assert_array_equal(tiles.cluster[0], picture.cluster)
    np.testing.assert_array_equal(tiles.overcluster[0], picture.overcluster)
