"""Information about a trained model, its data and the machine, without TensorFlow."""

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from iic.core.errors import InputError
from iic.core.machine import usable_cores
from iic.data.arrays import npz_headers
from iic.evaluation.card import CARD_REMEDY, ModelCard, card_path, check_images, read_metrics
from iic.model.store import (
    DAMAGED_REMEDY,
    MISSING_REMEDY,
    count_parameters,
    hash_of_weights,
    read_model_params,
)

Facts = dict[str, Any]
_T = TypeVar("_T")

_PACKAGES = {
    "iic": "iic",
    "TensorFlow": "tensorflow",
    "Keras": "keras",
    "NumPy": "numpy",
    "DVC": "dvc",
}
_EXTRAS = {
    "ONNX": "onnx",
    "tf2onnx": "tf2onnx",
    "ONNX Runtime": "onnxruntime",
    "LiteRT": "ai-edge-litert",
    "Ray": "ray",
}


def describe(model: Path, images: Path, metrics: Path) -> Facts:
    """Describe a trained model and the files and packages around it.

    Args:
        model: Folder of the model; the model card lies beside it.
        images: Path of the arrays of images that the stage `download` writes.
        metrics: Path of the metrics, which are read if there is no card.

    Returns:
        Values by part ("versions", "machine", "data", "model", "training", "metrics" and
        "clusters"). An unavailable part is None, and a line of the part "missing" says why;
        "clusters" is None without labels, too.

    Raises:
        InputError: The images are not those that the model was trained on.
    """
    # A dictionary keeps the order and drops repeated lines.
    missing: dict[str, None] = {}

    def part(read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except InputError as error:
            missing[str(error)] = None
            return None

    card = part(lambda: _card(model))
    counts = part(lambda: count_images(images))
    if counts:
        check_images(card, model, images)
    return {
        "versions": versions(),
        "machine": _machine(),
        "data": _data(card, counts),
        "model": part(lambda: _model(model)),
        "training": card and {"recipe": card.recipe, "seed": card.seed},
        "metrics": card.metrics if card else part(lambda: read_metrics(metrics)),
        "clusters": card.cluster_names() if card and card.labels else None,
        "missing": list(missing),
    }


def versions() -> dict[str, str | None]:
    """Versions of Python and of the main packages; None for a package that is not installed.

    Optional packages are only listed if they are installed.
    """
    optional = {name: _version(package) for name, package in _EXTRAS.items()}
    return {
        "Python": platform.python_version(),
        **{name: _version(package) for name, package in _PACKAGES.items()},
        **{name: found for name, found in optional.items() if found},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine() -> Facts:
    system = f"{platform.system()} {platform.machine()}"
    return {"system": system, "processors": usable_cores()}


def _card(model: Path) -> ModelCard:
    card = ModelCard.of(model)
    if card is None:
        raise InputError(
            f"{card_path(model)}: not found, so recipe, seed and names of clusters are unknown; "
            + CARD_REMEDY
        )
    return card


def _data(card: ModelCard | None, images: dict[str, int] | None) -> Facts | None:
    known = {"name": card.data, "labels": card.labels} if card else {}
    counted = {f"{split}_images": count for split, count in (images or {}).items()}
    return known | counted or None


def count_images(path: Path) -> dict[str, int]:
    """Count the images of each split in an NPZ file, from the headers of its arrays.

    Args:
        path: Path of the NPZ file.

    Returns:
        Number of images by split, "train" and "test".

    Raises:
        InputError: The file is missing or damaged.
    """
    if not path.exists():
        raise InputError(f"{path}: not found; {MISSING_REMEDY}")
    try:
        headers = npz_headers(path)
        return {split: headers[f"{split}_images"].shape[0] for split in ("train", "test")}
    except (InputError, LookupError) as error:
        raise InputError(f"{path}: contains no images; {DAMAGED_REMEDY}") from error


def _model(folder: Path) -> Facts:
    params = read_model_params(folder)
    return {
        "folder": str(folder),
        "widths": params.widths,
        "head_widths": params.head_widths,
        "clusters": params.clusters,
        "overclusters": params.overclusters,
        "input": list(params.input_shape),
        "parameters": count_parameters(params),
        "precision": params.precision,
        "bytes": sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
        "weights_sha256": hash_of_weights(folder),
    }
