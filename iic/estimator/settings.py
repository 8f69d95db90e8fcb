"""Parameters of the estimator: recipes, keyword arguments, and messages that name them."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from iic.core.errors import InputError, shorten
from iic.core.params import (
    AugmentParams,
    DataParams,
    LossParams,
    ModelParams,
    Params,
    Section,
    StudentParams,
    TrainParams,
    validate_params,
)

# Written by `python -m tools.recipes` from params.yaml and recipes/.
RECIPES = Path(__file__).with_name("recipes.json")
DEFAULT = "default"
_SECTIONS: dict[str, type[Section]] = {
    "data": DataParams,
    "augment": AugmentParams,
    "model": ModelParams,
    "loss": LossParams,
    "train": TrainParams,
    "student": StudentParams,
}
# Keys with an argument of another name.
_RENAMED = {"model.clusters": "n_clusters", "model.overclusters": "n_overclusters"}
# Keys that say where images come from and how they are split, or that only a stage uses.
_INAPPLICABLE = {
    *("data.name", "data.local_dir", "data.path", "data.broken", "data.test_share"),
    *("data.max_images", "train.second_seed"),
}
# Name of the argument by dotted key.
ARGUMENTS = {
    f"{section}.{key}": _RENAMED.get(f"{section}.{key}", f"{section}__{key}")
    for section, model in _SECTIONS.items()
    for key in model.model_fields
    if f"{section}.{key}" not in _INAPPLICABLE
}
# Keys that are keyword arguments of the form section__key.
SETTINGS = {name: key for key, name in ARGUMENTS.items() if key not in _RENAMED}
_KEY = re.compile("|".join(rf"\b{re.escape(key)}\b" for key in sorted(ARGUMENTS, key=len)[::-1]))

# Remarks in messages on options of a command.
_OPTION = re.compile(r" \(iic predict [^)]*\)")


@cache
def _recipes() -> dict[str, dict[str, Any]]:
    return json.loads(RECIPES.read_text("utf-8"))


def recipe_names() -> list[str]:
    """Return the names of the recipes in the package."""
    return list(_recipes())


def make_params(
    recipe: str, seed: int, clusters: int, overclusters: int, settings: Mapping[str, object]
) -> Params:
    """Build the parameters of a training.

    Args:
        recipe: Name of a recipe.
        seed: Seed of draws, initial weights and batch order.
        clusters: Number of outputs of the clustering head.
        overclusters: Number of outputs of the overclustering head.
        settings: Values by argument, such as `train__epochs`.

    Returns:
        The validated parameters.

    Raises:
        InputError: The recipe is unknown, or a value is not allowed.
    """
    if recipe not in recipe_names():
        known = ", ".join(recipe_names())
        raise InputError(f"recipe: unknown value {shorten(recipe)} (one of {known})")
    tree = _default_tree()
    for section, values in _recipes()[recipe].items():
        if recipe != DEFAULT:
            tree[section] |= values
    values = {SETTINGS[name]: value for name, value in settings.items()}
    values |= {"model.clusters": clusters, "model.overclusters": overclusters}
    for name, value in values.items():
        section, _, key = name.partition(".")
        tree[section][key] = plain(value)
    tree |= {"recipe": recipe, "seed": seed}
    tree["data"]["name"] = "custom"
    # A seed of a second training means nothing here, and must not collide with the first.
    tree["train"]["second_seed"] = None
    return validate_params(tree, "IIC")


def make_data_params(values: Mapping[str, object]) -> DataParams:
    """Build the parameters of reading images.

    Args:
        values: Values by key of the section `data`, such as `image_size`.

    Returns:
        The validated section.

    Raises:
        InputError: A value is not allowed.
    """
    tree = _default_tree()
    tree["data"] |= {name: plain(value) for name, value in values.items()} | {"name": "custom"}
    return validate_params(tree, "IIC").data


def _default_tree() -> dict[str, Any]:
    """Return a copy of the parameters of the default recipe."""
    return {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in _recipes()[DEFAULT].items()
    }


def plain(value: object) -> object:
    """Convert NumPy's numbers and arrays, and tuples, to Python's numbers and lists."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


@contextmanager
def value_errors() -> Iterator[None]:
    """Raise mistakes of the user in the block as ValueErrors of one line, with names of arguments.

    scikit-learn adds advice and values in further lines to some of its errors.
    """
    try:
        yield
    except (InputError, ValueError) as error:
        raise ValueError(in_arguments(str(error).partition("\n")[0])) from error


def in_arguments(message: str) -> str:
    """Replace keys of params.yaml in a message by arguments: train.epochs -> train__epochs."""
    shown = _KEY.sub(lambda match: ARGUMENTS[match[0]], message.removeprefix("IIC: "))
    return _OPTION.sub("", shown).replace("use --ink ", "set data__ink to ")
