"""The outputs of two runs of the pipeline, compared."""

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
    content = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        content.update(f"{file.relative_to(path)} {_digest(file)}\n".encode())
    return content.hexdigest()


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
    if not differs:
        return {"outcome": "same", "digest": digest_of_all(after)}
    was, now = metrics_of(reference), metrics_of(other)
    changed, images = changed_clusters(*(
        read_table(folder / PREDICTIONS, CLASS_COLUMNS)["cluster"].astype(np.int64)
        for folder in (reference, other)
    ))  # fmt: skip
    return {
        "outcome": "others",
        "digest": digest_of_all(after),
        "differs": differs,
        "moved": {name: round(abs(now[name] - was[name]), 6) for name in MOVED},
        "changed": changed,
        "images": images,
    }


def changed_clusters(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """Count the images that changed their cluster, and all images.

    The numbers of clusters mean nothing, so the clusters of both runs are matched one to one first.

    Args:
        first: (n,) clusters in one run.
        second: (n,) clusters in the other run.
    """
    k = int(max(first.max(), second.max())) + 1
    mapping = hungarian_match(contingency_table(first, second, k, k))
    return int((mapping[second] != first).sum()), len(first)
