"""Recipes: small files of overrides for params.yaml, as options of `dvc exp run`.

`dvc exp run $(python -m benchmarks.recipes fast)` runs recipes/fast.yaml.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.cli import run_main
from iic.errors import InputError
from iic.params import Params, read_tree, validate_params
from stages.common import PARAMS, read_params

RECIPES = Path("recipes")
# The recipe that params.yaml itself holds.
DEFAULT = "default"


def recipe_names() -> list[str]:
    """The default and the files in recipes/."""
    return [DEFAULT, *sorted(path.stem for path in RECIPES.glob("*.yaml"))]


def recipe_params(name: str) -> Params:
    """params.yaml with the recipe's overrides, validated."""
    return _merge(name, _overrides(name))


def recipe_options(name: str) -> list[str]:
    """The recipe as options of `dvc exp run`: -S section.key=value, without spaces."""
    overrides = _overrides(name)
    _merge(name, overrides)
    return [
        word
        for section, keys in overrides.items()
        for key, value in keys.items()
        for word in ("-S", f"{section}.{key}={_hydra(value)}")
    ]


def _file(name: str) -> Path:
    return PARAMS if name == DEFAULT else RECIPES / f"{name}.yaml"


def _overrides(name: str) -> dict[str, dict[str, Any]]:
    if name == DEFAULT:
        return {}
    if name not in recipe_names():
        raise InputError(f"{name}: no such recipe (one of {', '.join(recipe_names())})")
    tree = read_tree(_file(name).read_text("utf-8"), str(_file(name)))
    if not all(isinstance(keys, dict) for keys in tree.values()):
        raise InputError(f"{_file(name)}: expected sections such as 'train:' with keys below them")
    return tree


def _merge(name: str, overrides: dict[str, dict[str, Any]]) -> Params:
    tree = read_params(PARAMS).model_dump()
    for section, keys in overrides.items():
        known = tree.get(section)
        tree[section] = (known if isinstance(known, dict) else {}) | keys
    return validate_params(tree, str(_file(name)))


def _hydra(value: object) -> str:
    """A value in the grammar of overrides, where strings stand without quotes."""
    return json.dumps(value, separators=(",", ":")).replace('"', "")


def main(arguments: list[str]) -> None:
    """Print a recipe's options."""
    if len(arguments) != 1:
        raise InputError(f"name one recipe of {', '.join(recipe_names())}")
    sys.stdout.write(" ".join(recipe_options(arguments[0])) + "\n")


if __name__ == "__main__":
    run_main(main)
