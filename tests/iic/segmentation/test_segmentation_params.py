import pytest
from conftest import override
from segmentation_settings import TEXT, settings

from iic.core.errors import InputError
from iic.segmentation.params import parse_segmentation_params, read_segmentation_params


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"data.tile": 33},
            "data.tile: 33 pixels cannot be halved 2 times; choose a multiple of 4",
        ),
        ({"loss.reach": 8}, "loss.reach: displacements have to be smaller than the 8 outputs"),
        ({"loss.reach_final": 8}, "loss.reach_final: displacements have to be smaller than"),
        ({"data.tile": 260}, "data.tile: tiles of textures have at most 256×256 pixels; lower it"),
        (
            {"data.name": "earth", "data.tile": 452},
            "data.tile: tiles of earth have at most 450×450 pixels; lower it",
        ),
        ({"model.poolings": 3}, "model.poolings: 3 poolings need as many blocks"),
        (
            {"model.grouped": True, "model.clusters": 6, "model.overclusters": 5},
            "model.grouped: 6 groups need as many overclusters, but model.overclusters is 5; raise",
        ),
        ({"loss.alpha_falls_until": 0.1}, "loss.alpha_falls_until: should be greater than"),
        ({"data.name": "texture"}, "data.name: unknown value 'texture'"),
        ({"train.epochs": 0}, "train.epochs: 0 should be greater than or equal to 1"),
    ],
)
def test_mistakes_are_named_with_their_remedy(values, message):
    with pytest.raises(InputError, match=r"^params\.yaml: ") as error:
        settings(values)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_key_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"loss\.reech: unknown key; did you mean 'loss\.reach'"):
        parse_segmentation_params(TEXT.replace("  reach:", "  reech:"), "params.yaml")


def test_committed_parameters_are_valid(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(override(TEXT, {}))
    assert read_segmentation_params(path).data.name == "textures"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="run from the repository's top folder"):
        read_segmentation_params(tmp_path / "params.yaml")
