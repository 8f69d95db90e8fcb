"""Recipes of segmentation: overrides for segmentation/params.yaml, as options of `dvc exp run`."""

from pathlib import Path

from iic.core.errors import InputError
from iic.core.files import read_text
from iic.core.params import validated
from iic.core.yaml_text import read_tree
from iic.experiments.recipes import DEFAULT, changed_options, first_comment, merged
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
    tree = merged(params.model_dump(), read_tree(_text(file), str(file)))
    return validated(SegmentationParams, tree, str(file))


def segmentation_options(params: SegmentationParams) -> list[str]:
    """Return the arguments of `dvc exp run` that run the pipeline with the given settings.

    Raises:
        InputError: DVC cannot take a value.
    """
    committed = read_segmentation_params(SEGMENTATION.params).model_dump()
    options = changed_options(params.model_dump(), committed, f"{SEGMENTATION.params}:")
    return [*options, str(SEGMENTATION.stages)]


def _text(file: Path) -> str:
    return read_text(file, "restore it", "save it as UTF-8")
