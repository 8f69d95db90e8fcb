"""Run campaigns and keep their counts in reports/measurements/reliability.json: `make chaos`."""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from iic.core.errors import InputError
from iic.core.files import read_json, write_text
from iic.pipeline.paths import MEASUREMENTS
from tools.chaos import damage, faults, hostile, kills, parameters
from tools.chaos.clones import Count
from tools.command import run_main

RELIABILITY = MEASUREMENTS / "reliability.json"


class Campaign(NamedTuple):
    """Something that is tried many times."""

    what: str  # what is tried and what must hold, for README
    run: Callable[[random.Random], Iterator[Count]]  # yields the count after each trial


CAMPAIGNS: Mapping[str, Campaign] = {
    "kills-digits": Campaign(
        "`kill -9` of `dvc repro` at a random moment of each stage, on the digits: the next run "
        "completes it",
        kills.on_digits,
    ),
    "kills-mnist": Campaign("the same while `fast` trains on MNIST", kills.on_mnist),
    "faults": Campaign(
        "a full disk in the middle of each output, read-only folders, clocks that jump, two `dvc "
        "repro` at once: the run succeeds or names the cause, and the next one completes it",
        faults.on_digits,
    ),
    "damage": Campaign(
        "a flipped bit or a lost end in an output, DVC's cache or a resume state, with the file's "
        "old time or a new one: wrong content is never used, and the next run repairs it",
        damage.on_digits,
    ),
    "hostile-files": Campaign(
        "images, arrays, packages, models, cards and names: crafted to do harm, or valid ones "
        "damaged at random, each kind through every entry that reads it",
        hostile.files,
    ),
    "bad-parameters": Campaign(
        "invalid `params.yaml`: refused before any work, in a line that names the key",
        parameters.bad_files,
    ),
    "bad-overrides": Campaign("the same for overrides with `-S`", parameters.bad_overrides),
    "odd-parameters": Campaign(
        "odd but valid parameters: the pipeline runs to the end or refuses with a reason, on the "
        "digits",
        parameters.odd_runs,
    ),
}


def main(arguments: list[str]) -> None:
    """Run the named campaigns, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("campaign", nargs="*", help=f"one of {', '.join(CAMPAIGNS)}; default: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random trials; default: 0")
    parser.add_argument("--trials", type=int, help="stop each campaign after as many trials")
    options = parser.parse_args(arguments)
    names = options.campaign or list(CAMPAIGNS)
    for name in names:
        if name not in CAMPAIGNS:
            raise InputError(f"{name}: no such campaign (one of {', '.join(CAMPAIGNS)})")
    for name in names:
        numbers = random.Random(options.seed)  # noqa: S311 - nothing secret
        for count in islice(CAMPAIGNS[name].run(numbers), options.trials):
            _keep(name, count)


def _keep(name: str, count: Count) -> None:
    """Write a count into the file, beside those of other campaigns."""
    lost = f", lost {len(count.lost)}, last: {count.lost[-1]}" if count.lost else ""
    sys.stderr.write(f"{name}: {count.tried}{lost}\n")
    in_order = {"details": dict(sorted(count.details.items()))}
    counts = read_counts() | {name: vars(count) | in_order}
    kept = {known: counts[known] for known in CAMPAIGNS if known in counts}
    write_text(RELIABILITY, json.dumps(kept, indent=2) + "\n")


def read_counts() -> dict[str, Any]:
    """Return the counts by campaign; empty before the first."""
    return read_json(RELIABILITY, f"git restore {RELIABILITY}") if RELIABILITY.exists() else {}


if __name__ == "__main__":
    run_main(main)
