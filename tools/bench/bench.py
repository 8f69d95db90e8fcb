"""The benchmark, `make bench`: values of speed and memory for the docs and the report.

`python -m tools.bench.bench SECTION ...` measures some sections and keeps the others, which must be
of the same machine. `--method NAME` measures one of the other methods alone, on any machine: beside
it, the article's step is timed, and the pages show the ratio.
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
from iic.report.paths import BENCHMARK
from tools.bench import predictions, scaling, sizes, stage_costs, steps, sweeps
from tools.bench.alternatives import METHODS, check_installed
from tools.bench.results import read_benchmark, write_benchmark
from tools.bench.stage_costs import article_seconds
from tools.command import run_main, run_module

# Trainings of each recipe; one of `best` takes a quarter of an hour. `article` is timed by its
# steps, since its training takes two hours.
TRAININGS = {"default": 3, "fast": 3, "best": 1}
# Longest duration of another method, in seconds; one that takes longer has no result.
LIMIT = 3600


# The section whose rows may be of different machines.
METHODS_SECTION = "alternatives"


def measure_alternatives(names: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
    """Measure scores, time and peak memory of other methods, each in a separate process.

    The article's step is timed before and after each method.

    Args:
        names: Methods to measure; None for all. Rows of others are kept.

    Yields:
        All rows by name of the method, after each method.

    Raises:
        InputError: A method failed; all others have been measured.
    """
    rows: dict[str, Any] = read_benchmark().get(METHODS_SECTION, {})
    failed = []
    for name in METHODS if names is None else names:
        sys.stderr.write(f"measuring {name}\n")
        before = article_seconds()
        try:
            said = run_module("tools.bench.alternatives", name, limit=LIMIT)
            row = json.loads(said.splitlines()[-1])
        except subprocess.TimeoutExpired:
            row = {"limit_seconds": LIMIT}
        except InputError:
            row = {"failed": True}
            failed.append(name)
        article = round((before + article_seconds()) / 2, 1)
        rows[name] = row | {"article_seconds": article, "machine": machine()}
        yield {name: rows[name] for name in METHODS if name in rows}
    if failed:
        raise InputError(f"{', '.join(failed)}: failed, see above; the others are stored")


def trained_on_pairs() -> list[str]:
    """Return the recipes of one network, whose steps all are of one kind."""
    return [name for name in TRAININGS if not recipe_params(name).student.teachers]


# Functions that yield the values of a section; each yield has more of them.
SECTIONS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "steps": lambda: iter([steps.measure(["article", *trained_on_pairs()])]),
    "stages": stage_costs.measure_stages,
    "command": lambda: iter([stage_costs.measure_command("fast")]),
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
    """Measure sections and store their values."""
    for name in sections:
        sys.stderr.write(f"measuring {name}\n")
        if name in OWN_FILES:
            OWN_FILES[name]([])
        else:
            store(name, SECTIONS[name]())


def store(section: str, measured: Iterable[dict[str, Any]]) -> None:
    """Store the values of a section each time that there are more of them."""
    for values in measured:
        found = {**read_benchmark(), section: values}
        if section != METHODS_SECTION:
            found["machine"] = machine()
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
    if here := [name for name in chosen if name not in OWN_FILES]:
        _check(here)
        _check_machine(here)
    measure(chosen)


def _check_machine(chosen: list[str]) -> None:
    """Raise InputError if values would be compared with those of another machine."""
    values = read_benchmark()
    left = values.keys() - {"machine", METHODS_SECTION} - set(chosen)
    here = {*chosen} - {METHODS_SECTION}
    if here and left and values.get("machine") != machine():
        raise InputError(
            f"{BENCHMARK}: {', '.join(sorted(left))} are of another machine; measure these, too"
        )


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
