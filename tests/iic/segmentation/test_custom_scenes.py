import logging

import numpy as np
import pytest
from PIL import Image
from segmentation_settings import settings

from iic.core.errors import InputError
from iic.segmentation.constants import IGNORED
from iic.segmentation.scenes import load_scenes

SIDE = 32


def save(path, values, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values))
    if palette := options.pop("palette", None):
        image.putpalette(palette)
    image.save(path, **options)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two grey pictures, the second larger than a tile, with masks of two classes."""
    for index, shape in enumerate([(SIDE, SIDE), (40, 75)]):
        save(tmp_path / f"pictures/{index}.png", noise(*shape, seed=index))
        mask = np.zeros(shape, np.uint8)
        mask[:, shape[1] // 2 :] = 1
        mask[0, 0] = IGNORED
        save(tmp_path / f"masks/{index}.png", mask)
    return tmp_path


def scenes_of(folder, **values):
    given = {
        "data.name": "custom",
        "data.path": str(folder / "pictures"),
        "data.masks": str(folder / "masks"),
    }
    params = settings(given | {f"data.{key}": value for key, value in values.items()})
    return load_scenes(params.data, 0)


def test_tiles_show_the_pixels_of_the_pictures(folder):
    scenes = scenes_of(folder)
    np.testing.assert_array_equal(scenes.train_tiles[0], noise(SIDE, SIDE))
    picture = noise(40, 75, seed=1)
    # Test tiles: rows at 0 and 8, columns at 0, 32 and 43; training tiles overlap by half.
    assert len(scenes.test_tiles) == 1 + 2 * 3
    np.testing.assert_array_equal(scenes.test_tiles[3], picture[:SIDE, 43 : 43 + SIDE])
    assert len(scenes.train_tiles) == 1 + 2 * 4
    assert scenes.train_valid.all()


def test_each_pixel_is_scored_once(folder):
    scenes = scenes_of(folder)
    for masks in (scenes.train_masks, scenes.test_masks):
        # All pixels but the ignored one of each picture.
        assert (masks != IGNORED).sum() == SIDE**2 + 40 * 75 - 2
        assert (masks == 1).sum() == SIDE * 16 + 40 * 38
    assert scenes.names == ("0", "1")


def test_folders_of_splits_divide_the_pictures(tmp_path):
    for split, n in (("Train", 2), ("val", 1), ("test", 1)):
        for index in range(n):
            save(tmp_path / f"pictures/{split}/{index}.png", noise(SIDE, SIDE, seed=index))
    mask = np.full((SIDE, SIDE), 7, np.uint8)
    mask[:4] = 9
    save(tmp_path / "masks/test/0.png", mask)
    scenes = scenes_of(tmp_path)
    assert len(scenes.train_tiles) == 3
    np.testing.assert_array_equal(scenes.test_tiles, noise(SIDE, SIDE)[None])
    assert scenes.names == ("7", "9")
    assert (scenes.train_masks == IGNORED).all()
    np.testing.assert_array_equal(scenes.test_masks[0], mask == 9)


def test_splits_are_those_of_clustering(tmp_path, caplog):
    """Splits below a single folder, and of arrays, are found; a picture beside them is refused."""
    pictures = {"train": noise(3, SIDE, SIDE), "test": noise(2, SIDE, SIDE, seed=1)}
    for split, values in pictures.items():
        for index, picture in enumerate(values):
            save(tmp_path / f"pictures/set/{split}/{index}.png", picture)
    for split, values in pictures.items():
        save(tmp_path / f"masks/set/{split}/0.png", (values[0] > 99).astype(np.uint8))
    arrays = tmp_path / "pictures.npz"
    np.savez(arrays, **{f"{split}_images": values for split, values in pictures.items()})
    for given in ({}, {"path": str(arrays), "masks": "stages/no-masks"}):
        scenes = scenes_of(tmp_path, **given)
        np.testing.assert_array_equal(scenes.train_tiles, pictures["train"])
        np.testing.assert_array_equal(scenes.test_tiles, pictures["test"])
        assert scenes.names == (() if given else ("0", "1"))
    save(tmp_path / "pictures/set/stray.png", noise(SIDE, SIDE))
    with pytest.raises(InputError, match=r"set: image stray\.png is next to train and test; move"):
        scenes_of(tmp_path)


def test_pictures_of_an_array_have_masks_by_their_position(folder):
    np.save(folder / "pictures.npy", noise(2, SIDE, SIDE))
    for path in (folder / "masks").iterdir():
        path.unlink()
    save(folder / "masks/pictures-1.png", (noise(SIDE, SIDE) > 99).astype(np.uint8))
    scenes = scenes_of(folder, path=str(folder / "pictures.npy"))
    assert (scenes.test_masks[0] == IGNORED).all()
    assert (scenes.test_masks[1] != IGNORED).all()


def test_pictures_without_masks_are_not_scored(folder, caplog):
    (folder / "masks/1.png").unlink()
    with caplog.at_level(logging.INFO):
        scenes = scenes_of(folder)
    assert "1 picture without a mask: not scored" in caplog.messages
    assert (scenes.test_masks != IGNORED).sum() == SIDE**2 - 1
    scenes = scenes_of(folder, masks="stages/no-masks")
    assert scenes.names == ()
    assert (scenes.test_masks == IGNORED).all()


def test_masks_of_training_pictures_alone_are_warned_about(tmp_path, caplog):
    for split in ("train", "test"):
        save(tmp_path / f"pictures/{split}/0.png", noise(SIDE, SIDE))
    save(tmp_path / "masks/train/0.png", (noise(SIDE, SIDE) > 99).astype(np.uint8))
    scenes_of(tmp_path)
    assert "no picture of the test split has a mask, so nothing is scored" in caplog.text


def test_transparent_pixels_do_not_count(folder):
    values = np.dstack([noise(SIDE, SIDE, 3), np.full((SIDE, SIDE), 255, np.uint8)])
    values[:5, :, 3] = 0
    for path in (folder / "pictures").iterdir():
        path.unlink()
    (folder / "masks/1.png").unlink()
    save(folder / "pictures/0.png", values)
    scenes = scenes_of(folder)
    assert scenes.train_tiles.shape == (1, SIDE, SIDE, 3)
    np.testing.assert_array_equal(scenes.train_tiles[0], values[..., :3])
    np.testing.assert_array_equal(scenes.train_valid[0], values[..., 3] == 255)
    assert (scenes.test_masks[0, :5] == IGNORED).all()
    assert (scenes.test_masks[0, 5:] != IGNORED).all()


def test_classes_get_their_names(folder):
    assert scenes_of(folder, classes=["land", "sea", "ice"]).names == ("land", "sea", "ice")


def test_masks_with_a_palette_or_equal_channels_are_numbers(folder):
    mask = np.zeros((40, 75), np.uint8)
    mask[:10] = 3
    save(folder / "masks/1.png", mask, palette=[200, 0, 0] * 256)
    save(folder / "masks/0.png", np.full((SIDE, SIDE, 3), 3, np.uint8))
    scenes = scenes_of(folder)
    assert scenes.names == ("0", "3")
    assert (scenes.test_masks == 1).sum() == SIDE**2 + 750


def test_values_of_16_bits_are_scaled_by_the_range_of_all_pictures(folder):
    for index, shape in enumerate([(SIDE, SIDE), (40, 75)]):
        values = noise(*shape, seed=index).astype(np.uint16) * 16
        Image.fromarray(values).save(folder / f"pictures/{index}.png")
    scenes = scenes_of(folder)
    assert scenes.appearance.ranges == {"integers": (0, 255 * 16)}
    np.testing.assert_array_equal(scenes.train_tiles[0], noise(SIDE, SIDE))


def test_channels_can_be_chosen(folder):
    save(folder / "pictures/0.png", noise(SIDE, SIDE, 3))
    assert scenes_of(folder, channels=1).train_tiles.shape[1:] == (SIDE, SIDE)
    scenes = scenes_of(folder, channels=3)
    assert scenes.train_tiles.shape[1:] == (SIDE, SIDE, 3)
    grey = scenes.train_tiles[1]
    np.testing.assert_array_equal(grey, np.repeat(grey[..., :1], 3, axis=2))


def lose_a_picture(folder):
    (folder / "pictures/1.png").unlink()


def resize_a_mask(folder):
    save(folder / "masks/1.png", np.zeros((40, 74), np.uint8))


def add_a_small_picture(folder):
    save(folder / "pictures/small.png", noise(31, 99))


def color_a_picture(folder):
    save(folder / "pictures/1.png", noise(40, 75, 3))


def compress_a_mask(folder):
    (folder / "masks/1.png").unlink()
    save(folder / "masks/1.jpg", np.zeros((40, 75), np.uint8))


def color_a_mask(folder):
    save(folder / "masks/1.png", noise(40, 75, 3))


def photograph_as_mask(folder):
    values = np.arange(40 * 75, dtype=np.uint16).reshape(40, 75)
    Image.fromarray(values).save(folder / "masks/1.png")


def repeat_a_name(folder):
    save(folder / "pictures/1.bmp", noise(40, 75))


def break_a_mask(folder):
    (folder / "masks/1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))


def break_a_picture(folder):
    content = (folder / "pictures/1.png").read_bytes()
    (folder / "pictures/1.png").write_bytes(content[:200])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lose_a_picture, r"masks/1\.png: no picture of this name in .*pictures; remove the mask"),
        (resize_a_mask, r"masks/1\.png: 74×40 pixels, but its picture has 75×40; give both"),
        (add_a_small_picture, r"small\.png: 99×31 pixels, smaller than a tile \(data.tile: 32\)"),
        (color_a_picture, r"0\.png is grey and 1\.png has colours; set data\.channels to 3"),
        (compress_a_mask, r"masks/1\.jpg: JPEG changes the values of a mask; save it as PNG"),
        (color_a_mask, r"masks/1\.png: has colours; a mask has the number of the class in each"),
        (photograph_as_mask, r"the masks have 2,999 values, more than 250 classes"),
        (repeat_a_name, r"pictures: 1\.png has the same name as another file but for the suffix"),
        (break_a_mask, r"masks/1\.png: cannot be read as a mask \("),
        (break_a_picture, r"pictures/1\.png: cannot be read as an image \("),
    ],
)
def test_a_mistake_in_the_files_is_named_with_its_remedy(folder, change, message):
    change(folder)
    with pytest.raises(InputError, match=message):
        scenes_of(folder)


def link_to_nothing(folder):
    (folder / "pictures/2.png").symlink_to("/nowhere.png")


def lose_all_masks(folder):
    for index in range(2):
        (folder / f"masks/{index}.png").unlink()
        (folder / f"masks/{index}.json").write_text("{}")


def whiten_masks(folder):
    """The object is 255, which is not scored."""
    for index, shape in enumerate([(SIDE, SIDE), (40, 75)]):
        mask = np.zeros(shape, np.uint8)
        mask[:9] = IGNORED
        save(folder / f"masks/{index}.png", mask)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (link_to_nothing, r"1 broken link: 2\.png → /nowhere\.png; restore or remove them$"),
        (lose_all_masks, r"masks contains no masks; save them as PNG, with the names of their"),
        (
            whiten_masks,
            r"masks/0\.png: the masks have only the value 0 beside 255, which is",
        ),
    ],
)
def test_nothing_is_left_out_in_silence(folder, change, message):
    change(folder)
    with pytest.raises(InputError, match=message):
        scenes_of(folder)


def test_classes_without_pixels_are_warned_about(folder, caplog):
    scenes_of(folder, classes=["land", "sea", "ice"])
    assert "no mask has the class ice; pixels of 255 are not scored" in caplog.text


def test_other_files_beside_masks_are_named(folder, caplog):
    (folder / "masks/notes.txt").write_text("x")
    scenes_of(folder)
    assert "masks: 1 of 3 files left out: 1 .txt" in caplog.text


@pytest.mark.parametrize(("path", "masks"), [("all", "all/masks"), ("all/pictures", "all")])
def test_masks_are_never_pictures(folder, tmp_path, path, masks):
    (folder / "all").mkdir()
    for name in ("pictures", "masks"):
        (folder / name).rename(folder / "all" / name)
    with pytest.raises(InputError, match=r"data\.masks: .* lie in one another, so masks would be"):
        scenes_of(folder, path=str(folder / path), masks=str(folder / masks))


def test_settings_of_clustering_are_not_named(folder, monkeypatch):
    monkeypatch.setattr("iic.segmentation.custom._MOST", 1)
    with pytest.raises(InputError, match=r"pictures: more than 1 images; choose a smaller folder$"):
        scenes_of(folder)


def test_a_mask_with_more_values_than_classes_is_refused(folder):
    with pytest.raises(InputError, match=r"masks/0\.png: has the value 1, but data\.classes names"):
        scenes_of(folder, classes=["all"])


@pytest.mark.parametrize("key", ["path", "masks"])
def test_a_missing_folder_is_named(folder, key):
    missing = str(folder / "nothing")
    with pytest.raises(InputError, match=rf"data\.{key}: .*nothing (is not|not found)"):
        scenes_of(folder, **{key: missing})


def test_too_many_pixels_for_the_memory_are_refused(folder, monkeypatch):
    monkeypatch.setattr("iic.segmentation.custom.usable_memory", lambda: 10_000)
    with pytest.raises(InputError, match=r"the tiles need more than the 0\.0 GB of memory"):
        scenes_of(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data.name": "custom"}, "path: set it to your pictures"),
        ({"data.path": "photos"}, "path: is only for data.name custom, not for textures"),
        ({"data.channels": 3}, "channels: is only for data.name custom"),
        (
            {"data.name": "custom", "data.path": "photos", "data.classes": ["a"]},
            "classes: names the values of masks; set data.masks",
        ),
    ],
)
def test_settings_of_custom_pictures_are_checked(values, message):
    with pytest.raises(InputError, match=message):
        settings(values)
