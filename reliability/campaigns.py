"""Run campaigns and write what they count to reports/reliability.json: `make chaos`."""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping

from experiments.cli import run_main
from iic.errors import InputError
from iic.files import read_json, write_text
from reliability import hostile, kills
from reliability.counting import Count
from stages.common import REPORTS

RELIABILITY = REPORTS / "reliability.json"

# Each takes a source of random numbers and yields its count after each trial.
CAMPAIGNS: Mapping[str, Callable[[random.Random], Iterator[Count]]] = {
    "kills-digits": kills.on_digits,
    "kills-mnist": kills.on_mnist,
    "hostile-files": hostile.files,
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
        for count in CAMPAIGNS[name](random.Random(options.seed)):  # noqa: S311 - nothing secret
            _keep(name, count)


def _keep(name: str, count: Count) -> None:
    """Write a count into the file, beside those of other campaigns."""
    lost = f", lost {len(count.lost)}, last: {count.lost[-1]}" if count.lost else ""
    sys.stderr.write(f"{name}: {count.tried}{lost}\n")
    kept = read_json(RELIABILITY, "git restore") if RELIABILITY.exists() else {}
    counts = kept | {name: count.as_dict()}
    in_order = {known: counts[known] for known in CAMPAIGNS if known in counts}
    write_text(RELIABILITY, json.dumps(in_order, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
