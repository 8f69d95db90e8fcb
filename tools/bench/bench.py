"""The benchmark, `make bench`: values of speed and memory for the docs and the report.

`python -m tools.bench.bench SECTION ...` measures some sections and keeps the others, and
`--method NAME` measures one of the other methods alone.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
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


def kept() -> dict[str, Any]:
    """Return the values measured so far on this machine, by section."""
    values = read_benchmark()
    return values if values.get("machine") == machine() else {}


def measure_alternatives(names: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
    """Measure scores, time and peak memory of other methods, each in a separate process.

    Args:
        names: Methods to measure; None for all. Rows of others on this machine are kept.

    Yields:
        All rows by name of the method, after each method.
    """
    rows: dict[str, Any] = kept().get("alternatives", {})
    for name in METHODS if names is None else names:
        sys.stderr.write(f"measuring {name}\n")
        try:
            said = run_module("tools.bench.alternatives", name, limit=LIMIT)
            rows[name] = json.loads(said.splitlines()[-1])
        except subprocess.TimeoutExpired:
            rows[name] = {"limit_seconds": LIMIT}
        yield {name: rows[name] for name in METHODS if name in rows}


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
    for name in sections:
        sys.stderr.write(f"measuring {name}\n")
        if name in OWN_FILES:
            OWN_FILES[name]([])
        else:
            store(name, SECTIONS[name]())


def store(section: str, measured: Iterable[dict[str, Any]]) -> None:
    """Store the values of a section each time that there are more of them."""
    for values in measured:
        found = {**kept(), "machine": machine(), section: values}
        order = ["machine", *SECTIONS]
        write_benchmark({key: found[key] for key in order if key in found})


def main(arguments: list[str]) -> None:
    """Measure the given sections, by default all."""
    known = [*SECTIONS, *OWN_FILES]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("section", nargs="*", help=f"{', '.join(known)} (default: all)")
    parser.add_argument("--method", choices=METHODS, help="measure this alternative alone")
    given = parser.parse_args(arguments)
    if given.method:
        check_installed([given.method])
        store("alternatives", measure_alternatives([given.method]))
        return
    chosen = given.section or known
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
