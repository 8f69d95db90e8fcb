"""Segmentation by seed, beside peers, and a study of alpha and of the displacements.

`python -m tools.bench.segmentation` writes reports/measurements/segmentation.json. Finished rows of
the same settings are kept, so an interrupted measurement continues; `python -m
tools.bench.segmentation earth` measures one part.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from iic.core.errors import InputError
from iic.core.files import read_json, write_text
from iic.core.machine import machine
from iic.experiments.git import current_commit
from iic.experiments.segmentation_recipes import segmentation_recipe
from iic.model.matching import hungarian_accuracy, purity
from iic.segmentation.params import SegmentationParams
from iic.segmentation.paths import RESULTS
from iic.segmentation.scenes import load_scenes
from iic.segmentation.scores import mean_iou, pixel_table
from iic.segmentation.tiling import Scenes
from tools.command import run_main

SEEDS = range(5)
RECIPES = ("default", "earth")
# Values of alpha, constant over the training, and of the reach in the study.
ALPHAS, REACHES = (1.0, 2.0, 5.0, 10.0), (0, 1, 2, 3)
# Epochs of a training of the study.
_STUDY_EPOCHS = 4

Row = dict[str, float]


def read_results() -> dict[str, Any]:
    """Return the machine, and the rows by part, variant and seed; empty without a file."""
    return read_json(RESULTS, f"git restore {RESULTS}") if RESULTS.exists() else {}


def present_rows(part: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a part that were measured with the present settings.

    Args:
        part: Name of a recipe, or "study".

    Returns:
        Rows by variant and seed; a variant without such rows is empty.
    """
    stored: Mapping[str, Any] = read_results().get("runs", {}).get(part, {})
    # The names of the peers are those in the file, since the peers need an extra package.
    params = _study() if part == "study" else dict.fromkeys(stored, segmentation_recipe(part))
    return {
        name: {
            seed: row
            for seed, row in rows.items()
            if row.get("settings") == _settings(params[name], name)
        }
        for name, rows in stored.items()
        if name in params
    }


def study_params(base: SegmentationParams, alpha: float, reach: int) -> SegmentationParams:
    """Return the settings of a training of the study: alpha and reach are constant."""
    tree = base.model_dump()
    tree["loss"] |= {"alpha": alpha, "alpha_final": None, "reach": reach, "reach_final": reach}
    tree["train"] |= {"epochs": _STUDY_EPOCHS}
    return SegmentationParams.model_validate(tree)


def _variants(part: str) -> Iterator[tuple[str, SegmentationParams, Callable[..., Row]]]:
    """Yield the name, the settings and the measurement of each variant of a part."""
    if part == "study":
        for name, params in _study().items():
            yield name, params, _train
        return
    from tools.bench.segmenters import SEGMENTERS

    params = segmentation_recipe(part)
    yield "iic", params, _train
    for name in SEGMENTERS:
        yield name, params, partial(_fit, name)


def _study() -> dict[str, SegmentationParams]:
    """Return the settings of each variant of the study, by its alpha and reach."""
    base = segmentation_recipe("default")
    return {
        f"{alpha} {reach}": study_params(base, alpha, reach)
        for alpha in ALPHAS
        for reach in REACHES
    }


def _fit(name: str, scenes: Scenes, params: SegmentationParams) -> Row:
    """Fit a peer and score its segments of the test tiles."""
    from tools.bench.segmenters import SEGMENTERS, segment

    start, k = time.perf_counter(), params.model.clusters
    found = segment(SEGMENTERS[name], scenes.train_tiles, scenes.test_tiles, k, params.seed)
    return _scores(scenes, found, k) | {"seconds": time.perf_counter() - start}


def _train(scenes: Scenes, params: SegmentationParams) -> Row:
    """Train a network and score its segments of the test tiles."""
    from iic.segmentation.predict import segment_tiles
    from iic.segmentation.train import train_segmentation

    start = time.perf_counter()
    tiles = scenes.train_tiles, scenes.train_valid, scenes.test_tiles
    network = train_segmentation(*tiles, params).network
    seconds = time.perf_counter() - start
    found = segment_tiles(network, params.model.poolings, scenes.test_tiles)
    over = pixel_table(
        scenes.test_masks, found.overcluster, len(scenes.names), params.model.overclusters
    )
    return _scores(scenes, found.cluster, params.model.clusters) | {
        "over_purity": purity(over),
        "seconds": seconds,
    }


def _scores(scenes: Scenes, found: np.ndarray, k: int) -> Row:
    table = pixel_table(scenes.test_masks, found, len(scenes.names), k)
    return {"pixel_acc": hungarian_accuracy(table), "mean_iou": mean_iou(table)}


def main(arguments: list[str]) -> None:
    """Measure the variants and seeds that are missing, or were measured with other settings."""
    parts = (*RECIPES, "study")
    if unknown := set(arguments) - set(parts):
        raise InputError(f"{', '.join(sorted(unknown))}: not a part (one of {', '.join(parts)})")
    results: dict[str, Any] = {"machine": machine(), "runs": {}} | read_results()
    for part in arguments or parts:
        for seed in SEEDS:
            _measure_seed(part, seed, results)


def _measure_seed(part: str, seed: int, results: dict[str, Any]) -> None:
    scenes: Scenes | None = None
    for name, base, measure in _variants(part):
        params = base.model_copy(update={"seed": seed})
        rows = results["runs"].setdefault(part, {}).setdefault(name, {})
        settings = _settings(params, name)
        if rows.get(str(seed), {}).get("settings") == settings:
            continue
        scenes = scenes or load_scenes(params.data, seed)
        row = {key: round(value, 4) for key, value in measure(scenes, params).items()}
        rows[str(seed)] = {**row, "commit": current_commit(), "settings": settings}
        sys.stderr.write(f"{part}, {name}, seed {seed}: {row}\n")
        write_text(RESULTS, json.dumps(results, indent=2) + "\n")


def _settings(params: SegmentationParams, name: str) -> Mapping[str, object]:
    """Return the settings that decide a row; a peer has only those of the data and k."""
    tree = params.model_dump(exclude={"seed"})
    if not params.model.grouped:
        # They decide nothing then, and older rows lack them.
        del tree["model"]["grouped"], tree["loss"]["grouping_alpha"]
    is_iic = name == "iic" or " " in name
    return tree if is_iic else {"data": tree["data"], "clusters": params.model.clusters}


if __name__ == "__main__":
    run_main(main)
