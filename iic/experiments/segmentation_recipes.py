"""Recipes of segmentation: overrides for segmentation/params.yaml, as options of `dvc exp run`."""

from pathlib import Path

from iic.core.errors import InputError
from iic.core.files import read_text
from iic.core.params import validated
from iic.core.yaml_text import read_tree
from iic.experiments.recipes import DEFAULT, first_comment, hydra_text, leaves
from iic.pipeline.paths import SEGMENTATION
from iic.segmentation.params import SegmentationParams, read_segmentation_params

RECIPES = Path("segmentation/recipes")


def segmentation_recipes() -> dict[str, str]:
    """Return a one-line description of each recipe by its name: the first comment of its file."""
    files = sorted(RECIPES.glob("*.yaml"))
    return {file.stem: first_comment(_text(file)) for file in files}


def segmentation_recipe(name: str) -> SegmentationParams:
    """Return the validated settings of a recipe: segmentation/params.yaml with its overrides.

    Args:
        name: Name of the recipe, or "default" for no overrides.

    Raises:
        InputError: The recipe does not exist, or a key or value in it is wrong.
    """
    params = read_segmentation_params(SEGMENTATION.params)
    if name == DEFAULT:
        return params
    if name not in segmentation_recipes():
        known = ", ".join((DEFAULT, *segmentation_recipes()))
        raise InputError(f"{name}: no such recipe of segmentation (one of {known})")
    file = RECIPES / f"{name}.yaml"
    tree = params.model_dump()
    for section, values in read_tree(_text(file), str(file)).items():
        known_values = tree.get(section)
        if isinstance(known_values, dict) and isinstance(values, dict):
            tree[section] = known_values | values
        else:
            tree[section] = values
    return validated(SegmentationParams, tree, str(file))


def segmentation_options(params: SegmentationParams) -> list[str]:
    """Return the arguments of `dvc exp run` that run the pipeline with the given settings.

    Raises:
        InputError: DVC cannot take a value.
    """
    committed = dict(leaves(read_segmentation_params(SEGMENTATION.params).model_dump()))
    options = [
        word
        for key, value in leaves(params.model_dump())
        if value != committed[key]
        for word in ("-S", f"{SEGMENTATION.params}:{key}={hydra_text(value, key)}")
    ]
    return [*options, str(SEGMENTATION.stages)]


def _text(file: Path) -> str:
    return read_text(file, "restore it", "save it as UTF-8")
