"""Run the same pipeline under one changed condition after the other, and compare the bytes.

`python -m tools.determinism.measure` runs what reports/measurements/determinism.json lacks and adds
to it after each condition, so it can be stopped and started again. tools/docs/reproducibility.py
makes the tables of docs/reproducibility.md from it.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from iic.core.errors import InputError
from iic.core.files import read_json, read_table, write_text
from iic.core.machine import instructions, machine, usable_cores
from iic.core.params import Params
from iic.data.datasets import COLLECTIONS, IdxFile
from iic.data.download import Origin, fetch, origins_of
from iic.evaluation.paths import CLASS_COLUMNS, METRICS, PREDICTIONS
from iic.experiments.recipes import recipe_params, with_overrides
from iic.experiments.scratch import STAGES, copy_code, write_params
from iic.model.matching import contingency_table, hungarian_match
from iic.pipeline.costs import COSTS, read_costs
from iic.pipeline.paths import MEASUREMENTS, PIPELINE
from tools.command import call, ending_of, run_main
from tools.determinism.conditions import CONDITIONS, LEVELS, Condition

DETERMINISM = MEASUREMENTS / "determinism.json"
_THIS_PYTHON = "{}.{}".format(*sys.version_info)
# Prints Python's version, then those of the packages that compute and draw.
_VERSIONS = """
import sys
from importlib.metadata import version
print("%d.%d" % sys.version_info[:2])
for name in ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "matplotlib", "pillow"):
    print(name, version(name))
"""
MOVED = ("acc", "nmi", "loss")


def main(arguments: list[str]) -> None:
    """Run the named conditions, or all that are missing."""
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
    """Return the version and path of an interpreter; raise InputError if its packages differ."""
    try:
        found = [call(path, "-c", _VERSIONS, cwd=Path()) for path in (python, sys.executable)]
    except (OSError, InputError) as error:
        reason = f"{python}: no Python with the packages of requirements/run.txt"
        raise InputError(reason) from error
    (version, *packages), (_, *expected) = (said.splitlines() for said in found)
    if packages != expected:
        others = ", ".join(sorted(set(packages) - set(expected)))
        raise InputError(f"{python}: {others}; install the same requirements/run.txt")
    return version, python


def run_level(level: str, wanted: Sequence[str], pythons: Mapping[str, str]) -> None:
    """Run the reference, then each condition that is wanted or missing; keep each result."""
    if not _waiting(level, wanted, pythons):
        return
    params = with_overrides(recipe_params(LEVELS[level].recipe), LEVELS[level].settings, level)
    with tempfile.TemporaryDirectory() as name_of_folder:
        code, data = (Path(name_of_folder) / name for name in ("code", "data"))
        data.mkdir()
        copy_code(code)
        params = keep_data(params, data)
        with finished_runs(code, params, Condition("")) as (reference,):
            _keep_reference(level, reference)
            # Asked again, since another reference makes the kept results worthless.
            for name in _waiting(level, wanted, pythons):
                row = _row(name, code, params, reference, pythons)
                sys.stderr.write(f"{level}, {name}: {row['outcome']}\n")
                with _updated(level) as kept:
                    kept["conditions"][name] = row


def _waiting(level: str, wanted: Sequence[str], pythons: Mapping[str, str]) -> list[str]:
    """Names of the conditions to run; those that cannot be tried are noted at once."""
    rows = read_results().get(level, {}).get("conditions", {})
    tried = {name for name, row in rows.items() if row["outcome"] != "not tried"}
    waiting = []
    for name in LEVELS[level].conditions:
        is_reference = CONDITIONS[name].python == _THIS_PYTHON
        if is_reference or (name not in wanted if wanted else name in tried):
            continue
        reason = why_not(CONDITIONS[name], instructions(), usable_cores(), pythons)
        if not reason:
            waiting.append(name)
        elif name not in tried:
            with _updated(level) as kept:
                kept["conditions"][name] = {"outcome": "not tried", "reason": reason}
    return waiting


def _row(
    name: str, code: Path, params: Params, reference: Path, pythons: Mapping[str, str]
) -> dict[str, Any]:
    """Run a condition and compare it; of several runs at once, the worst counts."""
    condition, outputs = CONDITIONS[name], declared_outputs(PIPELINE)
    other = with_overrides(params, condition.settings, name)
    python = pythons.get(condition.python, sys.executable)
    try:
        with finished_runs(code, other, condition, python) as folders:
            rows = [difference(reference, folder, outputs) for folder in folders]
    except InputError as error:
        return {"outcome": "failed", "reason": str(error)}
    return next((row for row in rows if row["outcome"] != "same"), rows[-1])


def read_results() -> dict[str, Any]:
    """Return the results so far, by data."""
    return read_json(DETERMINISM, f"git restore {DETERMINISM}") if DETERMINISM.exists() else {}


def _keep_reference(level: str, reference: Path) -> None:
    """Keep the reference and the machine; drop rows that were compared with other bytes."""
    digest, here = digest_of_all(digests(reference, declared_outputs(PIPELINE))), machine()
    with _updated(level) as kept:
        if kept["reference"].get("digest", digest) != digest:
            sys.stderr.write(f"{level}: the reference has other bytes than before, all run again\n")
            kept.update(reference={}, conditions={})
        machines = kept["reference"].get("machines", [])
        kept["reference"] = {
            "digest": digest,
            "metrics": metrics_of(reference),
            "train_seconds": _seconds_of_training(reference),
            "machines": machines if here in machines else [*machines, here],
        }


@contextmanager
def _updated(level: str) -> Iterator[dict[str, Any]]:
    """Yield the results of a level to change, then write them into the file beside the others."""
    results = read_results()
    kept = results.setdefault(level, {"reference": {}, "conditions": {}})
    yield kept
    rows = kept["conditions"]
    kept["conditions"] = {name: rows[name] for name in LEVELS[level].conditions if name in rows}
    in_order = {known: results[known] for known in LEVELS if known in results}
    write_text(DETERMINISM, json.dumps(in_order, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def finished_runs(
    code: Path, params: Params, condition: Condition, python: str = sys.executable
) -> Iterator[list[Path]]:
    """Run copied code under a condition; yield the folders of its runs, or raise InputError."""
    with tempfile.TemporaryDirectory() as name:
        tops = [Path(name) / str(number) for number in range(condition.jobs)]
        with ThreadPoolExecutor(len(tops)) as pool:
            list(pool.map(lambda top: _run(top, code, params, condition, python), tops))
        yield [top / condition.folder for top in tops]


def _seconds_of_training(folder: Path) -> float:
    return round(read_costs(folder.parent / "costs")["train"].seconds, 1)


def keep_data(params: Params, folder: Path) -> Params:
    """Download the data into a folder; return parameters that take them from there."""
    if params.data.name not in COLLECTIONS:
        return params
    collection = COLLECTIONS[params.data.name]

    def read(origin: Origin, file: IdxFile) -> bytes:
        content = origin.read(file)
        (folder / file.name).write_bytes(content)
        return content

    origins = origins_of(collection, Path(params.data.local_dir) if params.data.local_dir else None)
    fetch(collection, [Origin(origin.name, partial(read, origin)) for origin in origins])
    return params.with_values(data={"local_dir": str(folder)})


def environment(top: Path, condition: Condition) -> dict[str, str]:
    """Return this process's variables without those that any condition sets, and this one's."""
    switches = {name for other in CONDITIONS.values() for name in other.variables} - {"HOME"}
    plain = {key: value for key, value in os.environ.items() if key not in switches}
    own = {key: value.format(top=top) for key, value in condition.variables.items()}
    own |= {"PYTHONPATH": str(top / condition.folder), COSTS: str(top / "costs")}
    return plain | own | {"DVC_NO_ANALYTICS": "1"}


def _run(top: Path, code: Path, params: Params, condition: Condition, python: str) -> None:
    (top / "home").mkdir(parents=True)
    shutil.copytree(code, top / condition.folder)
    write_params(top / condition.folder, params)
    for name, content in condition.files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content, "utf-8")
    if name := condition.locale:
        (top / "locale").mkdir()
        target = str(top / f"locale/{name}.UTF-8")
        # `--no-archive` needs no rights over the system's own locales.
        call("localedef", "--no-archive", "-i", name, "-f", "UTF-8", target, cwd=top)
    folder, env = top / condition.folder, environment(top, condition)
    for stage in STAGES:
        command = (*condition.command, python, "-m", f"stages.{stage}")
        status, said = ending_of(
            *command, cwd=folder, env=env, umask=condition.umask, terminal=condition.terminal
        )
        if status != 0:
            raise InputError(f"{stage}: exit status {status}: {' '.join(said.split())[-300:]}")


def why_not(condition: Condition, known: set[str], cores: int, pythons: Mapping[str, str]) -> str:
    """Return why a condition cannot be tried, or ""; `known` are the processor's instructions."""
    version, tools = condition.python, condition.command[:1]
    tools += ("localedef",) if condition.locale else ()
    reasons = {
        f"a processor without {', '.join(condition.needs)}": not known.issuperset(condition.needs),
        f"fewer than {condition.cores} cores": cores < condition.cores,
        **{f"no `{tool}`": shutil.which(tool) is None for tool in tools},
        f"no Python {version} was named (`--python`)": bool(version) and version not in pythons,
    }
    return ", ".join(reason for reason, is_so in reasons.items() if is_so)


def declared_outputs(pipeline: Path, *names: str) -> list[str]:
    """List the paths that some stages of a dvc.yaml write, or all of its stages."""
    stages = yaml.safe_load(pipeline.read_text("utf-8"))["stages"]
    chosen = [stages[name] for name in names or stages]
    kinds = ("outs", "metrics", "plots")
    entries = [out for stage in chosen for kind in kinds for out in stage.get(kind, [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in entries]


def digests(folder: Path, outputs: list[str]) -> dict[str, str]:
    """Return the SHA-256 of each output; that of a folder covers its files and their names."""
    return {output: _digest(folder / output) for output in outputs}


def _digest(path: Path) -> str:
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    rows = "".join(f"{file.relative_to(path)} {_digest(file)}\n" for file in files)
    return hashlib.sha256(rows.encode()).hexdigest()


def digest_of_all(found: Mapping[str, str]) -> str:
    """Return a short digest that identifies runs with the same bytes."""
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:12]


def metrics_of(folder: Path) -> dict[str, float]:
    """Return the metrics that are compared."""
    found = json.loads((folder / METRICS).read_text("utf-8"))
    return {name: found[name] for name in MOVED}


def difference(reference: Path, other: Path, outputs: list[str]) -> dict[str, Any]:
    """List outputs whose bytes differ, how far metrics moved, and images in another cluster."""
    before, after = digests(reference, outputs), digests(other, outputs)
    differs = [output for output in outputs if before[output] != after[output]]
    found: dict[str, Any] = {"outcome": "others" if differs else "same"}
    found["digest"] = digest_of_all(after)
    if differs:
        runs = (reference, other)
        was, now = map(metrics_of, runs)
        tables = [read_table(folder / PREDICTIONS, CLASS_COLUMNS) for folder in runs]
        changed, images = changed_clusters(*(table["cluster"].astype(np.int64) for table in tables))
        moved = {name: round(abs(now[name] - was[name]), 6) for name in MOVED}
        found |= {"differs": differs, "moved": moved, "changed": changed, "images": images}
    return found | {"train_seconds": _seconds_of_training(other)}


def changed_clusters(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """Count the images that changed their cluster, and all images.

    The numbers of clusters mean nothing, so both runs, (n,) each, are matched one to one first.
    """
    k = int(max(first.max(), second.max())) + 1
    mapping = hungarian_match(contingency_table(first, second, k, k))
    return int((mapping[second] != first).sum()), len(first)


if __name__ == "__main__":
    run_main(main)
