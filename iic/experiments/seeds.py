"""Run a recipe with several seeds and keep every result, good or bad.

Each seed is a DVC experiment in a temporary folder, so the workspace stays as it is and a seed that
the run-cache knows is not trained again.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from iic.core.errors import InputError
from iic.core.files import write_table
from iic.core.params import Params
from iic.experiments.cli import run_main
from iic.experiments.reading import metrics_of
from iic.experiments.recipes import DEFAULT, recipe_options, recipe_params
from iic.pipeline.costs import COSTS, read_costs
from iic.pipeline.paths import SEEDS


def table_of(recipe: str) -> Path:
    """Where a recipe's seeds are kept."""
    return SEEDS / f"{recipe}.csv"


def recipe_of(params: Params) -> str:
    """A short hash of all settings that decide a result but the seed; others' rows do not mix.

    What is off (0 or null) does not count, so that a new switch leaves the tables as they are.
    """
    content = params.model_dump(
        exclude={"recipe": True, "seed": True, "report": True, "data": {"local_dir"}}
    )
    if params.data.name != "custom":
        content["data"] = {"name": params.data.name}
    if not params.loss.teaching_weight:
        del content["loss"]["teaching_from"]
    if not params.committee.members:
        del content["committee"]
    switched_on = {
        section: {
            key: value
            for key, value in keys.items()
            # Seed 0 is a seed.
            if value not in (0, None) or (key == "second_seed" and value is not None)
        }
        for section, keys in content.items()
    }
    return hashlib.sha256(json.dumps(switched_on, sort_keys=True).encode()).hexdigest()[:8]


def read_rows(path: Path, recipe: str) -> dict[int, dict[str, str]]:
    """The rows of a recipe by seed; none where the table is missing or of another recipe."""
    return {int(row["seed"]): row for row in _all_rows(path) if row["recipe"] == recipe}


def _all_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rows_of(recipe: str) -> dict[int, dict[str, str]]:
    """The rows of a recipe as it is now, by seed."""
    return read_rows(table_of(recipe), recipe_of(recipe_params(recipe)))


def write_rows(path: Path, recipe: str, rows: dict[int, dict[str, str]]) -> None:
    """Write a recipe's rows in the order of their seeds; rows of others stay, before them."""
    kept = [row for row in _all_rows(path) if row["recipe"] != recipe]
    ordered = [*kept, *(rows[seed] for seed in sorted(rows))]
    # Data without labels have other metrics.
    names = dict.fromkeys(name for row in ordered for name in row)
    write_table(path, {name: [row.get(name, "") for row in ordered] for name in names})


def run_seed(recipe: str, seed: int) -> dict[str, str]:
    """A row's values of one seed: its metrics, and the seconds of the train stage.

    These are empty where the run-cache had the result.
    """
    name = f"{recipe}-seed-{seed}"
    # An experiment of that name may be left from an earlier call. `--force` would overwrite it,
    # but also train again what the run-cache knows.
    remove = ["dvc", "exp", "remove", "--quiet", name]
    subprocess.run(remove, check=False, capture_output=True)  # noqa: S603 - a list, no shell
    options = [*recipe_options(recipe), "-S", f"seed={seed}"]
    command = ["dvc", "exp", "run", "--temp", "--name", name, *options]
    with tempfile.TemporaryDirectory() as folder:
        costs = Path(folder) / "costs"
        environment = os.environ | {COSTS: str(costs)}
        if subprocess.run(command, check=False, env=environment).returncode != 0:  # noqa: S603 - a list, no shell
            raise InputError(f"{' '.join(command)}: failed, see above; the table keeps its rows")
        cost = read_costs(costs).get("train")
    metrics = metrics_of(name)
    return {column: f"{value:.6g}" for column, value in metrics.items()} | {
        "seconds": f"{cost.seconds:.1f}" if cost else ""
    }


def main(arguments: list[str]) -> None:
    """Run the seeds that the table lacks, or all that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipe", default=DEFAULT, help="name of a file in recipes/")
    parser.add_argument("--first", type=int, default=0, help="first seed (default 0)")
    parser.add_argument("--count", type=int, default=3, help="number of seeds (default 3)")
    parser.add_argument("--again", action="store_true", help="also run what the table has")
    options = parser.parse_args(arguments)
    if options.first < 0:
        raise InputError(f"--first {options.first}: seeds begin at 0")
    recipe, table = recipe_of(recipe_params(options.recipe)), table_of(options.recipe)
    rows = read_rows(table, recipe)
    for seed in range(options.first, options.first + options.count):
        if seed in rows and not options.again:
            sys.stderr.write(f"seed {seed} is in {table}; AGAIN=1 runs it again\n")
            continue
        rows[seed] = {"recipe": recipe, "seed": str(seed)} | run_seed(options.recipe, seed)
        # After each seed, so that an interruption loses one at most.
        write_rows(table, recipe, rows)


if __name__ == "__main__":
    run_main(main)
