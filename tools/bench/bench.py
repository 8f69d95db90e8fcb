"""The benchmark, `make bench`: values of speed and memory for the docs and the report.

`python -m tools.bench.bench SECTION ...` measures some sections and keeps the others.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from iic.core.errors import InputError
from iic.core.machine import machine
from iic.experiments.recipes import DEFAULT, recipe_params
from iic.experiments.sweep.cluster import check_ray_installed
from tools.bench import predictions, scaling, sizes, stage_costs, steps, sweeps
from tools.bench.alternatives import METHODS, check_installed
from tools.bench.results import read_benchmark, write_benchmark
from tools.command import run_main, run_module

# Trainings of each recipe; one of `best` takes a quarter of an hour. `article` is timed by its
# steps, since its training takes two hours.
TRAININGS = {"default": 3, "fast": 3, "best": 1}
# Longest duration of another method, in seconds; one that takes longer has no result.
LIMIT = 3600


def measure_alternatives() -> Iterator[dict[str, Any]]:
    """Measure scores, time and peak memory of other methods, each in a separate process."""
    rows: dict[str, Any] = {}
    for name in METHODS:
        sys.stderr.write(f"measuring {name}\n")
        try:
            said = run_module("tools.bench.alternatives", name, limit=LIMIT)
            rows[name] = json.loads(said.splitlines()[-1])
        except subprocess.TimeoutExpired:
            rows[name] = {"limit_seconds": LIMIT}
        yield rows


# Functions that yield the values of a section; each yield has more of them.
SECTIONS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "steps": lambda: iter([steps.measure(["article", *TRAININGS])]),
    "stages": stage_costs.measure_stages,
    "trainings": lambda: stage_costs.measure_trainings(TRAININGS),
    "alternatives": measure_alternatives,
    "scaling": lambda: iter([scaling.measure()]),
    "predict": lambda: iter([predictions.measure()]),
    "sweep": sweeps.measure_workers,
    "traffic": sweeps.measure_traffic,
}

# Sections with a file of their own, which keeps the values if others come from another machine.
OWN_FILES: dict[str, Callable[[list[str]], None]] = {"sizes": sizes.main}


def measure(sections: list[str]) -> None:
    """Measure sections and store their values; values of another machine are dropped."""
    here = machine()
    for name in sections:
        sys.stderr.write(f"measuring {name}\n")
        if name in OWN_FILES:
            OWN_FILES[name]([])
            continue
        for values in SECTIONS[name]():
            kept = read_benchmark()
            if kept.get("machine") != here:
                kept = {}
            measured = {**kept, "machine": here, name: values}
            order = ["machine", *SECTIONS]
            write_benchmark({key: measured[key] for key in order if key in measured})


def main(arguments: list[str]) -> None:
    """Measure the given sections, by default all."""
    known = [*SECTIONS, *OWN_FILES]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("section", nargs="*", help=f"{', '.join(known)} (default: all)")
    chosen = parser.parse_args(arguments).section or known
    for name in chosen:
        if name not in known:
            raise InputError(f"{name}: no such section (one of {', '.join(known)})")
    if not set(chosen) <= OWN_FILES.keys():
        _check(chosen)
    measure(chosen)


def _check(chosen: list[str]) -> None:
    """Raise InputError if data or packages of the sections are missing."""
    params = {name: recipe_params(name) for name in ["article", *TRAININGS]}
    data = params[DEFAULT].data.name
    if data != "mnist":
        raise InputError(f"data.name: the benchmark needs mnist, not {data}; set it back")
    steps.training_data()
    if {"sweep", "traffic"} & set(chosen):
        check_ray_installed()
    if "alternatives" in chosen:
        check_installed(METHODS)


if __name__ == "__main__":
    run_main(main)
