"""Images from folders and files as an array for the estimator."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from iic.core.appearance import Appearance
from iic.core.params import DataParams, Fitting, Ink
from iic.data.found import find_parts
from iic.data.images import Reading
from iic.estimator.images import convert
from iic.estimator.settings import in_arguments, make_data_params, value_errors


class LoadedImages(NamedTuple):
    """Images that `load_images` has read. `IIC` takes them as they are.

    Attributes:
        images: Images, uint8: (n, h, w), light ink on dark paper, or (n, h, w, 3) in colour.
        paths: Path of each image (n,), or its position in an array.
        appearance: How the images looked before the conversion.
    """

    images: np.ndarray
    paths: list[str]
    appearance: Appearance


def load_images(
    path: str | os.PathLike[str],
    *,
    image_size: int = 28,
    channels: Literal[1, 3] = 1,
    size: Fitting = "fit",
    color: Literal["grey", "refuse"] = "grey",
    ink: Ink = "auto",
    broken: Literal["refuse", "skip"] = "refuse",
    max_images: int = 1_000_000,
    appearance: Appearance | None = None,
) -> LoadedImages:
    """Read a folder or file of images into an array, as the pipeline and `iic predict` do.

    Names of subfolders are not read as labels, but they are part of the paths.

    Args:
        path: Folder of images, image file, or file in NPZ, NPY, IDX, CSV or Parquet format.
        image_size: Height and width of the result, in pixels.
        channels: 1 for grey images, 3 for colours.
        size: How images of other sizes are made to fit: "fit", "stretch", "crop" or "refuse".
        color: "grey" to convert colours to grey, "refuse" to stop at them.
        ink: Brightness of the ink, "light" or "dark"; "auto" finds it by the borders.
        broken: "refuse" to stop at files that cannot be read, "skip" to leave them out.
        max_images: Largest number of images; more are refused.
        appearance: That of the training images, if these are new images for the same model.

    Returns:
        The images with their paths and their appearance.

    Raises:
        ValueError: The path or an argument cannot be used; one line says why.
    """
    given: dict[str, object] = {
        "image_size": image_size,
        "channels": channels,
        "size": size,
        "color": color,
        "ink": ink,
        "broken": broken,
        "max_images": max_images,
    }
    with _own_names():
        data = make_data_params(given)
        reading = Reading(data.size, data.color, data.ink, data.broken, data.input_shape)
        skips = data.broken == "skip"
        parts = find_parts(Path(path), data.max_images, names="nothing", skip_broken=skips)
        sources = [part.source for part in parts.values()]
        read = convert(sources, reading, Path(path), appearance)
    for note in read.notes:
        warnings.warn(_renamed(note), UserWarning, stacklevel=2)
    return LoadedImages(read.images, read.names, read.appearance)


@contextmanager
def _own_names() -> Iterator[None]:
    """Raise mistakes of the user in the block as ValueErrors with the names of arguments."""
    try:
        with value_errors():
            yield
    except ValueError as error:
        raise ValueError(_renamed(str(error))) from error


def _renamed(message: str) -> str:
    """Replace the keys of params.yaml in a message by arguments: data.broken -> broken."""
    message = in_arguments(message)
    for prefix in ("data__", "data."):
        for name in DataParams.model_fields:
            message = message.replace(prefix + name, name)
    return message
