import numpy as np
import pytest

from iic.segmentation.constants import IGNORED
from iic.segmentation.tiling import cut_tiles, scored_once, tile_places


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 20), (17, 9), (31, 40)])
@pytest.mark.parametrize("step", [8, 5, 3])
def test_tiles_lie_inside_and_cover_the_picture(height, width, step):
    seen = np.zeros((height, width), int)
    places = tile_places(height, width, 8, step)
    for row, column in places:
        assert 0 <= row <= height - 8
        assert 0 <= column <= width - 8
        seen[row : row + 8, column : column + 8] += 1
    assert seen.all()
    assert len(set(places)) == len(places)


def test_tiles_are_cut_at_their_places(random):
    picture = random.integers(256, size=(13, 10, 3)).astype(np.uint8)
    places = tile_places(13, 10, 8, 8)
    tiles = cut_tiles(picture, places, 8)
    assert tiles.shape == (4, 8, 8, 3)
    np.testing.assert_array_equal(tiles[-1], picture[5:, 2:])


def test_each_pixel_is_scored_once(random):
    mask = random.integers(4, size=(13, 10)).astype(np.uint8)
    mask[3, 4] = IGNORED
    places = tile_places(13, 10, 8, 5)
    tiles = scored_once(mask, places, 8)
    scored = tiles != IGNORED
    assert scored.sum() == mask.size - 1
    np.testing.assert_array_equal(tiles[scored], cut_tiles(mask, places, 8)[scored])
    assert mask[0, 0] != IGNORED
