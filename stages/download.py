"""Stage 1: fetch and verify the images and labels, and store them as separate files."""

from pathlib import Path

from iic.datasets import COLLECTIONS, Dataset, digits_dataset
from iic.download import fetch, sources_of
from iic.files import write_arrays
from iic.params import DataParams, Params
from stages.common import IMAGES, LABELS, run


def main(params: Params) -> None:
    """Images and labels go to two files, so that training can depend on the images alone."""
    dataset = _load(params.data)
    write_arrays(IMAGES, {"train_images": dataset.train_images, "test_images": dataset.test_images})
    write_arrays(LABELS, {"train_labels": dataset.train_labels, "test_labels": dataset.test_labels})


def _load(data: DataParams) -> Dataset:
    if data.name == "digits":
        return digits_dataset()
    collection = COLLECTIONS[data.name]
    return fetch(
        collection, sources_of(collection, Path(data.local_dir) if data.local_dir else None)
    )


if __name__ == "__main__":
    run(main)
