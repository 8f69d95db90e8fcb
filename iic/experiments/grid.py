"""Grids of variants and seeds, read from the files in studies/."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from iic.core.errors import InputError
from iic.core.files import read_text
from iic.core.params import Params
from iic.core.validation import explain_first
from iic.core.yaml_text import read_tree
from iic.experiments.claims import Claim
from iic.experiments.recipes import options_of, recipe_params, with_overrides
from iic.experiments.seeds import fingerprint_of, recipe_of

# The names become parts of Git references, through the names of DVC experiments.
_NAME = r"^[a-z0-9][a-z0-9-]*$"
_Name = Annotated[str, Field(pattern=_NAME)]
_Overrides = dict[str, object]


class Grid(BaseModel):
    """The content of a file in studies/.

    Attributes:
        title: Title of the study's page; None = a title made from the file's name.
        note: Introduction of the page, Markdown.
        report: Name of the files in reports/studies/; None = the name of the grid's file.
        recipe: Name of the recipe that all variants start from.
        settings: Overrides of all variants, as in a recipe.
        seeds: Seeds that each variant runs with, without duplicates.
        variants: Overrides by the name of the variant.
        figures: Variants to draw in one figure, by the figure's name; empty = one figure of all.
        claims: Claims to check against the results.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    title: str | None = None
    note: str = ""
    report: _Name | None = None
    recipe: str
    settings: _Overrides = {}
    seeds: Annotated[list[int], Field(min_length=1)]
    variants: Annotated[dict[_Name, _Overrides | None], Field(min_length=1)]
    figures: dict[_Name, Annotated[list[str], Field(min_length=1)]] = {}
    claims: list[Claim] = []

    @property
    def lines(self) -> dict[str, list[str]]:
        """Variants to draw as lines of one figure, by the figure's name."""
        return self.figures or {"curves": list(self.variants)}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: a seed is listed twice; list each once")
        for where, overrides in self._overrides().items():
            if "seed" in overrides:
                raise ValueError(f"{where}.seed: `seeds` sets it for each run; remove it here")
        for claim in self.claims:
            if claim.needs_spread and len(self.seeds) < 2:
                raise ValueError(f"seeds: the claim {claim.says!r} needs at least two seeds")
            self._check_known("claims", claim.variants)
        for figure, names in self.figures.items():
            self._check_known(f"figures.{figure}", names)
        return self

    def _overrides(self) -> dict[str, _Overrides]:
        """Return the overrides by the place where they are written."""
        variants = {f"variants.{name}": keys or {} for name, keys in self.variants.items()}
        return {"settings": self.settings, **variants}

    def _check_known(self, where: str, names: list[str]) -> None:
        for name in names:
            if name not in self.variants:
                raise ValueError(f"{where}: {name!r} is not a variant")


@dataclass(frozen=True)
class Experiment:
    """One variant with one seed.

    Attributes:
        name: Name of the DVC experiment, with a hash of the parameters and of your own images.
        variant: Name of the variant.
        seed: Seed of the run, a non-negative integer.
        params: All parameters of the run.
        options: Options of `dvc exp run`.
    """

    name: str
    variant: str
    seed: int
    params: Params
    options: list[str]


def read_grid(path: Path) -> Grid:
    """Read and validate a grid.

    Args:
        path: Path of a YAML file, such as those in studies/.

    Returns:
        The validated grid.

    Raises:
        InputError: The file is missing, or a key or value in it is wrong.
    """
    text = read_text(path, "the grids are in studies/", "save it as UTF-8")
    try:
        return Grid.model_validate(read_tree(text, str(path)))
    except ValidationError as error:
        raise InputError(f"{path}: {explain_first(error)}") from error


def experiments_of(grid: Grid, path: Path) -> list[Experiment]:
    """Return all experiments of a grid, variant by variant.

    Args:
        grid: Grid of variants and seeds.
        path: Path of its file; the experiments' names begin with the file's name.

    Returns:
        An experiment for each variant and seed.

    Raises:
        InputError: A setting is wrong, two variants have the same settings, or the file's name
            cannot be part of an experiment's name.
    """
    if not re.fullmatch(_NAME, path.stem):
        raise InputError(
            f"{path}: experiments are named after this file; use a-z, 0-9 and -, such as mine.yaml"
        )
    base = with_overrides(recipe_params(grid.recipe), grid.settings, f"{path}: settings")
    owner: dict[str, str] = {}
    experiments = []
    # Variants mostly have the same images, which take time to read.
    images_of = cache(fingerprint_of)
    for variant, overrides in grid.variants.items():
        source = f"{path}: variants.{variant}"
        params = with_overrides(base, overrides or {}, source)
        key = recipe_of(params) + images_of(params.data)
        if key in owner:
            raise InputError(f"{source}: the same settings as {owner[key]}; keep one of them")
        owner[key] = variant
        experiments += [_experiment(path, variant, key, params, s) for s in grid.seeds]
    return experiments


def _experiment(path: Path, variant: str, key: str, params: Params, seed: int) -> Experiment:
    seeded = with_overrides(params, {"seed": seed}, f"{path}: seeds")
    name = f"{path.stem}-{variant}-seed-{seed}-{key}"
    return Experiment(name, variant, seed, seeded, options_of(seeded))
