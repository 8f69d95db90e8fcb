"""The command `iic explore`: read the files, run the network and write the page.

`iic.serving.explore_page` renders the page.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iic.core.errors import InputError
from iic.core.files import REMOVE_REMEDY, read_arrays, write_text
from iic.core.sampling import evenly
from iic.evaluation.card import ModelCard, check_images
from iic.model.network import embed
from iic.model.store import load_network
from iic.pipeline.paths import IMAGES, LABELS
from iic.serving.explore_page import ExplorerData, project, render_explorer


@dataclass(frozen=True)
class _Labels:
    """Labels, names of the classes and image files of one split; None if the data have none."""

    labels: np.ndarray | None
    names: list[str]
    paths: list[str] | None


def write_page(model: Path, split: str, limit: int, out: Path) -> None:
    """Write the explorer of a model, with the images and labels of the workspace.

    Args:
        model: Folder of the network; the model card beside it is optional.
        split: "train" or "test".
        limit: Largest number of images; of a larger split, an even sample is shown.
        out: Path of the HTML file to write.

    Raises:
        InputError: A file is missing or damaged, or does not belong to the other files.
    """
    network, card = load_network(model), ModelCard.of(model)
    check_images(card, model, IMAGES)
    images = read_arrays(IMAGES, [f"{split}_images"])[f"{split}_images"]
    if not len(images):
        raise InputError(f"{IMAGES}: contains no {split} images; choose the other --split")
    labels = _read_labels(split, len(images))
    index = evenly(len(images), limit)
    _report_progress(
        f"running {len(index):,} of {len(images):,} {split} images through the network"
    )
    features, soft = embed(network, images[index])
    _report_progress("computing the map; 10,000 images take about half a minute")
    data = ExplorerData(
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
    write_text(out, render_explorer(data))


def _read_labels(split: str, n: int) -> _Labels:
    """Read labels, names and paths of n images; all of them are optional."""
    if not LABELS.exists():
        return _Labels(None, [], None)
    keys = [f"{split}_labels", f"{split}_paths"]
    arrays = read_arrays(LABELS, [*keys, "names"])
    labels, paths = (arrays[key] for key in keys)
    for key in keys:
        if len(arrays[key]) not in (0, n):
            raise InputError(
                f"{LABELS}: {len(arrays[key])} {key} for {n} images in {IMAGES}; {REMOVE_REMEDY}"
            )
    names = [str(name) for name in arrays["names"]]
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
        raise InputError(f"{LABELS}: {split}_labels has a label without a name; {REMOVE_REMEDY}")
    return _Labels(
        labels if len(labels) else None,
        names,
        [str(path) for path in paths] if len(paths) else None,
    )


def _report_progress(line: str) -> None:
    """Write a line to the terminal; nothing if the output goes to a pipe or a file."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{line}\n")
