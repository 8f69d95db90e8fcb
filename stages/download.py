"""Stage 1: fetch and verify the images and labels, and store them in separate files."""

from pathlib import Path

import numpy as np

from iic.core.appearance import write_appearance
from iic.core.files import write_arrays
from iic.core.params import DataParams, Params
from iic.data.custom import custom_dataset
from iic.data.datasets import COLLECTIONS, Dataset, digits_dataset
from iic.data.download import fetch, origins_of
from iic.data.images import Reading
from iic.pipeline.paths import APPEARANCE, IMAGES, LABELS
from iic.pipeline.stage import run


def main(params: Params) -> None:
    """Store images and labels in two files, so that training depends on the images alone.

    Class names and paths of images reveal labels, so they are stored with the labels. A third file
    says how custom images looked, so that `iic predict` treats new images in the same way.
    """
    dataset = _load(params.data)
    write_arrays(IMAGES, {"train_images": dataset.train_images, "test_images": dataset.test_images})
    write_arrays(
        LABELS,
        {
            "train_labels": dataset.train_labels,
            "test_labels": dataset.test_labels,
            "names": np.array(dataset.names, np.str_),
            "train_paths": np.array(dataset.train_paths, np.str_),
            "test_paths": np.array(dataset.test_paths, np.str_),
        },
    )
    write_appearance(dataset.appearance, APPEARANCE)


def _load(data: DataParams) -> Dataset:
    if data.name == "digits":
        return digits_dataset()
    if data.name == "custom":
        reading = Reading(data.size, data.color, data.ink, data.broken, data.input_shape)
        return custom_dataset(Path(data.path), reading, data.test_share, data.max_images)
    collection = COLLECTIONS[data.name]
    return fetch(
        collection, origins_of(collection, Path(data.local_dir) if data.local_dir else None)
    )


if __name__ == "__main__":
    run(main)
