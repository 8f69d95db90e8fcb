"""Recipes of segmentation: settings, options for DVC, and the command that prints them."""

import pytest
from click.testing import CliRunner
from conftest import ROOT

from iic.cli.main import cli
from iic.core.errors import InputError
from iic.experiments.segmentation_recipes import (
    segmentation_options,
    segmentation_recipe,
    segmentation_recipes,
)


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", ["default", "earth"])
def test_recipes_are_valid(name):
    assert segmentation_recipe(name).data.name == {"default": "textures"}.get(name, name)


def test_a_recipe_changes_only_its_keys():
    base, earth = segmentation_recipe("default"), segmentation_recipe("earth")
    assert earth.views.brightness == 1.0
    assert earth.views.noise == base.views.noise
    assert earth.seed == base.seed


def test_an_unknown_recipe_is_refused():
    with pytest.raises(InputError, match=r"mars: no such recipe of segmentation \(one of default"):
        segmentation_recipe("mars")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss:\n  alpha: 0.0\n", r"mine\.yaml: loss\.alpha: 0\.0 should be greater than 0"),
        ("loss:\n  alpah: 1.0\n", r"mine\.yaml: loss\.alpah: unknown"),
    ],
)
def test_a_mistake_names_file_and_key(monkeypatch, tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.setattr("iic.experiments.segmentation_recipes.RECIPES", tmp_path)
    with pytest.raises(InputError, match=message):
        segmentation_recipe("mine")


def test_options_name_the_file_of_the_parameters_and_the_pipeline():
    params = segmentation_recipe("default")
    assert segmentation_options(params) == ["segmentation/dvc.yaml"]
    changed = params.model_copy(
        update={"loss": params.loss.model_copy(update={"alpha_final": None, "reach": 3})}
    )
    assert segmentation_options(changed) == [
        *("-S", "segmentation/params.yaml:loss.alpha_final=null"),
        *("-S", "segmentation/params.yaml:loss.reach=3"),
        "segmentation/dvc.yaml",
    ]


def test_the_command_lists_and_prints_them():
    listed = CliRunner().invoke(cli, ["recipe"]).output
    for name, description in segmentation_recipes().items():
        assert f"{name:<14}{description}" in listed
    printed = CliRunner().invoke(cli, ["recipe", "earth"]).output.split()
    assert printed == segmentation_options(segmentation_recipe("earth"))
    refused = CliRunner().invoke(cli, ["recipe", "earth", "--run"])
    assert refused.exit_code == 2
    assert "dvc exp run $(iic recipe earth)" in refused.output
