"""Run a recipe with several seeds and keep every result in a table.

Each seed is a DVC experiment in a temporary folder: the workspace stays as it is, and a seed that
is in DVC's run-cache is not trained again.
"""

import csv
import hashlib
import json
import sys
import tempfile
from pathlib import Path

from iic.core.constants import IMAGE_SIZE
from iic.core.files import write_table
from iic.core.params import Params
from iic.experiments.commands import run_experiment
from iic.experiments.git import current_commit
from iic.experiments.reading import metrics_of
from iic.experiments.recipes import recipe_params, with_overrides
from iic.pipeline.costs import COSTS, Cost, read_costs
from iic.pipeline.paths import SEEDS

# Parameters by operation that decide nothing without it, and that older results lack.
_OPTIONAL = {"flip": ("flip",), "color": ("brightness", "contrast", "saturation", "hue")}


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
    key, table = recipe_of(recipe_params(recipe)), table_of(recipe)
    rows = read_rows(table, key)
    for seed in range(first, first + count):
        if seed in rows and not again:
            sys.stderr.write(f"seed {seed} is already in {table}; --again runs it again\n")
            continue
        named = {"recipe": key, "seed": str(seed), "commit": current_commit()}
        rows[seed] = named | run_seed(recipe, seed)
        # After each seed, so that an interruption loses at most one.
        write_rows(table, key, rows)


def run_seed(recipe: str, seed: int) -> dict[str, str]:
    """Run one seed of a recipe as a DVC experiment.

    Args:
        recipe: Name of the recipe.
        seed: Seed of the run, a non-negative integer.

    Returns:
        The metrics, and the seconds that the train stage took, by column; the seconds are empty
        if the training came from DVC's run-cache.

    Raises:
        InputError: The recipe is invalid, or the experiment failed.
    """
    name = f"{recipe}-seed-{seed}"
    cost = run_with_costs(name, recipe, seed).get("train")
    metrics = metrics_of(name)
    return {column: f"{value:.6g}" for column, value in metrics.items()} | {
        "seconds": f"{cost.seconds:.1f}" if cost else ""
    }


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
    params = with_overrides(recipe_params(recipe), {"seed": seed}, f"seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        costs = Path(folder) / "costs"
        run_experiment(name, params, {COSTS: str(costs)})
        return read_costs(costs)


def table_of(recipe: str) -> Path:
    """Return the path of a recipe's table of seeds."""
    return SEEDS / f"{recipe}.csv"


def recipe_of(params: Params) -> str:
    """Return a short hash of all parameters that decide a result, except the seed.

    Parameters that are switched off (0, null, or ranges of operations that are not used) and the
    default size and colour of images do not count, so that a new one, off by default, leaves the
    hash of older results unchanged.
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
            # A second seed of 0 is a seed.
            if value not in (0, None) or (key == "second_seed" and value is not None)
        }
        for section, keys in content.items()
    }
    return hashlib.sha256(json.dumps(switched_on, sort_keys=True).encode()).hexdigest()[:8]


def rows_of(recipe: str) -> dict[int, dict[str, str]]:
    """Return the rows of a recipe's table that belong to its current parameters, by seed."""
    return read_rows(table_of(recipe), recipe_of(recipe_params(recipe)))


def read_rows(path: Path, recipe: str) -> dict[int, dict[str, str]]:
    """Read a table's rows by seed.

    Args:
        path: Path of the table, which may be missing.
        recipe: Hash of the recipe's parameters; rows with another hash are left out.

    Returns:
        Row, as text by column, by seed.
    """
    return {int(row["seed"]): row for row in _all_rows(path) if row["recipe"] == recipe}


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
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
