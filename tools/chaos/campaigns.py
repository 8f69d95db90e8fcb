"""Run campaigns and count what they find in reports/measurements/reliability.json: `make chaos`."""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from iic.core.errors import InputError
from iic.core.files import read_json, write_text
from iic.pipeline.paths import MEASUREMENTS
from tools.chaos import damage, disturbed, hostile, kills, odd, overrides, parameters
from tools.chaos.counting import Count
from tools.command import run_main

RELIABILITY = MEASUREMENTS / "reliability.json"


class Campaign(NamedTuple):
    """What is tried over and over.

    Attributes:
        what: for people.
        run: takes a source of random numbers, and yields its count after each trial.
    """

    what: str
    run: Callable[[random.Random], Iterator[Count]]


CAMPAIGNS: Mapping[str, Campaign] = {
    "kills-digits": Campaign(
        "`kill -9` of `dvc repro` at a random moment, each stage in turn, digits", kills.on_digits
    ),
    "kills-mnist": Campaign("the same while `fast` trains on MNIST", kills.on_mnist),
    "faults": Campaign(
        "a full disk in the middle of each output, read-only folders, clocks that jump, two `dvc "
        "repro` at once: the run goes on or names what is at fault, and the next one mends it",
        disturbed.on_digits,
    ),
    "damage": Campaign(
        "a bit flipped or the end lost in an output, DVC's cache or a state, at the file's old "
        "time or a new one: nothing wrong is read, and the next run mends it",
        damage.of_files,
    ),
    "hostile-files": Campaign(
        "images, arrays, packages, models, cards and names: made to do harm, or valid ones damaged "
        "at random places, each kind through every door that it can come in by",
        hostile.files,
    ),
    "bad-parameters": Campaign(
        "invalid `params.yaml`: refused before any work, in a line that names the key",
        parameters.in_file,
    ),
    "bad-overrides": Campaign("the same for overrides, by `-S`", overrides.mixed),
    "odd-parameters": Campaign(
        "odd but valid parameters: run to the end or refused with a reason, digits", odd.on_digits
    ),
}


def main(arguments: list[str]) -> None:
    """Run the campaigns that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("campaign", nargs="*", help=f"of {', '.join(CAMPAIGNS)} (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of what is random (default 0)")
    options = parser.parse_args(arguments)
    names = options.campaign or list(CAMPAIGNS)
    for name in names:
        if name not in CAMPAIGNS:
            raise InputError(f"{name}: no such campaign (one of {', '.join(CAMPAIGNS)})")
    for name in names:
        numbers = random.Random(options.seed)  # noqa: S311 - nothing secret
        for count in CAMPAIGNS[name].run(numbers):
            _keep(name, count)


def _keep(name: str, count: Count) -> None:
    """Write a count into the file, beside those of other campaigns."""
    lost = f", lost {len(count.lost)}, last: {count.lost[-1]}" if count.lost else ""
    sys.stderr.write(f"{name}: {count.tried}{lost}\n")
    counts = read_counts() | {name: count.as_dict()}
    in_order = {known: counts[known] for known in CAMPAIGNS if known in counts}
    write_text(RELIABILITY, json.dumps(in_order, indent=2) + "\n")


def read_counts() -> dict[str, Any]:
    """What was counted, by campaign; empty before the first."""
    return read_json(RELIABILITY, f"git restore {RELIABILITY}") if RELIABILITY.exists() else {}


if __name__ == "__main__":
    run_main(main)
