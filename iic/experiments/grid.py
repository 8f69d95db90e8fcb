"""Grids of variants and seeds, described as data in studies/."""

import re
from dataclasses import dataclass
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
from iic.experiments.seeds import recipe_of

# DVC makes a Git reference of an experiment's name.
_NAME = r"^[a-z0-9][a-z0-9-]*$"
_Name = Annotated[str, Field(pattern=_NAME)]
_Overrides = dict[str, object]


class Grid(BaseModel):
    """What a file in studies/ holds.

    Attributes:
        title: of the page that is written about it; by default the file's name.
        note: sentences for the top of that page.
        report: name of the files written to reports/studies/; by default the grid's name.
        recipe: name of the recipe that all variants start from.
        settings: overrides of all variants, as in a recipe.
        seeds: that each variant runs with.
        variants: overrides by the name of the variant.
        figures: variants that are lines of one figure, by the figure's name; by default one of all.
        claims: sentences about the variants, to be held against their results.
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
        """Variants that are lines of one figure, by its name."""
        return self.figures or {"curves": list(self.variants)}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: names a seed twice; list each once")
        for claim in self.claims:
            if claim.needs_spread and len(self.seeds) < 2:
                raise ValueError(f"seeds: the claim {claim.says!r} needs at least two")
            self._check_known("claims", claim.variants)
        for figure, names in self.figures.items():
            self._check_known(f"figures.{figure}", names)
        return self

    def _check_known(self, where: str, names: list[str]) -> None:
        for name in names:
            if name not in self.variants:
                raise ValueError(f"{where}: {name!r} is no variant")


@dataclass(frozen=True)
class Experiment:
    """One variant with one seed.

    Attributes:
        name: of the DVC experiment; settings that give another result have another name.
        options: of `dvc exp run`.
    """

    name: str
    variant: str
    seed: int
    params: Params
    options: list[str]


def read_grid(path: Path) -> Grid:
    """Read and validate a file in studies/; raise InputError on a mistake in it."""
    text = read_text(path, "the grids are in study/", "save it as UTF-8")
    try:
        return Grid.model_validate(read_tree(text, str(path)))
    except ValidationError as error:
        raise InputError(f"{path}: {explain_first(error)}") from error


def experiments_of(grid: Grid, path: Path) -> list[Experiment]:
    """All experiments of a grid, variant by variant.

    Args:
        grid: what the file holds.
        path: of the file, which gives the experiments' names and is named in errors.

    Raises:
        InputError: a setting is wrong, or two variants are the same settings.
    """
    if not re.fullmatch(_NAME, path.stem):
        raise InputError(
            f"{path}: its name begins those of experiments; use a-z, 0-9 and -, such as mine.yaml"
        )
    base = with_overrides(recipe_params(grid.recipe), grid.settings, f"{path}: settings")
    owner: dict[str, str] = {}
    experiments = []
    for variant, overrides in grid.variants.items():
        source = f"{path}: variants.{variant}"
        params = with_overrides(base, overrides or {}, source)
        key = recipe_of(params)
        if key in owner:
            raise InputError(f"{source}: the same settings as {owner[key]}; keep one of them")
        owner[key] = variant
        experiments += [_experiment(path, variant, key, params, s) for s in grid.seeds]
    return experiments


def _experiment(path: Path, variant: str, key: str, params: Params, seed: int) -> Experiment:
    seeded = with_overrides(params, {"seed": seed}, f"{path}: seeds")
    name = f"{path.stem}-{variant}-seed-{seed}-{key}"
    return Experiment(name, variant, seed, seeded, options_of(seeded))
