"""Exported files compute the same as the network.

`make test-extras` adds the formats that need optional packages.
"""

import importlib.util
import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, run
from segmentation_settings import settings

from iic.cli import export as command
from iic.cli.main import main
from iic.core.appearance import Appearance
from iic.core.errors import InputError
from iic.core.files import write_arrays
from iic.core.params import ModelParams
from iic.core.shapes import GREY_SHAPE, ImageShape, array_shape
from iic.evaluation.card import ModelCard, card_path, write_card
from iic.model.assignments import Assignments
from iic.model.network import build_network, predict
from iic.model.store import hash_of_weights, load_network, read_model_params, save_network
from iic.segmentation.card import SegmentationCard
from iic.segmentation.network import build_trunk
from iic.segmentation.paths import TILES
from iic.segmentation.predict import segment_tiles
from iic.segmentation.store import load_trunk, save_trunk
from iic.serving.export import (
    FORMATS,
    TOLERANCE,
    Exported,
    check,
    check_installed,
    export,
    generated_images,
)

OPTIONAL = [name for name, form in FORMATS.items() if form.packages]
NAMES = [pytest.param(n, marks=[pytest.mark.exporters] * (n in OPTIONAL)) for n in FORMATS]
formats = pytest.mark.parametrize("name", NAMES)

LABELS = ["nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CLUSTERS = [3, 1, None, 0, 2, 9, 8, 7, 6, 5]


def skip_without(name: str) -> None:
    try:
        check_installed(name)
    except InputError as error:
        pytest.skip(str(error))


def network_of(params: ModelParams, seed: int = 0, shape: ImageShape = GREY_SHAPE) -> keras.Model:
    """Build a network with random weights, so that its outputs are not uniform."""
    network, random = build_network(params, shape), np.random.default_rng(seed)
    network.set_weights(
        [
            random.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else random.normal(0, 0.3, w.shape)
            for w in network.get_weights()
        ]
    )
    return network


def make_card(params: ModelParams, weights: str) -> ModelCard:
    return ModelCard(
        recipe="fast",
        seed=3,
        data="mnist",
        size="fit",
        ink="auto",
        labels=LABELS,
        clusters=CLUSTERS,
        overclusters=[k % 10 for k in range(params.overclusters)],
        metrics={"acc": 0.5},
        weights_sha256=weights,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_params, digits) -> Path:
    """A folder with a model, its card and images, as the pipeline writes them."""
    folder = tmp_path_factory.mktemp("place")
    save_network(network_of(tiny_params.model), tiny_params.model, folder / "model")
    card = make_card(tiny_params.model, hash_of_weights(folder / "model"))
    write_card(card, card_path(folder / "model"))
    write_arrays(folder / "data/images.npz", {"test_images": digits.test_images[:40]})
    return folder


@pytest.fixture(scope="module")
def network(place) -> keras.Model:
    return load_network(place / "model")


@pytest.fixture(scope="module")
def exported(place, tmp_path_factory):
    """Export each format once, under its default name."""
    done: dict[str, Exported] = {}
    folder = tmp_path_factory.mktemp("exported")

    def make(name: str) -> Exported:
        skip_without(name)
        if name not in done:
            out = folder / f"iic-mnist{FORMATS[name].suffix}"
            images = place / "data/images.npz"
            done[name] = export(place / "model", name, out, images, force=False)
        return done[name]

    return make


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export_here(place: Path, name: str = "keras", **options) -> Exported:
    settings = {"out": None, "images": place / "data/images.npz", "force": False} | options
    return export(place / "model", name, **settings)


def end_of_main(monkeypatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["iic", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@formats
@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("kind", ["real", "random"])
def test_the_file_gives_the_probabilities_of_the_network(exported, network, digits, name, n, kind):
    images = digits.test_images[:n] if kind == "real" else generated_images(n, GREY_SHAPE)
    run_file = FORMATS[name].load(exported(name).path)
    for got, expected in zip(run_file(images), predict(network, images), strict=True):
        assert got.shape == expected.shape
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


@formats
def test_the_check_uses_real_images_and_reports_its_result(exported, name):
    done = exported(name)
    assert done.images.startswith("40 test images of ")
    assert 0 <= done.difference <= TOLERANCE
    files = done.path.rglob("*.*") if done.path.is_dir() else [done.path]
    assert done.size == sum(path.stat().st_size for path in files if path.is_file())


@pytest.mark.parametrize(
    "values",
    [
        {"pool_first": False, "normalize_logits": False},
        {"head_widths": [], "widths": [6], "clusters": 3, "overclusters": 4},
    ],
    ids=["plain", "small"],
)
@formats
def test_other_architectures_are_exported(tiny_params, here, name, values):
    skip_without(name)
    params = tiny_params.model.model_copy(update=values)
    save_network(network_of(params), params, here / "model")
    done = export(here / "model", name, None, here / "none.npz", force=False)
    assert done.images == "256 generated images"
    assert done.path == Path(f"iic{FORMATS[name].suffix}")
    about = json.loads(done.description.read_text())
    assert about["outputs"]["cluster"]["names"] is None
    assert about["model"]["card"] is None


@formats
@pytest.mark.parametrize(
    ("shape", "images"), [((16, 16, 1), 256), ((128, 128, 3), 64)], ids=["grey", "colours"]
)
def test_networks_of_other_shapes_are_exported(tiny_params, here, name, shape, images):
    skip_without(name)
    save_network(network_of(tiny_params.model, shape=shape), tiny_params.model, here / "model")
    done = export(here / "model", name, None, here / "none.npz", force=False)
    assert 0 <= done.difference <= TOLERANCE
    assert done.images == f"{images} generated images"
    about = json.loads(done.description.read_text())["input"]
    assert about["shape"] == ["n", *array_shape(shape)]
    assert about["meaning"].startswith("red" if shape[2] == 3 else "ink light")


@formats
def test_the_description_names_input_outputs_and_clusters(exported, place, tiny_params, name):
    done = exported(name)
    assert done.description.name == f"{done.path.name}.json"
    about = json.loads(done.description.read_text())
    assert about["input"]["name"] == "images"
    assert about["input"]["dtype"] == "uint8"
    assert about["input"]["shape"] == ["n", 28, 28]
    cluster, overcluster = (about["outputs"][head] for head in Assignments._fields)
    assert cluster["names"] == [None if k is None else LABELS[k] for k in CLUSTERS]
    assert overcluster["shape"] == ["n", tiny_params.model.overclusters]
    assert overcluster["names"][:11] == [*LABELS, LABELS[0]]
    assert about["model"]["card"] == {
        "recipe": "fast", "seed": 3, "data": "mnist", "size": "fit", "ink": "auto",
    }  # fmt: skip
    assert about["model"]["metrics"] == {"acc": 0.5}
    assert about["model"]["weights_sha256"] == hash_of_weights(place / "model")
    assert about["versions"]["TensorFlow"]


def test_without_labels_no_output_has_names(tiny_params, here):
    """The card of such a model has None for the class of each cluster."""
    params = tiny_params.model
    save_network(network_of(params), params, here / "model")
    card = make_card(params, hash_of_weights(here / "model"))
    unnamed = {
        "labels": [],
        "clusters": [None] * params.clusters,
        "overclusters": [None] * params.overclusters,
    }
    write_card(card.model_copy(update=unnamed), card_path(here / "model"))
    done = export(here / "model", "keras", None, here / "none.npz", force=False)
    outputs = json.loads(done.description.read_text())["outputs"]
    assert [outputs[head]["names"] for head in ("cluster", "overcluster")] == [None, None]


def test_a_saved_model_contains_its_description(exported):
    done = exported("savedmodel")
    inside = done.path / "assets.extra/iic.json"
    assert inside.read_text() == done.description.read_text()


@pytest.mark.exporters
def test_an_onnx_file_contains_its_description(exported):
    done = exported("onnx")
    import onnx

    proto = onnx.load(done.path)
    assert {p.key: p.value for p in proto.metadata_props} == {"iic": done.description.read_text()}
    signature = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert signature == {"images": ["n", 28, 28], "cluster": ["n", 10], "overcluster": ["n", 20]}


@pytest.mark.exporters
def test_litert_files_are_reproducible(exported, place, here):
    first = exported("litert").path.read_bytes()
    assert export_here(place, "litert").path.read_bytes() == first


def test_the_command_offers_all_formats():
    assert set(FORMATS) == set(command._FORMATS)
    assert OPTIONAL == ["onnx", "litert"]


def write_other_weights(network: keras.Model, path: Path, description: str) -> None:
    network.set_weights([1.5 * weights for weights in network.get_weights()])
    network.save(path)


def write_nan_weights(network: keras.Model, path: Path, description: str) -> None:
    network.set_weights([np.nan * weights for weights in network.get_weights()])
    network.save(path)


def fail_to_write(network: keras.Model, path: Path, description: str) -> None:
    path.write_text("half")
    raise RuntimeError("no such operation\nand a long story")


@pytest.mark.parametrize(
    ("write", "old", "message"),
    [
        (write_other_weights, False, "keras: probabilities differ by 0.* more than 0.0001"),
        (write_nan_weights, True, "keras: probabilities differ by nan"),
        (fail_to_write, True, r"keras: the converter or its runtime failed \(no such operation\)$"),
    ],
)
def test_a_file_that_fails_the_check_is_not_kept(place, here, monkeypatch, write, old, message):
    if old:
        for suffix in ("", ".json"):
            (here / f"iic-mnist.keras{suffix}").write_text("old")
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    monkeypatch.setitem(FORMATS, "keras", FORMATS["keras"]._replace(write=write))
    with pytest.raises(InputError, match=message) as caught:
        export_here(place, force=True)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


def test_a_file_of_another_network_fails_the_check(exported, tiny_params, digits):
    other, images = network_of(tiny_params.model, seed=1), digits.test_images[:5]
    with pytest.raises(InputError, match="probabilities differ"):
        check("keras", exported("keras").path, images, predict(other, images))


@pytest.fixture
def quick(monkeypatch) -> None:
    """Formats that write a placeholder without a check."""

    def write_folder(network: keras.Model, path: Path, description: str) -> None:
        path.mkdir()
        (path / "saved_model.pb").write_text("new")

    def write_file(network: keras.Model, path: Path, description: str) -> None:
        path.write_text("new")

    for name, write in (("savedmodel", write_folder), ("keras", write_file)):
        monkeypatch.setitem(FORMATS, name, FORMATS[name]._replace(write=write))
    monkeypatch.setattr("iic.serving.export.check", lambda *arguments: 0.0)


@pytest.mark.parametrize("name", ["keras", "savedmodel"])
def test_existing_exports_are_replaced_only_with_force(place, here, quick, name):
    done = export_here(place, name)
    inner = done.path / "saved_model.pb" if done.path.is_dir() else done.path
    inner.write_text("old")
    with pytest.raises(InputError, match=f"^{done.path}: already exists; --force"):
        export_here(place, name)
    assert inner.read_text() == "old"
    export_here(place, name, force=True)
    assert inner.read_text() == "new"
    assert {path.name for path in here.iterdir()} == {done.path.name, done.description.name}


def test_an_existing_description_is_kept(place, here):
    (here / "iic-mnist.keras.json").write_text("mine")
    with pytest.raises(InputError, match=r"^iic-mnist.keras.json: already exists"):
        export_here(place)
    assert [path.name for path in here.iterdir()] == ["iic-mnist.keras.json"]


@pytest.mark.parametrize(
    ("name", "out", "message"),
    [
        ("savedmodel", "photos", "photos: not of the format savedmodel"),
        ("savedmodel", "a.keras", "a.keras: not of the format savedmodel"),
        ("savedmodel", ".", "not a name for a file"),
        ("keras", "folder.keras", "folder.keras: not of the format keras"),
        ("keras", "a.h5", "a.h5: files of the format keras must end in .keras"),
    ],
)
def test_force_replaces_only_exports(place, here, name, out, message):
    for folder in ("photos", "folder.keras"):
        (here / folder).mkdir()
        (here / folder / "one").write_text("1")
    (here / "a.keras").write_text("2")
    before = sorted(here.rglob("*"))
    with pytest.raises(InputError, match=message):
        export_here(place, name, out=Path(out), force=True)
    assert sorted(here.rglob("*")) == before


def test_a_folder_that_cannot_be_replaced_is_restored(place, here, quick, monkeypatch):
    done = export_here(place, "savedmodel")
    before = sorted(here.rglob("*"))
    replace = Path.replace

    def refusing(self, target):
        if Path(target) == done.path:
            raise PermissionError(13, "Permission denied", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refusing)
    with pytest.raises(PermissionError):
        export_here(place, "savedmodel", force=True)
    assert sorted(here.rglob("*")) == before


def test_a_card_of_another_network_is_refused(place, here, tiny_params):
    folder = Path(shutil.copytree(place, here / "copy"))
    write_card(make_card(tiny_params.model, "0" * 64), card_path(folder / "model"))
    with pytest.raises(
        InputError, match="describes other weights than those in .*; run `dvc repro eval"
    ):
        export_here(folder)


def test_a_model_beside_other_images_is_refused(place, here):
    card = make_card(read_model_params(place / "model"), hash_of_weights(place / "model"))
    shutil.copytree(place / "model", here / "model")
    write_card(card.model_copy(update={"images_sha256": "0" * 64}), card_path(here / "model"))
    images = place / "data/images.npz"
    with pytest.raises(InputError, match=r"images\.npz: not the images .*; run `dvc repro`"):
        export(here / "model", "savedmodel", None, images, force=False)
    assert not list(here.glob("iic*"))


def test_a_missing_model_is_reported_on_one_line(here, monkeypatch):
    message = end_of_main(monkeypatch, "export", "--model", "nowhere", "--format", "keras")
    assert message.startswith("error: nowhere/model.json: not found; run `dvc repro`")
    assert len(message.splitlines()) == 1
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("name", "package"), [("onnx", "onnxruntime"), ("litert", "ai_edge_litert")]
)
def test_a_missing_package_is_reported_on_one_line(place, here, monkeypatch, name, package):
    # All packages seem to be installed except this one.
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != package or None)
    message = end_of_main(monkeypatch, "export", "--model", f"{place}/model", "--format", name)
    assert message == (
        f"error: {package}: not installed; `make setup EXTRAS=export` installs "
        "requirements/export.txt"
    )
    assert not list(here.iterdir())


def test_an_unknown_format_is_named(monkeypatch, capsys):
    assert end_of_main(monkeypatch, "export", "--format", "pickle") == 2
    assert (
        "'pickle' is not one of 'savedmodel', 'keras', 'onnx', 'litert'" in capsys.readouterr().err
    )


def test_the_command_prints_only_what_it_wrote(place, here):
    code = "from iic.cli.main import main; main()"
    words = ("export", "--model", str(place / "model"), "--format", "savedmodel")
    done = run(sys.executable, "-c", code, *words, cwd=here, env={"PYTHONPATH": str(ROOT)})
    wrote, checked = done.stdout.splitlines()
    size = sum(path.stat().st_size for path in Path("iic-mnist.savedmodel").rglob("*.*"))
    assert wrote == (
        f"wrote iic-mnist.savedmodel, {size / 1e6:.1f} MB, and iic-mnist.savedmodel.json"
    )
    assert checked.startswith(f"40 test images of {place}/data/images.npz: probabilities differ by")
    assert done.stderr == ""


def examples() -> dict[str, str]:
    """The example of docs/export.md for each format."""
    page = (ROOT / "docs/export.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    suffixes = {form.suffix: name for name, form in FORMATS.items()}
    return {suffixes[re.search(r"iic-mnist(\.\w+)", block)[1]]: block for block in blocks}


@formats
def test_the_examples_of_the_documentation_run(exported, network, place, here, capsys, name):
    done = exported(name)
    shutil.copytree(place / "data", here / "data")
    for path in (done.path, done.description):
        (here / path.name).symlink_to(path)
    (here / "example.py").write_text(examples()[name])
    if name in OPTIONAL:  # must work without TensorFlow
        code = "import runpy, sys; runpy.run_path('example.py'); assert 'keras' not in sys.modules"
        printed = run(sys.executable, "-c", code, cwd=here).stdout
    else:
        runpy.run_path("example.py")
        printed = capsys.readouterr().out
    images = np.load(place / "data/images.npz")["test_images"][:5]
    clusters = predict(network, images).cluster.argmax(axis=1)
    expected = [None if CLUSTERS[k] is None else LABELS[CLUSTERS[k]] for k in clusters]
    assert printed.strip() == str(expected)


@pytest.fixture(scope="module", params=[True, False])
def segmentation(request, tmp_path_factory) -> Path:
    """A folder with a segmentation network: with card and tiles, or grouped and without both."""
    folder = tmp_path_factory.mktemp("segmentation")
    params = settings({"model.grouped": not request.param}).model
    model = folder / "segmentation/model"
    keras.utils.set_random_seed(0)
    save_trunk(build_trunk(params, 1), params, model, "float32")
    if request.param:
        card = SegmentationCard(
            seed=0,
            data="textures",
            tile=32,
            appearance=Appearance(ranges={"integers": (0, 4095)}, ink="light"),
            labels=["brick", "grass", "gravel"],
            clusters=[2, None, 0],
            overclusters=[None] * params.overclusters,
            metrics={},
            weights_sha256=hash_of_weights(model),
        )
        write_card(card, card_path(model))
        tiles = np.random.default_rng(0).integers(0, 256, (6, 32, 32), np.uint8)
        write_arrays(folder / TILES, {"test_tiles": tiles})
    return folder


@formats
def test_a_segmentation_network_gives_probabilities_of_each_pixel(segmentation, name, here):
    skip_without(name)
    model = segmentation / "segmentation/model"
    done = export(model, name, None, segmentation / TILES, force=False)
    assert done.difference <= TOLERANCE
    about = json.loads(done.description.read_text())["input"]
    assert about["meaning"].startswith("black (0) to white (255)")
    has_card = card_path(model).exists()
    assert about["ranges"] == ({"integers": [0, 4095]} if has_card else None)
    side = 32 if has_card else 96
    tiles = np.random.default_rng(1).integers(0, 256, (3, side, side), np.uint8)
    found = FORMATS[name].load(done.path)(tiles)
    expected = segment_tiles(load_trunk(model), 2, tiles)
    assert found.cluster.shape == (3, side, side, 3)
    # Rounding may change a pixel between two equally likely segments.
    assert (found.cluster.argmax(axis=-1) == expected.cluster).mean() > 0.999
    assert (found.overcluster.argmax(axis=-1) == expected.overcluster).mean() > 0.999
    described = json.loads(done.description.read_text())
    assert described["outputs"]["cluster"]["shape"] == ["n", side, side, 3]
    assert described["outputs"]["cluster"]["meaning"] == "probability of each for each pixel"
    assert described["outputs"]["cluster"]["names"] == (
        ["gravel", None, "brick"] if side == 32 else None
    )
