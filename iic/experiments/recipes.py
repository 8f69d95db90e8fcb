"""Recipes: small files of overrides for params.yaml, as options of `dvc exp run`.

`dvc exp run $(iic recipe fast)` runs recipes/fast.yaml. Values are written exactly as DVC writes
them, so that equal settings find each other's results in its run-cache.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from iic.core.errors import InputError, reason_of, shorten
from iic.core.files import read_text
from iic.core.params import Params, text_keys, validate_params
from iic.core.yaml_text import read_tree
from iic.pipeline.paths import PARAMS
from iic.pipeline.stage import read_params

RECIPES = Path("recipes")
# Name of the recipe without overrides, which is params.yaml itself.
DEFAULT = "default"
# Strings that Hydra reads without quotes.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
# Characters with a meaning between a shell's double quotes.
_EXPANDED = set('"$`\\!')


def recipe_names() -> list[str]:
    """Return the names of all recipes: the default, then the files in recipes/."""
    return [DEFAULT, *sorted(path.stem for path in RECIPES.glob("*.yaml"))]


def recipe_descriptions() -> dict[str, str]:
    """Return a one-line description of each recipe by its name: the first comment of its file.

    Raises:
        InputError: The working directory is not the repository, or a file is not UTF-8 text.
    """
    read_params(PARAMS)
    descriptions = {DEFAULT: f"The parameters in {PARAMS} as they are."}
    for name in recipe_names()[1:]:
        descriptions[name] = first_comment(_recipe_text(name))
    return descriptions


def first_comment(text: str) -> str:
    """Return the first line of a YAML text that is a comment, without its sign."""
    return next((line for line in text.splitlines() if line.startswith("#")), "").lstrip("# ")


def recipe_params(name: str) -> Params:
    """Return the validated parameters of a recipe: params.yaml with the recipe's overrides.

    Raises:
        InputError: The recipe does not exist, or a key or value in it is wrong.
    """
    return with_overrides(read_params(PARAMS), _overrides(name), str(_recipe_file(name)))


def recipe_options(name: str) -> list[str]:
    """Return a recipe as options of `dvc exp run`: -S section.key=value, without spaces."""
    return options_of(recipe_params(name))


def with_overrides(params: Params, overrides: Mapping[str, object], source: str) -> Params:
    """Return parameters with some of their keys or sections replaced, validated.

    Args:
        params: Parameters to start from.
        overrides: New value by key, or new values by key and section.
        source: Name of the file that contains the overrides, for messages.

    Returns:
        The validated parameters.

    Raises:
        InputError: A key is unknown, or a value is not allowed.
    """
    return validate_params(merged(params.model_dump(), overrides), source)


def merged(tree: Mapping[str, Any], overrides: Mapping[str, object]) -> dict[str, Any]:
    """Return nested settings with some of their keys or sections replaced."""
    result = dict(tree)
    for name, value in overrides.items():
        known = result.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            result[name] = known | value
        else:
            result[name] = value
    return result


def options_of(params: Params) -> list[str]:
    """Return the options of `dvc exp run` that turn params.yaml into the given parameters.

    Raises:
        InputError: DVC cannot take a value.
    """
    return changed_options(params.model_dump(), read_params(PARAMS).model_dump())


def changed_options(
    tree: Mapping[str, object], committed: Mapping[str, object], file: str = ""
) -> list[str]:
    """Return the options of `dvc exp run` for the keys whose values differ from the committed ones.

    Args:
        tree: Nested settings.
        committed: Those in the file of parameters.
        file: Its name and a colon, which DVC needs unless it is params.yaml.

    Raises:
        InputError: DVC cannot take a value.
    """
    before = dict(leaves(committed))
    return [
        word
        for key, value in leaves(tree)
        if value != before[key]
        for word in ("-S", f"{file}{key}={_hydra_text(value, key)}")
    ]


def shell_words(options: Sequence[str]) -> str:
    """Join options for a shell's `$(...)`, which splits its output at blanks.

    Raises:
        InputError: An option contains a blank.
    """
    for option in options:
        if " " in option:
            quoted = shlex.quote(option) if set(option) & _EXPANDED else f'"{option}"'
            raise InputError(
                f"{option.partition('=')[0]}: the shell would split this value at its blanks; add "
                "--run to run the recipe, or give the setting to DVC: "
                f"dvc exp run $(iic recipe NAME) -S {quoted}"
            )
    return " ".join(options)


def leaves(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield ("section.key", value) for each key of a nested mapping with a plain value."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _recipe_file(name: str) -> Path:
    return PARAMS if name == DEFAULT else RECIPES / f"{name}.yaml"


def _recipe_text(name: str) -> str:
    return read_text(_recipe_file(name), "restore it", "save it as UTF-8")


def _overrides(name: str) -> dict[str, Any]:
    if name == DEFAULT:
        return {}
    if name not in recipe_names():
        raise InputError(f"{name}: no such recipe (one of {', '.join(recipe_names())})")
    file = str(_recipe_file(name))
    tree = read_tree(_recipe_text(name), file)
    if not all(isinstance(keys, dict) for keys in tree.values()):
        raise InputError(f"{file}: expected sections such as 'train:' with keys below them")
    return {"recipe": name, **tree}


def _hydra_text(value: object, key: str) -> str:
    """Write the value of a key in Hydra's override grammar, where plain strings need no quotes."""
    if isinstance(value, list):
        return f"[{','.join(_hydra_text(item, key) for item in value)}]"
    if not isinstance(value, str):
        return json.dumps(value)
    if "${" in value or value == "???":
        # The name of another setting, and a missing value; there is no reliable way to escape them.
        raise InputError(f"{key}: {shorten(value)} has another meaning to DVC; rename it")
    if _PLAIN.fullmatch(value) and value.lower() not in ("true", "false", "null", "nan", "inf"):
        return value
    # To Hydra, a backslash escapes only a quote or the end of the string.
    escaped = re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), value)
    return f"'{escaped}'"


def read_settings(words: Sequence[str]) -> dict[str, Any]:
    """Parse ["loss.alpha=1", "seed=2"] into nested overrides, like those of a recipe.

    A value of a key that holds text, such as data.path, is the text as written; `null` means none
    if the key may be null. Values of other keys are YAML.

    Raises:
        InputError: A word is not KEY=VALUE, or its value is not YAML.
    """
    tree: dict[str, Any] = {}
    may_be_null = text_keys()
    for word in words:
        key, sign, value = word.partition("=")
        section, _, name = key.rpartition(".")
        keys = tree.setdefault(section, {}) if section else tree
        if not (name and sign and value and isinstance(keys, dict)):
            raise InputError(f"{reason_of(word)}: expected KEY=VALUE, such as loss.alpha=1.0")
        if key in may_be_null:
            keys[name] = None if value == "null" and may_be_null[key] else value
        else:
            keys[name] = _yaml_value(value, reason_of(word))
    return tree


def _yaml_value(value: str, source: str) -> object:
    # YAML would read only the part before a comment or a line break.
    if "#" in value or "\n" in value:
        raise InputError(f"{source}: expected one value without # and line breaks")
    return read_tree(f"value: {value}", source)["value"]
