"""Measure what the README and the report say of speed and memory: `make bench`.

`python -m benchmarks.bench SECTION ...` measures some sections again and keeps the others.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks import alternatives, pipeline, scaling, steps
from benchmarks.recipes import recipe_params
from benchmarks.results import store_section
from iic.errors import InputError

# Trained in the benchmark; `article` is timed by its steps, since it would take hours.
RECIPES = ["default", "fast", "best"]


def measure_machine() -> dict[str, object]:
    """Where the figures come from; no name of the machine and no date."""
    packages = ("tensorflow", "keras", "numpy", "scikit-learn", "umap-learn")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def measure_alternatives() -> dict[str, object]:
    """Accuracy, seconds and peak memory of other methods, each in a process of its own."""
    rows = {}
    for name in alternatives.METHODS:
        command = [sys.executable, "-m", "benchmarks.alternatives", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise InputError(f"{name}: failed, see above; other results are kept")
        rows[name] = json.loads(done.stdout.splitlines()[-1])
    return rows


SECTIONS: dict[str, Callable[[], dict[str, object]]] = {
    "machine": measure_machine,
    "steps": lambda: steps.measure(["article", *RECIPES]),
    "pipeline": lambda: pipeline.measure(RECIPES),
    "alternatives": measure_alternatives,
    "scaling": lambda: dict(scaling.measure()),
}


def _processor() -> str:
    """Its model as Linux names it, and the instructions that bfloat16 depends on."""
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return platform.machine()
    lines: dict[str, str] = {}
    for line in file.read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        lines[key.strip()] = value.strip()
    flags = set(lines.get("flags", "").split()) & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}
    return f"{lines.get('model name', platform.machine())} ({', '.join(sorted(flags))})"


def main(arguments: list[str]) -> None:
    """Measure the sections, storing each as soon as it is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("section", nargs="*", help=f"of {', '.join(SECTIONS)} (default: all)")
    chosen = parser.parse_args(arguments).section or list(SECTIONS)
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        raise InputError(f"{unknown[0]}: no such section (one of {', '.join(SECTIONS)})")
    for recipe in RECIPES:
        recipe_params(recipe)
    for name in chosen:
        sys.stderr.write(f"measuring {name}\n")
        store_section(name, SECTIONS[name](), list(SECTIONS))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InputError as error:
        sys.exit(f"error: {error}")
