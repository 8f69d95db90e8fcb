"""Measure what the README and the report say of speed and memory: `make bench`.

`python -m tools.bench.bench SECTION ...` measures some sections again and keeps the others.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from iic.core.errors import InputError
from iic.core.machine import machine
from iic.experiments.recipes import DEFAULT, recipe_params
from iic.experiments.sweep.cluster import check_installed
from tools.bench import predictions, scaling, steps, sweeps
from tools.bench import stage_costs as pipeline
from tools.bench.alternatives import METHODS, UMAP
from tools.bench.results import read_benchmark, write_benchmark
from tools.command import run_main, run_module

# How often each is trained; `best` takes a quarter of an hour. `article` is timed by its steps,
# since it would take hours.
RECIPES = {"default": 3, "fast": 3, "best": 1}


def measure_alternatives() -> Iterator[dict[str, Any]]:
    """Accuracy, seconds and peak memory of other methods, each in a process of its own."""
    rows = {}
    for name in METHODS:
        rows[name] = json.loads(run_module("tools.bench.alternatives", name).splitlines()[-1])
        yield rows


# Each yields its figures, more of them as they come.
SECTIONS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "steps": lambda: iter([steps.measure(["article", *RECIPES])]),
    "stages": pipeline.measure_stages,
    "trainings": lambda: pipeline.measure_trainings(RECIPES),
    "alternatives": measure_alternatives,
    "scaling": lambda: iter([scaling.measure()]),
    "predict": lambda: iter([predictions.measure()]),
    "sweep": sweeps.measure_workers,
    "traffic": sweeps.measure_traffic,
}


def measure(sections: list[str]) -> None:
    """Measure sections, storing what is there; figures of another machine are dropped."""
    here = machine()
    for name in sections:
        sys.stderr.write(f"measuring {name}\n")
        for figures in SECTIONS[name]():
            kept = read_benchmark()
            if kept.get("machine") != here:
                kept = {}
            measured = {**kept, "machine": here, name: figures}
            order = ["machine", *SECTIONS]
            write_benchmark({key: measured[key] for key in order if key in measured})


def main(arguments: list[str]) -> None:
    """Measure the sections that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("section", nargs="*", help=f"of {', '.join(SECTIONS)} (default: all)")
    chosen = parser.parse_args(arguments).section or list(SECTIONS)
    for name in chosen:
        if name not in SECTIONS:
            raise InputError(f"{name}: no such section (one of {', '.join(SECTIONS)})")
    _check(chosen)
    measure(chosen)


def _check(chosen: list[str]) -> None:
    """Raise InputError, before any long work, for what would be in its way."""
    params = {name: recipe_params(name) for name in ["article", *RECIPES]}
    data = params[DEFAULT].data.name
    if data != "mnist":
        raise InputError(f"data.name: the benchmark is of mnist, not of {data}; set it back")
    steps.training_data()
    if {"sweep", "traffic"} & set(chosen):
        check_installed()
    if "alternatives" in chosen and find_spec(UMAP) is None:
        raise InputError(f"{UMAP}: not installed; `make bench` installs requirements/bench.txt")


if __name__ == "__main__":
    run_main(main)
