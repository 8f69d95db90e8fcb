import json

import numpy as np
import pytest
from segmentation_settings import settings

from iic.core.errors import InputError
from iic.segmentation.network import build_trunk
from iic.segmentation.store import load_trunk, read_trunk_params, save_trunk


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("poolings", [0, 2])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_saved_network_comes_back(tmp_path, channels, poolings, grouped):
    params = settings({"model.poolings": poolings, "model.grouped": grouped}).model
    trunk = build_trunk(params, channels)
    save_trunk(trunk, params, tmp_path, "float32")
    saved = read_trunk_params(tmp_path)
    assert saved.weights == trunk.count_params()
    assert (saved.channels, saved.poolings) == (channels, poolings)
    pairs = zip(trunk.get_weights(), load_trunk(tmp_path).get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture
def folder(tmp_path):
    params = settings().model
    save_trunk(build_trunk(params, 1), params, tmp_path, "float32")
    return tmp_path


def test_weights_of_another_network_are_refused(folder):
    config = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(config | {"clusters": 4}))
    with pytest.raises(InputError, match=r"no readable model \(it has .* weights instead of"):
        load_trunk(folder)


def test_damaged_files_are_one_line_with_the_remedy_of_this_pipeline(folder):
    (folder / "model.weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="run `make segment`, or `dvc pull` the model") as error:
        load_trunk(folder)
    assert "\n" not in str(error.value)
    (folder / "model.json").write_text("{}")
    with pytest.raises(InputError, match=r"model\.json: widths: missing"):
        load_trunk(folder)
