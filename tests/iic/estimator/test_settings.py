"""Parameters of the estimator are those of the pipeline."""

import pytest
import yaml
from conftest import ROOT

from iic import IIC
from iic.core.params import Params
from iic.estimator.settings import ARGUMENTS, RECIPES, SETTINGS, make_params, recipe_names
from iic.experiments.recipes import recipe_params
from tools.recipes import packaged


def test_package_contains_the_parameters_and_recipes_of_the_repository():
    assert RECIPES.read_text("utf-8") == packaged(), "run `python -m tools.recipes`"


def test_default_numbers_of_clusters_are_those_of_params_yaml(params):
    assert (IIC().n_clusters, IIC().n_overclusters) == (
        *(params.model.clusters, params.model.overclusters),
    )


@pytest.mark.parametrize("name", recipe_names())
def test_recipe_is_the_same_as_in_the_pipeline(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    expected = recipe_params(name).with_values(data={"name": "custom"})
    assert make_params(name, expected.seed, 10, 50, {}) == expected


def test_every_parameter_is_a_keyword_or_has_a_reason_not_to_be():
    tree = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    keys = {
        f"{section}.{key}"
        for section, keys in tree.items()
        if isinstance(keys, dict)
        for key in keys
    }
    assert keys - set(ARGUMENTS) == {
        *("data.name", "data.local_dir", "data.path", "data.broken", "data.test_share"),
        *("data.max_images", "train.second_seed", "report.label"),
    }
    assert set(tree) - {key.partition(".")[0] for key in keys} == {"recipe", "seed"}
    assert set(ARGUMENTS.values()) - set(SETTINGS) == {"n_clusters", "n_overclusters"}
    assert set(tree) == set(Params.model_fields)
