"""Run a recipe with several seeds and keep every result in a table.

Each seed is a DVC experiment in a temporary folder: the workspace stays as it is, and a seed that
is in DVC's run-cache is not trained again.
"""

import hashlib
import json
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import get_args

from iic.core.constants import IMAGE_SIZE
from iic.core.files import sha256_of, write_table
from iic.core.links import files_below
from iic.core.params import DataParams, Params, Section
from iic.experiments.commands import run_experiment
from iic.experiments.git import current_commit
from iic.experiments.reading import metrics_of
from iic.experiments.recipes import recipe_params, with_overrides
from iic.experiments.rows import damaged, number_in, seed_in, stored_rows
from iic.pipeline.costs import COSTS, Cost, read_costs
from iic.pipeline.paths import SEEDS

# Parameters by operation that decide nothing without it, and that older results lack.
_OPTIONAL = {"flip": ("flip",), "color": ("brightness", "contrast", "saturation", "hue")}
# Columns of text; all others are numbers, or empty.
_TEXT = ("recipe", "commit")


def run_seeds(recipe: str, first: int, count: int, *, again: bool = False) -> None:
    """Run consecutive seeds of a recipe and add a row for each to reports/seeds/RECIPE.csv.

    Args:
        recipe: Name of the recipe.
        first: First seed, a non-negative integer.
        count: Number of seeds.
        again: Whether to also run seeds that the table already has.

    Raises:
        InputError: The recipe is invalid or an experiment failed; the table keeps its rows.
    """
    # Once, so that an edit meanwhile cannot put other settings under this hash.
    params, table = recipe_params(recipe), table_of(recipe)
    key = _key_of(params)
    rows = read_rows(table, key)
    for seed in range(first, first + count):
        if seed in rows and not again:
            sys.stderr.write(f"seed {seed} is already in {table}; --again runs it again\n")
            continue
        # Of each seed, since DVC takes the code from the working directory when the seed starts.
        named = {"recipe": key, "seed": str(seed), "commit": current_commit()}
        rows[seed] = named | run_seed(recipe, params, seed)
        # After each seed, so that an interruption loses at most one.
        write_rows(table, key, rows)


def run_seed(recipe: str, params: Params, seed: int) -> dict[str, str]:
    """Run one seed of a recipe as a DVC experiment.

    Args:
        recipe: Name of the recipe, with which the experiment's name begins.
        params: Parameters of the recipe.
        seed: Seed of the run, a non-negative integer.

    Returns:
        The metrics, and the seconds that the train stage took, by column; the seconds are empty
        if the training came from DVC's run-cache.

    Raises:
        InputError: The experiment failed.
    """
    name = f"{recipe}-seed-{seed}"
    cost = _run_seeded(name, params, seed).get("train")
    metrics = metrics_of(name)
    return {column: _digits(value) for column, value in metrics.items()} | {
        "seconds": f"{cost.seconds:.1f}" if cost else ""
    }


def _digits(value: float) -> str:
    """Format six significant digits without an exponent, as a plain number for `table_cell`."""
    return f"{Decimal(f'{value:.6g}'):f}"


def run_with_costs(name: str, recipe: str, seed: int) -> dict[str, Cost]:
    """Run one seed of a recipe as a DVC experiment.

    Args:
        name: Name of the experiment.
        recipe: Name of the recipe.
        seed: Seed of the run, a non-negative integer.

    Returns:
        Time and memory of each stage that ran; others came from DVC's run-cache.

    Raises:
        InputError: The recipe is invalid, or the experiment failed.
    """
    return _run_seeded(name, recipe_params(recipe), seed)


def _run_seeded(name: str, params: Params, seed: int) -> dict[str, Cost]:
    seeded = with_overrides(params, {"seed": seed}, f"seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        costs = Path(folder) / "costs"
        run_experiment(name, seeded, {COSTS: str(costs)})
        return read_costs(costs)


def table_of(recipe: str) -> Path:
    """Return the path of a recipe's table of seeds."""
    return SEEDS / f"{recipe}.csv"


def recipe_of(params: Params) -> str:
    """Return a short hash of all parameters that decide a result, except the seed.

    Parameters that are switched off (null, 0 of a key that cannot be null, or ranges of operations
    that are not used) and the default size and colour of images do not count, so that a new one,
    off by default, leaves the hash of older results unchanged.
    """
    content = params.model_dump(
        exclude={"recipe": True, "seed": True, "report": True, "data": {"local_dir"}}
    )
    # Rows of another precision are rows of another recipe.
    content["train"]["precision"] = params.train.used_precision
    if params.data.name != "custom":
        content["data"] = {"name": params.data.name}
    elif (params.data.image_size, params.data.channels) == (IMAGE_SIZE, 1):
        del content["data"]["image_size"], content["data"]["channels"]
    if not params.loss.teaching_weight:
        del content["loss"]["teaching_from"]
    if not params.student.teachers:
        del content["student"]
    for operation, ranges in _OPTIONAL.items():
        for name in ranges if operation not in params.augment.ops else ():
            del content["augment"][name]
    switched_on = {
        section: {
            key: value
            for key, value in keys.items()
            if not _is_off(getattr(params, section), key, value)
        }
        for section, keys in content.items()
    }
    return hashlib.sha256(json.dumps(switched_on, sort_keys=True).encode()).hexdigest()[:8]


def _is_off(section: Section, key: str, value: object) -> bool:
    """Return whether a value switches its key off: null if the key may be null, otherwise 0."""
    # Where null means off or automatic, 0 is a setting, such as the second seed 0 or no pooling.
    may_be_null = type(None) in get_args(type(section).model_fields[key].annotation)
    return value is None if may_be_null else value == 0


def fingerprint_of(data: DataParams) -> str:
    """Return a short hash of the names and contents of the files of your own images.

    It belongs beside `recipe_of`, which knows only their path; files behind links count. Contents
    and not times, so that results are found again in another clone.

    Returns:
        A hyphen and the hash; empty for published data sets, and for a path that does not exist
        here, as in a sweep on other machines.
    """
    path = Path(data.path)
    if data.name != "custom" or not path.exists():
        return ""
    content = hashlib.sha256()
    for file in sorted(files_below(path)) if path.is_dir() else [path]:
        if file.is_file():
            name = file.relative_to(path).as_posix()
            content.update(f"{name} {sha256_of(file)}\n".encode(errors="replace"))
    return f"-{content.hexdigest()[:8]}"


def _key_of(params: Params) -> str:
    """Return what identifies the recipe of a row: its parameters, and the files of your images."""
    return recipe_of(params) + fingerprint_of(params.data)


def rows_of(recipe: str) -> dict[int, dict[str, str]]:
    """Return the rows of a recipe's table that belong to its current parameters, by seed."""
    return read_rows(table_of(recipe), _key_of(recipe_params(recipe)))


def read_rows(path: Path, recipe: str) -> dict[int, dict[str, str]]:
    """Read a table's rows by seed.

    Args:
        path: Path of the table, which may be missing.
        recipe: Hash of the recipe's parameters; rows with another hash are left out.

    Returns:
        Row, as text by column, by seed.

    Raises:
        InputError: The table is damaged.
    """
    return {seed_in(row, path): row for row in _all_rows(path) if row["recipe"] == recipe}


def write_rows(path: Path, recipe: str, rows: dict[int, dict[str, str]]) -> None:
    """Write rows in the order of their seeds, after the table's rows of other recipes.

    Args:
        path: Path of the table.
        recipe: Hash of the recipe's parameters; the table's rows with this hash are replaced.
        rows: Row by seed.
    """
    kept = [row for row in _all_rows(path) if row["recipe"] != recipe]
    ordered = [*kept, *(rows[seed] for seed in sorted(rows))]
    # Data without labels have other metrics.
    names = dict.fromkeys(name for row in ordered for name in row)
    write_table(path, {name: [row.get(name, "") for row in ordered] for name in names})


def _all_rows(path: Path) -> list[dict[str, str]]:
    """Read all rows of a table, which may be missing, and check them."""
    rows = stored_rows(path, "iic seeds") if path.exists() else []
    return [_checked(row, path) for row in rows]


def _checked(row: dict[str, str], path: Path) -> dict[str, str]:
    """Return a row whose cells are text and numbers, as its columns say."""
    if "recipe" not in row:
        raise damaged(path)
    seed_in(row, path)
    # Older tables have an apostrophe before a negative number with an exponent.
    plain = {name: cell if name in _TEXT else cell.removeprefix("'") for name, cell in row.items()}
    for name, cell in plain.items():
        if cell and name not in _TEXT:
            number_in(cell, path)
    return plain
