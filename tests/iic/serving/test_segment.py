"""`iic segment` writes masks, overlays and a table for a user's pictures."""

import csv

import keras
import numpy as np
import pytest
from PIL import Image
from segmentation_settings import settings

from iic.cli.main import cli
from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.evaluation.card import card_path, write_card
from iic.model.network import build_network
from iic.model.store import hash_of_weights, save_network
from iic.segmentation.card import SegmentationCard
from iic.segmentation.network import build_trunk
from iic.segmentation.predict import Segments, segment_picture
from iic.segmentation.store import save_trunk


@pytest.fixture(scope="module", params=[1, 3])
def made(request, tmp_path_factory):
    """A model with a card, and three pictures."""
    folder = tmp_path_factory.mktemp("segment")
    params = settings().model
    keras.utils.set_random_seed(1)
    network = build_trunk(params, request.param)
    save_trunk(network, params, folder / "model", "float32")
    card = SegmentationCard(
        seed=0,
        data="custom",
        tile=32,
        appearance=Appearance(ranges={"bytes": (0, 255)}, ink="light"),
        labels=["land", "sea"],
        clusters=[1, None, 0],
        overclusters=[None] * params.overclusters,
        metrics={},
        weights_sha256=hash_of_weights(folder / "model"),
    )
    write_card(card, card_path(folder / "model"))
    random = np.random.default_rng(0)
    (folder / "pictures/in").mkdir(parents=True)
    for name, size in (("a.png", (50, 70)), ("in/b.bmp", (33, 40))):
        Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(
            folder / "pictures" / name
        )
    clear = random.integers(0, 256, (40, 40, 4), np.uint8)
    clear[..., 3] = 255
    clear[:10, :, 3] = 0
    Image.fromarray(clear).save(folder / "pictures/clear.png")
    return folder, network, params


def segment(folder, out, *arguments):
    names = ["segment", "--model", str(folder / "model"), "--out", str(out)]
    cli.main([*names, *map(str, arguments)], standalone_mode=False)


def test_masks_have_the_segments_of_the_pictures(made, tmp_path):
    folder, network, params = made
    segment(folder, tmp_path / "out", folder / "pictures")
    with Image.open(folder / "pictures/in/b.bmp") as image:
        picture = np.asarray(image if network.input_shape[3] == 3 else image.convert("L"))
    with Image.open(tmp_path / "out/in/b.png") as mask:
        assert mask.mode == "P"
        np.testing.assert_array_equal(
            np.asarray(mask), segment_picture(network, params, picture).cluster
        )
    with Image.open(tmp_path / "out/clear.png") as mask:
        segments = np.asarray(mask)
    assert (segments[:10] == 255).all()
    assert (segments[10:] != 255).all()


def test_colours_are_those_of_the_classes(made, tmp_path):
    folder, _, _ = made
    segment(folder, tmp_path / "out", folder / "pictures/clear.png")
    with Image.open(tmp_path / "out/clear.png") as mask:
        colors = np.array(mask.getpalette()).reshape(-1, 3)
        painted = np.asarray(mask.convert("RGB")).astype(int)
    # Class 0 is blue, class 1 orange; pixels without a segment are grey.
    assert colors[0].tolist() == [230, 159, 0]
    assert colors[2].tolist() == [0, 114, 178]
    assert colors[1].tolist() not in [colors[0].tolist(), colors[2].tolist()]
    assert painted[0, 0].tolist() == [128, 128, 128]
    with Image.open(tmp_path / "out/clear-overlay.png") as overlay:
        assert overlay.mode == "RGB"
        mixed = np.asarray(overlay).astype(int)
    # Half of the colour, and half of a picture of 0 to 255.
    assert (mixed >= painted // 2 - 1).all()
    assert (mixed <= painted // 2 + 128).all()


def test_the_table_lists_the_sizes_of_the_segments(made, tmp_path, capsys):
    folder, _, _ = made
    segment(folder, tmp_path / "out", folder / "pictures")
    rows = list(csv.DictReader((tmp_path / "out/segments.csv").read_text().splitlines()))
    pixels = {}
    for row in rows:
        pixels[row["picture"]] = pixels.get(row["picture"], 0) + int(row["pixels"])
        assert row["label"] == {"0": "sea", "1": "", "2": "land"}[row["segment"]]
    assert pixels == {
        str(folder / "pictures/a.png"): 3500,
        str(folder / "pictures/clear.png"): 1200,
        str(folder / "pictures/in/b.bmp"): 33 * 40,
    }
    for name in pixels:
        shares = [float(row["share"]) for row in rows if row["picture"] == name]
        assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert capsys.readouterr().err.endswith("segments.csv\n")


def test_a_model_without_a_card_gives_segments_without_names(made, tmp_path):
    folder, network, params = made
    save_trunk(network, params, tmp_path / "model", "float32")
    segment(tmp_path, tmp_path / "out", folder / "pictures/a.png")
    rows = list(csv.DictReader((tmp_path / "out/segments.csv").read_text().splitlines()))
    assert {row["label"] for row in rows} == {""}


def test_files_are_replaced_only_by_force(made, tmp_path):
    folder, _, _ = made
    picture, out = folder / "pictures/a.png", tmp_path / "out"
    out.mkdir()
    (out / "a-overlay.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"a-overlay\.png: already exists; --force replaces it"):
        segment(folder, out, picture)
    assert [path.name for path in out.iterdir()] == ["a-overlay.png"]
    segment(folder, out, picture, "--force")
    assert (out / "a-overlay.png").read_bytes() != b"mine"


def test_a_picture_is_never_replaced(made, tmp_path):
    folder, _, _ = made
    content = (folder / "pictures/a.png").read_bytes()
    with pytest.raises(InputError, match=r"a\.png: is a picture to segment; choose another --out"):
        segment(folder, folder / "pictures", folder / "pictures/a.png", "--force")
    assert (folder / "pictures/a.png").read_bytes() == content


@pytest.mark.parametrize("way", ["link", "up"])
def test_a_picture_is_never_replaced_on_another_way_to_it(made, tmp_path, monkeypatch, way):
    folder, _, _ = made
    (tmp_path / "real").mkdir()
    content = (folder / "pictures/a.png").read_bytes()
    (tmp_path / "real/a.png").write_bytes(content)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "real")
    path = tmp_path / "link" if way == "link" else "../real"
    with pytest.raises(InputError, match=r"^a\.png: is a picture to segment; choose another --out"):
        segment(folder, ".", path, "--force")
    assert (tmp_path / "real/a.png").read_bytes() == content


def test_all_files_are_written_below_the_folder(made, tmp_path, monkeypatch):
    """Whatever place a table names, and for each picture of an array."""
    folder, _, _ = made
    place = tmp_path / "given"
    place.mkdir()
    (place / "list.csv").write_text(
        f"file,label\n{folder}/pictures/a.png,x\n../other/b.bmp,y\n", "utf-8"
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other/b.bmp").write_bytes((folder / "pictures/in/b.bmp").read_bytes())
    np.save(place / "many.npy", np.random.default_rng(0).integers(0, 256, (2, 40, 40), np.uint8))
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    segment(folder, tmp_path / "out", place / "list.csv", place / "many.npy")
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    listed = f"{folder.relative_to('/')}/pictures/a"
    names = [listed, "other/b", "many-0", "many-1"]
    expected = [f"{name}{end}" for name in names for end in (".png", "-overlay.png")]
    assert written == {tmp_path / "out" / name for name in [*expected, "segments.csv"]}
    assert not (folder / "pictures/a-overlay.png").exists()


def test_two_pictures_of_one_name_are_refused(made, tmp_path):
    folder, _, _ = made
    other = tmp_path / "a.bmp"
    Image.new("RGB", (40, 40)).save(other)
    with pytest.raises(InputError, match=r"a\.png would be written for .*a\.png as well; rename"):
        segment(folder, tmp_path / "out", folder / "pictures/a.png", other)
    assert not (tmp_path / "out").exists()


def test_one_segment_for_all_pixels_is_reported(made, tmp_path, monkeypatch, caplog):
    folder, _, _ = made
    all_in_two = Segments(*(np.full((50, 70), 2, np.uint8) for _ in range(2)))
    monkeypatch.setattr("iic.serving.segment.segment_picture", lambda *_: all_in_two)
    segment(folder, tmp_path / "out", folder / "pictures/a.png")
    (message,) = caplog.messages
    assert message.startswith("warning: more than 99 % of the pixels of 1 picture lie in segment 2")


def test_a_damaged_picture_is_named(made, tmp_path):
    folder, _, _ = made
    content = (folder / "pictures/a.png").read_bytes()
    (tmp_path / "bad.png").write_bytes(content[:500])
    with pytest.raises(InputError, match=r"bad\.png: cannot be read as an image"):
        segment(folder, tmp_path / "out", tmp_path / "bad.png")


@pytest.mark.parametrize("words", [["info"], ["predict", "a.png"], ["explore"]])
def test_commands_of_clustering_name_those_of_segmentation(made, monkeypatch, words):
    folder, _, _ = made
    monkeypatch.chdir(folder / "pictures")
    words = [*words, "--model", str(folder / "model")]
    with pytest.raises(InputError, match=r"model: a segmentation network; `iic segment` and"):
        cli.main(words, standalone_mode=False)


def test_a_clustering_network_is_refused(made, tmp_path, tiny_params):
    folder, _, _ = made
    save_network(build_network(tiny_params.model), tiny_params.model, tmp_path / "model")
    with pytest.raises(InputError, match=r"model: a clustering network; `iic predict`, `iic expl"):
        segment(tmp_path, tmp_path / "out", folder / "pictures/a.png")


def test_a_card_of_another_network_is_refused(made, tmp_path):
    folder, network, params = made
    save_trunk(network, params, tmp_path / "model", "float32")
    card = SegmentationCard.of(folder / "model").model_copy(update={"clusters": [0, 1]})
    write_card(card, card_path(tmp_path / "model"))
    with pytest.raises(InputError, match=r"model-card\.json: describes another network; run"):
        segment(tmp_path, tmp_path / "out", folder / "pictures/a.png")
