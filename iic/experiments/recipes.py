"""Recipes: small files of overrides for params.yaml, as options of `dvc exp run`.

`dvc exp run $(python -m iic.experiments.recipes fast)` runs recipes/fast.yaml. Settings that
follow, such as loss.alpha=1, change it further, in the one spelling that DVC's run-cache knows.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from iic.core.errors import InputError
from iic.core.files import read_text
from iic.core.params import Params, validate_params
from iic.core.yaml_text import read_tree
from iic.experiments.cli import run_main
from iic.pipeline.paths import PARAMS
from iic.pipeline.stage import read_params

RECIPES = Path("recipes")
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
# The recipe that params.yaml itself holds.
DEFAULT = "default"


def recipe_names() -> list[str]:
    """The default and the files in recipes/."""
    return [DEFAULT, *sorted(path.stem for path in RECIPES.glob("*.yaml"))]


def recipe_params(name: str) -> Params:
    """params.yaml with the recipe's name and overrides, validated."""
    return with_overrides(read_params(PARAMS), _overrides(name), str(_file(name)))


def recipe_options(name: str) -> list[str]:
    """The recipe as options of `dvc exp run`: -S section.key=value, without spaces."""
    return options_of(recipe_params(name))


def with_overrides(params: Params, overrides: Mapping[str, object], source: str) -> Params:
    """Parameters with some keys of some sections, or whole ones, replaced; validated.

    Args:
        params: to start from.
        overrides: value by key, or keys and values by section.
        source: name of the file that they are from, for messages.
    """
    tree = params.model_dump()
    for name, value in overrides.items():
        known = tree.get(name)
        tree[name] = known | value if isinstance(known, dict) and isinstance(value, dict) else value
    return validate_params(tree, source)


def options_of(params: Params) -> list[str]:
    """Options that turn params.yaml into these parameters, each as it is spelled there."""
    committed = dict(leaves(read_params(PARAMS).model_dump()))
    return [
        word
        for key, value in leaves(params.model_dump())
        if value != committed[key]
        for word in ("-S", f"{key}={_hydra(value)}")
    ]


def leaves(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """("section.key", value) of all keys that hold no further ones."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _file(name: str) -> Path:
    return PARAMS if name == DEFAULT else RECIPES / f"{name}.yaml"


def _overrides(name: str) -> dict[str, Any]:
    if name == DEFAULT:
        return {}
    if name not in recipe_names():
        raise InputError(f"{name}: no such recipe (one of {', '.join(recipe_names())})")
    file = _file(name)
    tree = read_tree(read_text(file, "restore it", "save it as UTF-8"), str(file))
    if not all(isinstance(keys, dict) for keys in tree.values()):
        raise InputError(f"{file}: expected sections such as 'train:' with keys below them")
    return {"recipe": name, **tree}


def _hydra(value: object) -> str:
    """A value in the grammar of overrides, where plain strings stand without quotes."""
    if isinstance(value, list):
        return f"[{','.join(map(_hydra, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in ("true", "false", "null", "nan", "inf"):
        return value
    # Hydra takes a backslash as one unless a quote follows it or ends the string.
    escaped = re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), value)
    return f"'{escaped}'"


def read_settings(words: Sequence[str]) -> dict[str, Any]:
    """["loss.alpha=1", "seed=2"] -> overrides as in a recipe; raises InputError on other words."""
    tree: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition("=")
        section, _, name = key.rpartition(".")
        keys = tree.setdefault(section, {}) if section else tree
        if not (name and sign and value and isinstance(keys, dict)):
            raise InputError(f"{word}: expected key=value, such as loss.alpha=1.0")
        keys[name] = read_tree(f"value: {value}", word)["value"]
    return tree


def main(arguments: list[str]) -> None:
    """Print a recipe's options, those of further settings among them."""
    if not arguments:
        raise InputError(f"name one recipe of {', '.join(recipe_names())}")
    name, *settings = arguments
    params = with_overrides(recipe_params(name), read_settings(settings), "settings")
    sys.stdout.write(" ".join(options_of(params)) + "\n")


if __name__ == "__main__":
    run_main(main)
