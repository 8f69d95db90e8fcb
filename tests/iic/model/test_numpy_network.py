"""The network in NumPy gives the probabilities of the network in TensorFlow."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import environment, override

from iic.core.errors import InputError
from iic.core.params import parse_params
from iic.model.network import build_network, predict
from iic.model.store import load_numpy_network, save_network

# Shape of the images and values of the section `model`.
NETWORKS = [
    ((28, 28, 1), {"widths": [4, 6, 8, 5]}),
    ((64, 64, 3), {"widths": [4, 6, 8], "head_widths": [7]}),
    ((17, 17, 1), {"widths": [3, 4], "pool_first": False, "poolings": 1}),
    ((16, 16, 3), {"widths": [5], "head_widths": [], "normalize_logits": False}),
    ((28, 28, 1), {"widths": [4, 4], "head_widths": [4, 4], "clusters": 4, "overclusters": 4}),
]


def saved(params_text, folder, random, shape, values):
    """Save a network with random weights and statistics; return it."""
    changes = {f"model.{key}": value for key, value in values.items()}
    params = parse_params(override(params_text, changes), "params.yaml").model
    network = build_network(params, shape)
    # Weights of about 1 and positive variances, so that every array changes the result.
    network.set_weights(
        [
            random.uniform(0.5, 1.5, w.shape) * np.where(w == 0, 0.3, w)
            for w in network.get_weights()
        ]
    )
    save_network(network, params, folder)
    return network


@pytest.mark.parametrize(("shape", "values"), NETWORKS)
def test_probabilities_are_those_of_tensorflow(params_text, tmp_path, random, shape, values):
    network = saved(params_text, tmp_path, random, shape, values)
    images = random.integers(0, 256, (33, *shape), np.uint8)
    images = images[..., 0] if shape[2] == 1 else images
    found = load_numpy_network(tmp_path).assign(images)
    for head, expected in zip(found, predict(network, images), strict=True):
        assert head.dtype == np.float32
        assert expected.std() > 1e-3
        np.testing.assert_allclose(head, expected, atol=1e-5)


def test_many_images_are_assigned_in_batches(params_text, tmp_path, random):
    saved(params_text, tmp_path, random, *NETWORKS[0])
    images = random.integers(0, 256, (1001, 28, 28), np.uint8)
    network = load_numpy_network(tmp_path)
    whole = network.assign(images)
    assert whole.cluster.shape == (1001, 10)
    last = network.assign(images[-1:])
    np.testing.assert_allclose(whole.overcluster[-1:], last.overcluster, atol=1e-5)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("swapped", "an array has the shape"),
        ("nan", "not finite"),
        ("cut", "no readable model"),
    ],
)
def test_damaged_weights_are_refused_in_one_line(params_text, tmp_path, random, damage, message):
    saved(params_text, tmp_path, random, *NETWORKS[0])
    file = tmp_path / "model.weights.h5"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:2000])
    else:
        with h5py.File(file, "r+") as opened:
            if damage == "nan":
                opened["layers/dense/vars/1"][0] = np.nan
            else:
                one = opened["layers/dense/vars"]
                turned = one["0"][()].T
                del one["0"]
                one.create_dataset("0", data=turned)
    with pytest.raises(InputError, match=message) as error:
        load_numpy_network(tmp_path)
    assert len(str(error.value).splitlines()) == 1


def test_neither_tensorflow_nor_keras_is_imported():
    code = (
        "import sys, iic.model.store, iic.serving.predict\n"
        "print([name for name in ('tensorflow', 'keras', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
