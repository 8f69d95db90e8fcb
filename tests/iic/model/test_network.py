import gc
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import no_file_larger_than

from iic.core.errors import InputError
from iic.core.params import ModelParams
from iic.core.shapes import array_shape
from iic.model.halvings import halvings
from iic.model.network import as_input, build_network, predict
from iic.model.store import load_network, read_model_params, save_network
from tools.chaos import crafted, valid_files


@pytest.fixture
def model_params(tiny_params) -> ModelParams:
    return tiny_params.model


@pytest.fixture
def images(digits) -> np.ndarray:
    return digits.test_images[:30]


def test_default_network_is_the_articles(params):
    """Its layers are those that the article prints, with pooling and logits as in the article."""
    article = params.model.model_copy(update={"pool_first": False, "normalize_logits": False})
    network = build_network(article)
    backbone = [layer.__class__.__name__ for layer in network.layers if "backbone" in layer.name]
    block = ["Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D"]
    assert backbone == block * 3 + block[:3]
    assert [network.get_layer(f"backbone_{i}_conv").filters for i in (1, 2, 3, 4)] == [
        32,
        64,
        128,
        256,
    ]
    dense = {layer.name: layer.units for layer in network.layers if hasattr(layer, "units")}
    assert dense == {
        "clustering_dense_1": 128,
        "clustering_dense_2": 64,
        "clustering_logits": 10,
        "overclustering_dense_1": 128,
        "overclustering_dense_2": 64,
        "overclustering_logits": 50,
    }
    # Convolutions 9·in·out + out, BatchNorm 4 per channel, dense layers in·out + out.
    assert network.count_params() == (
        (9 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 128 + 128) + (9 * 128 * 256 + 256)
        + 4 * (32 + 64 + 128 + 256)
        + 2 * ((256 * 128 + 128) + (128 * 64 + 64)) + (64 * 10 + 10) + (64 * 50 + 50)
    )  # fmt: skip


def test_outputs_sum_to_1(model_params, images):
    cluster, overcluster = build_network(model_params)(as_input(images))
    assert cluster.shape == (30, 10)
    assert overcluster.shape == (30, 20)
    for output in (cluster, overcluster):
        np.testing.assert_allclose(tf.reduce_sum(output, axis=1), 1, rtol=1e-5)


def test_input_is_scaled_to_1(images):
    x = as_input(images)
    assert x.shape == (30, 28, 28, 1)
    np.testing.assert_allclose(x[..., 0], images / 255, rtol=1e-6)


def test_pooling_first_does_not_change_the_outputs(params, images, random):
    """With the same weights, as long as the scales of BatchNorm are positive."""
    networks = [
        build_network(params.model.model_copy(update={"pool_first": flag}))
        for flag in (True, False)
    ]
    # Random scales, offsets, means and variances, since initial values would hide a difference.
    weights = [
        random.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else random.normal(size=w.shape) * 0.1
        for w in networks[0].get_weights()
    ]
    outputs = []
    for network in networks:
        network.set_weights(weights)
        outputs.append(network(as_input(images), training=False))
    for first, last in zip(*outputs, strict=True):
        np.testing.assert_allclose(first, last, atol=1e-5)


def test_normalised_logits_give_varied_outputs_at_the_start(params, images):
    def largest(normalize: bool) -> float:
        keras.utils.set_random_seed(5)  # the bounds hold for most initial weights
        network = build_network(params.model.model_copy(update={"normalize_logits": normalize}))
        return float(tf.reduce_mean(tf.reduce_max(network(as_input(images), training=True)[0], 1)))

    assert largest(False) < 0.18
    assert largest(True) > 0.25


def test_heads_share_only_the_backbone(model_params):
    network = build_network(model_params)
    x = tf.random.stateless_uniform((8, 28, 28, 1), seed=(0, 0))
    for output, other in ((0, "overclustering"), (1, "clustering")):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(x, training=True)[output][:, 0] ** 2)
        gradients = tape.gradient(loss, network.trainable_variables)
        for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
            belongs = not variable.path.split("/")[0].startswith(other + "_")
            assert (gradient is not None) == belongs, variable.path


def test_batch_size_does_not_change_predictions(model_params, images):
    network = build_network(model_params)
    whole = predict(network, images)
    parts = predict(network, images, batch_size=7)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def widths_of(params, blocks: int, poolings: int | None = None) -> ModelParams:
    return params.model.model_copy(update={"widths": [4] * blocks, "poolings": poolings})


@pytest.mark.parametrize(
    ("side", "blocks", "expected"),
    [
        (28, 1, [1]), (28, 2, [1, 1]), (28, 4, [1, 1, 1, 0]), (16, 4, [1, 1, 0, 0]),
        (16, 2, [1, 1]), (32, 4, [1, 1, 1, 0]), (64, 4, [1, 1, 1, 1]), (64, 2, [2, 2]),
        (128, 4, [2, 1, 1, 1]), (128, 6, [1, 1, 1, 1, 1, 0]), (112, 4, [1, 1, 1, 1]),
        (128, 1, [4]),
    ],
)  # fmt: skip
def test_poolings_follow_from_the_size(params, side, blocks, expected):
    assert halvings(widths_of(params, blocks), side) == expected


@pytest.mark.parametrize("blocks", [2, 3, 4, 8])
def test_the_last_map_has_3_to_7_pixels(params, blocks):
    for side in range(16, 129):
        assert 3 <= side >> sum(halvings(widths_of(params, blocks), side)) <= 7, side


@pytest.mark.parametrize("pool_first", [True, False])
@pytest.mark.parametrize("shape", [(16, 16, 1), (28, 28, 3), (64, 64, 1), (128, 128, 3)])
def test_networks_of_other_shapes_are_saved_and_loaded(
    model_params, random, tmp_path, shape, pool_first
):
    params = model_params.model_copy(update={"pool_first": pool_first})
    network = build_network(params, shape)
    save_network(network, params, tmp_path)
    assert read_model_params(tmp_path).input_shape == shape
    images = random.integers(0, 256, (12, *array_shape(shape)), np.uint8)
    for a, b in zip(predict(network, images), predict(load_network(tmp_path), images), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_parameter_sets_the_poolings(params, tmp_path):
    chosen = widths_of(params, 2, poolings=3)
    network = build_network(chosen, (64, 64, 3))
    assert network.get_layer("features").input.shape[1:3] == (8, 8)
    save_network(network, chosen, tmp_path)
    assert load_network(tmp_path).get_layer("features").input.shape[1:3] == (8, 8)
    none = build_network(widths_of(params, 2, poolings=0))
    assert none.get_layer("features").input.shape[1:3] == (28, 28)


@pytest.mark.parametrize("shape", [[64, 64], [64, 64, 2], [8, 8, 1], [64, 64, 1 << 40]])
def test_a_model_file_with_an_impossible_shape_is_refused(model_params, tmp_path, shape):
    save_network(build_network(model_params), model_params, tmp_path)
    config = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**config, "input_shape": shape}))
    with pytest.raises(InputError, match=r"model\.json: input_shape"):
        load_network(tmp_path)


def test_saved_network_predicts_the_same_and_has_the_same_bytes(model_params, images, tmp_path):
    network = build_network(model_params)
    for name in "ab":
        save_network(network, model_params, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["model.json", "model.weights.h5"]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert json.loads((tmp_path / "a" / "model.json").read_text()) == model_params.model_dump(
        exclude_none=True
    )
    for a, b in zip(
        predict(network, images), predict(load_network(tmp_path / "a"), images), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_full_disk_raises_one_error_without_further_output(model_params, tmp_path, capfd):
    network = build_network(model_params)
    file = tmp_path / "model.weights.h5"
    for limit in (1_000, 50_000):
        with no_file_larger_than(limit), pytest.raises(OSError, match="File too large") as caught:
            save_network(network, model_params, tmp_path)
        assert caught.value.filename == str(file)
        # HDF5 prints nothing when its objects are deleted either.
        caught = None
        gc.collect()
        assert capfd.readouterr().err == ""
        assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.json", None),
        ("model.json", b"{"),
        ("model.json", b'{"widths": [4]}'),
        ("model.json", b"\xff\xfe"),
        ("model.weights.h5", None),
        ("model.weights.h5", b"no HDF5"),
    ],
)
def test_error_names_the_damaged_model(model_params, tmp_path, file, content):
    save_network(build_network(model_params), model_params, tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match="dvc repro") as caught:
        load_network(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused(model_params, tmp_path):
    save_network(build_network(model_params), model_params, tmp_path)
    wider = model_params.model_copy(update={"widths": [16, 8, 16]})
    (tmp_path / "model.json").write_text(wider.model_dump_json())
    with pytest.raises(InputError, match="no readable model"):
        load_network(tmp_path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("model: layers as wide as can be", "weights instead of"),
        ("model: wider than can be", "should be less than"),
        ("model: keys that are code", "unknown key"),
        ("model: settings of 100 MB", "no more than 1,048,576 are read"),
        ("weights: external link", "is a link, not data in this file"),
        ("weights: external link beside enough numbers", "is a link, not data in this file"),
        ("weights: soft link", "is a link, not data in this file"),
        ("weights: external storage", "is not a plain array of floating-point numbers"),
        ("weights: virtual", "is not a plain array of floating-point numbers"),
        ("weights: packed bomb", "is not a plain array of floating-point numbers"),
        ("weights: shape of terabytes", "is not a plain array of floating-point numbers"),
        ("weights: of objects", "is not a plain array of floating-point numbers"),
        (
            "weights: as many as a huge network has, none of them stored",
            "arrays have more bytes than the file",
        ),
        ("weights: an array under a thousand names", "arrays have more bytes than the file"),
        ("weights: linked to endless zeros", "not a plain file"),
    ],
)
def test_crafted_model_is_refused_before_it_is_built(tmp_path, monkeypatch, name, reason):
    files = {**valid_files.model(), **crafted.models()[name]}
    monkeypatch.setattr("iic.model.network.build_network", lambda params: pytest.fail("built"))
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        content(tmp_path / path) if callable(content) else (tmp_path / path).write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        load_network(tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused(model_params, tmp_path):
    network = build_network(model_params)
    network.layers[1].bias.assign(np.full(network.layers[1].bias.shape, np.nan))
    save_network(network, model_params, tmp_path)
    with pytest.raises(
        InputError, match=r"model\.weights\.h5: contains numbers that are not finite"
    ):
        load_network(tmp_path)
