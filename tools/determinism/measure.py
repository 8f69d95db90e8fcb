"""Runs of the same pipeline under one changed condition after the other, compared by bytes.

`python -m tools.determinism.measure` runs what reports/measurements/determinism.json lacks and adds
to it after each condition, so it can be stopped and started again.
tools/docs/reproducibility.py makes the tables of docs/reproducibility.md from it.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iic.core.errors import InputError
from iic.core.files import read_json, write_text
from iic.core.machine import instructions, machine, usable_cores
from iic.core.params import Params
from iic.experiments.recipes import read_settings, recipe_params, with_overrides
from iic.experiments.scratch import copy_code
from iic.pipeline.paths import MEASUREMENTS
from tools.command import run_main
from tools.determinism.conditions import CONDITIONS, LEVELS, Condition
from tools.determinism.outputs import (
    declared_outputs,
    difference,
    digest_of_all,
    digests,
    metrics_of,
)
from tools.determinism.running import finished_runs, keep_data, seconds_of_training, why_not

DETERMINISM = MEASUREMENTS / "determinism.json"
_PIPELINE = Path("dvc.yaml")
_TRIED = ("same", "others", "failed")
# Python's version, then those of the packages that compute and draw.
_VERSIONS = """
import sys
from importlib.metadata import version
print("%d.%d" % sys.version_info[:2])
for name in ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "matplotlib", "pillow"):
    print(name, version(name))
"""


def main(arguments: list[str]) -> None:
    """Run conditions on the data that are named, or all that are missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("condition", nargs="*", help="run this one, whether it was run or not")
    parser.add_argument("--data", action="append", choices=LEVELS, help="default: all")
    parser.add_argument("--python", action="append", default=[], help="path of another interpreter")
    options = parser.parse_args(arguments)
    for name in options.condition:
        if name not in CONDITIONS:
            raise InputError(f"{name}: no such condition (one of {', '.join(CONDITIONS)})")
    pythons = dict(versions_of(path) for path in options.python)
    for level in options.data or LEVELS:
        run_level(level, options.condition, pythons)


def versions_of(python: str) -> tuple[str, str]:
    """Version of an interpreter, and its path; its packages have to be those of this one.

    Raises:
        InputError: it does not run, or its packages are others.
    """
    found = []
    for path in (python, sys.executable):
        try:
            done = subprocess.run(  # noqa: S603 - a list, no shell
                [path, "-c", _VERSIONS], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise InputError(
                f"{path}: no Python with the packages of requirements/run.txt"
            ) from error
        found.append(done.stdout.splitlines())
    (version, *packages), (_, *expected) = found
    if packages != expected:
        others = ", ".join(sorted(set(packages) - set(expected)))
        raise InputError(f"{python}: {others}; install the same requirements/run.txt")
    return version, python


def run_level(level: str, wanted: Sequence[str], pythons: Mapping[str, str]) -> None:
    """Run the reference, then each condition that is wanted or missing; keep each result."""
    chosen = LEVELS[level]
    settings = read_settings(list(chosen.settings))
    params = with_overrides(recipe_params(chosen.recipe), settings, "settings")
    if not _waiting(level, wanted, pythons):
        return
    with tempfile.TemporaryDirectory() as name_of_folder:
        code, data = (Path(name_of_folder) / name for name in ("code", "data"))
        data.mkdir()
        copy_code(code)
        params = keep_data(params, data)
        with finished_runs(code, params, Condition("")) as (reference,):
            _keep_reference(level, reference)
            # Asked again: the reference may have shown that what was kept is of other code.
            for name in _waiting(level, wanted, pythons):
                row = _row(name, code, params, reference, pythons)
                sys.stderr.write(f"{level}, {name}: {row['outcome']}\n")
                _keep(level, name, row)


def _waiting(level: str, wanted: Sequence[str], pythons: Mapping[str, str]) -> list[str]:
    """Names of conditions to run; those that cannot be tried are noted at once."""
    rows = read_results().get(level, {}).get("conditions", {})
    tried = {name for name, row in rows.items() if row["outcome"] in _TRIED}
    waiting = []
    for name in LEVELS[level].conditions:
        is_reference = CONDITIONS[name].python == _version_of_reference()
        if is_reference or (name not in wanted if wanted else name in tried):
            continue
        reason = why_not(CONDITIONS[name], instructions(), usable_cores(), pythons)
        if not reason:
            waiting.append(name)
        elif name not in tried:
            _keep(level, name, {"outcome": "not tried", "reason": reason})
    return waiting


def _version_of_reference() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _row(
    name: str, code: Path, params: Params, reference: Path, pythons: Mapping[str, str]
) -> dict[str, Any]:
    """What came of a condition; the worst of several runs at once."""
    condition = CONDITIONS[name]
    other = with_overrides(params, read_settings(list(condition.settings)), "settings")
    python = pythons.get(condition.python, sys.executable)
    outputs = declared_outputs(_PIPELINE)
    try:
        with finished_runs(code, other, condition, python) as folders:
            rows = [
                difference(reference, folder, outputs)
                | {"train_seconds": round(seconds_of_training(folder), 1)}
                for folder in folders
            ]
    except InputError as error:
        return {"outcome": "failed", "reason": str(error)}
    return next((row for row in rows if row["outcome"] != "same"), rows[-1])


def read_results() -> dict[str, Any]:
    """What was found so far, by data."""
    return read_json(DETERMINISM, f"git restore {DETERMINISM}") if DETERMINISM.exists() else {}


def _keep_reference(level: str, reference: Path) -> None:
    """Note the reference and the machine; rows that were compared with other bytes are dropped."""
    digest = digest_of_all(digests(reference, declared_outputs(_PIPELINE)))
    results = read_results()
    kept = results.get(level, {})
    before = kept.get("reference", {}).get("digest")
    if before is not None and before != digest:
        sys.stderr.write(f"{level}: the reference has other bytes than before, all is run again\n")
        kept = {}
    machines, here = kept.get("reference", {}).get("machines", []), machine()
    found = {
        "digest": digest,
        "metrics": metrics_of(reference),
        "train_seconds": round(seconds_of_training(reference), 1),
        "machines": machines if here in machines else [*machines, here],
    }
    level_now = {"reference": found, "conditions": kept.get("conditions", {})}
    _write(results | {level: level_now})


def _keep(level: str, name: str, row: dict[str, Any]) -> None:
    """Write the row of a condition into the file, beside the others."""
    results = read_results()
    kept = results.get(level, {})
    rows = kept.get("conditions", {}) | {name: row}
    in_order = {known: rows[known] for known in LEVELS[level].conditions if known in rows}
    _write(results | {level: kept | {"conditions": in_order}})


def _write(results: Mapping[str, Any]) -> None:
    in_order = {level: results[level] for level in LEVELS if level in results}
    write_text(DETERMINISM, json.dumps(in_order, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run_main(main)
