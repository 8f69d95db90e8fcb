"""What two runs of the pipeline left behind, compared."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from iic.core.files import read_table
from iic.evaluation.paths import CLASS_COLUMNS, METRICS, PREDICTIONS
from iic.model.matching import contingency_table, hungarian_match

MOVED = ("acc", "nmi", "loss")


def declared_outputs(pipeline: Path) -> list[str]:
    """Paths that the stages of a dvc.yaml write, in its order."""
    stages = yaml.safe_load(pipeline.read_text("utf-8"))["stages"].values()
    entries = [out for stage in stages for kind in _KINDS for out in stage.get(kind, [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in entries]


_KINDS = ("outs", "metrics", "plots")


def digests(folder: Path, outputs: list[str]) -> dict[str, str]:
    """SHA-256 of each output, of a folder's files and their names together."""
    return {output: _digest(folder / output) for output in outputs}


def _digest(path: Path) -> str:
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    content = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        content.update(f"{file.relative_to(path)} {_digest(file)}\n".encode())
    return content.hexdigest()


def digest_of_all(found: Mapping[str, str]) -> str:
    """A short one, by which runs with the same bytes are known."""
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:12]


def metrics_of(folder: Path) -> dict[str, float]:
    """The metrics that are compared."""
    found = json.loads((folder / METRICS).read_text("utf-8"))
    return {name: found[name] for name in MOVED}


def difference(reference: Path, other: Path, outputs: list[str]) -> dict[str, Any]:
    """Outputs whose bytes differ, how far metrics moved, and images that changed their cluster."""
    before, after = digests(reference, outputs), digests(other, outputs)
    differs = [output for output in outputs if before[output] != after[output]]
    if not differs:
        return {"outcome": "same", "digest": digest_of_all(after)}
    was, now = metrics_of(reference), metrics_of(other)
    changed, images = changed_clusters(_clusters(reference), _clusters(other))
    return {
        "outcome": "others",
        "digest": digest_of_all(after),
        "differs": differs,
        "moved": {name: round(abs(now[name] - was[name]), 6) for name in MOVED},
        "changed": changed,
        "images": images,
    }


def changed_clusters(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """How many images changed their cluster, and of how many.

    Numbers of clusters mean nothing, so those of both runs are matched one to one first.

    Args:
        first: (n,) clusters in one run.
        second: (n,) in the other.
    """
    k = int(max(first.max(), second.max())) + 1
    table = contingency_table(first, second, k, k)
    mapping = hungarian_match(table)
    return int((mapping[second] != first).sum()), len(first)


def _clusters(folder: Path) -> np.ndarray:
    return read_table(folder / PREDICTIONS, CLASS_COLUMNS)["cluster"].astype(np.int64)
