"""Writes the parameters and recipes that the installed package contains.

`python -m tools.recipes` copies the values of params.yaml and recipes/ to iic/estimator, since a
package cannot contain files from outside its folder.
"""

import json
from pathlib import Path

from iic.core.errors import InputError
from iic.core.files import write_text
from iic.core.yaml_text import read_tree
from iic.estimator.settings import RECIPES
from tools.command import run_main

ROOT = Path(__file__).resolve().parents[1]


def packaged() -> str:
    """Return the JSON text: all parameters as "default", and the overrides of each recipe."""
    files = {
        "default": ROOT / "params.yaml",
        **{path.stem: path for path in sorted((ROOT / "recipes").glob("*.yaml"))},
    }
    trees = {name: read_tree(path.read_text("utf-8"), path.name) for name, path in files.items()}
    return json.dumps(trees, indent=2) + "\n"


def main(arguments: list[str]) -> None:
    """Write the file."""
    if arguments:
        raise InputError("python -m tools.recipes takes no argument")
    write_text(RECIPES, packaged())


if __name__ == "__main__":
    run_main(main)
