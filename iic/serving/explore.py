"""The page to look inside the clusters of a trained model: `iic explore`."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iic.core.errors import InputError
from iic.core.files import read_arrays, write_text
from iic.evaluation.card import card_of
from iic.model.network import embed
from iic.model.store import load_network
from iic.pipeline.paths import IMAGES, LABELS
from iic.serving.explore_page import Explored, project, render_explorer

_AGAIN = "delete it and run `dvc repro`"


@dataclass(frozen=True)
class _Labels:
    """Labels and files of one split; None for what the data have not."""

    labels: np.ndarray | None
    names: list[str]
    paths: list[str] | None


def write_page(model: Path, split: str, limit: int, out: Path) -> None:
    """Write the page of a model and of the images and labels in the workspace.

    Args:
        model: folder of the network; its card lies beside it, or there is none.
        split: "train" or "test".
        limit: of more images an even sample is shown.
        out: file of the page.

    Raises:
        InputError: a file is missing, damaged, or of other data or of another model than the rest.
    """
    network, card = load_network(model), card_of(model)
    images = read_arrays(IMAGES, [f"{split}_images"])[f"{split}_images"]
    if not len(images):
        raise InputError(f"{IMAGES}: holds no {split} images; choose the other --split")
    labels = _read_labels(split, len(images))
    index = np.linspace(0, len(images) - 1, min(limit, len(images))).round().astype(int)
    _say(f"{len(index):,} of {len(images):,} {split} images through the network")
    features, soft = embed(network, images[index])
    _say("drawing the map; 10,000 images take about half a minute")
    shown = Explored(
        images=images[index],
        split=split,
        total=len(images),
        index=index,
        features=features,
        points=project(features),
        cluster=soft.cluster,
        overcluster=soft.overcluster,
        labels=None if labels.labels is None else labels.labels[index],
        names=labels.names,
        cluster_names=card.cluster_names() if card else [],
        overcluster_names=card.overcluster_names() if card else [],
        paths=None if labels.paths is None else [labels.paths[i] for i in index],
        settings=f"{card.data}, recipe {card.recipe}, seed {card.seed}" if card else "",
    )
    write_text(out, render_explorer(shown))


def _read_labels(split: str, n: int) -> _Labels:
    """Labels, their names and the images' files, of n images; all are optional."""
    if not LABELS.exists():
        return _Labels(None, [], None)
    keys = [f"{split}_labels", f"{split}_paths"]
    arrays = read_arrays(LABELS, [*keys, "names"])
    labels, paths = (arrays[key] for key in keys)
    for key in keys:
        if len(arrays[key]) not in (0, n):
            raise InputError(
                f"{LABELS}: {len(arrays[key])} {key} of {n} images in {IMAGES}; {_AGAIN}"
            )
    names = [str(name) for name in arrays["names"]]
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
        raise InputError(f"{LABELS}: {split}_labels has a label without a name; {_AGAIN}")
    return _Labels(
        labels if len(labels) else None,
        names,
        [str(path) for path in paths] if len(paths) else None,
    )


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
