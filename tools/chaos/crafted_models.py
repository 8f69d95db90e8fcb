"""Models, their cards, and names, made to do harm."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np

from iic.model.store import count_parameters
from tools.chaos.valid_files import MODEL, idx, model, npz, pictures, pixels

Content = bytes | Callable[[Path], None]
_CONFIG, _WEIGHTS, _CARD = "model/model.json", "model/model.weights.h5", "model-card.json"
_PLACE = "layers/conv2d/vars/0"
NAMES = (
    *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "'=1+1", "=cmd|' /C calc'!A1", "\t=1", "\r=1"),
    *("<script>alert(1)<", "<img src=x onerror=alert(1)>", '"><b>', "&lt;b&gt;", "<!--<script>"),
    *(
        "{{ 7 * 7 }}",
        "{% raw %}",
        "${7*7}",
        "$\\frac{1}{0}$",
        "%s%n",
        "`id`",
        "$(id)",
        "; id",
        "| id",
    ),
    *("a\nb", "a\rb", "\x1b[2J", "\x9b2J", "\x1b]0;title\x07", "a\x00b", "\x7f", "caf\udce9"),
    *("..", "...", " ", "a" * 200, "\u202egnp.exe", "é" * 80, "CON", "-rf", "--help", "~", "*"),
)


def models() -> dict[str, Mapping[str, Content]]:
    """What is other than in a model that is as it should be, by name."""

    def config(**values: object) -> Mapping[str, Content]:
        return {_CONFIG: json.dumps(MODEL.model_dump() | values).encode()}

    def weights(change: Callable[[h5py.File], None]) -> Mapping[str, Content]:
        return {_WEIGHTS: lambda path: _changed(path, change)}

    wide = [4096] * 8
    huge = MODEL.model_copy(update={"widths": wide, "head_widths": wide})
    return {
        "model: layers as wide as can be": config(widths=wide, head_widths=wide),
        "model: wider than can be": config(widths=[1 << 60]),
        "model: a hundred thousand layers": config(widths=[1] * 100_000),
        "model: many clusters": config(clusters=10_000, overclusters=10_000),
        "model: a number of a million digits": {
            _CONFIG: b'{"widths": [' + b"9" * 1_000_000 + b"]}"
        },
        "model: JSON nested deep": {_CONFIG: b'{"widths": ' + b"[" * 1_000_000},
        "model: keys that are code": config(class_name="Lambda", config="__import__('os')"),
        "model: keys that steer a terminal": config(**{"\x1b[2J\n": 1}),
        "model: JSON of 100 MB": {_CONFIG: b" " * 100_000_000 + b"{}"},
        "model: NaN": {_CONFIG: b'{"widths": [NaN]}'},
        "model: Keras's own archive": {_CONFIG: b'{"module": "keras", "class_name": "Functional"}'},
        "model: folder for a file": {_CONFIG: lambda path: path.mkdir()},
        "model: pipe for its settings": {_CONFIG: _pipe},
        "model: pipe for its weights": {_WEIGHTS: _pipe},
        "model: link to endless zeros": {_CONFIG: _link("/dev/zero")},
        "model: weights linked to endless zeros": {_WEIGHTS: _link("/dev/zero")},
        "model: weights linked to a secret": {_WEIGHTS: _link("/etc/passwd")},
        "weights: external link": weights(lambda file: _replace(file, _external_link(file))),
        "weights: external link beside enough numbers": weights(_external_link_and_more),
        "weights: as many as a huge network has, none of them stored": {
            **config(widths=wide, head_widths=wide),
            **weights(lambda file: _claims(file, count_parameters(huge))),
        },
        "weights: soft link": weights(lambda file: _replace(file, _soft_link())),
        "weights: soft link to itself": weights(lambda file: _replace(file, _soft_link(_PLACE))),
        "weights: external storage": weights(_external_storage),
        "weights: virtual": weights(_virtual),
        "weights: an array under a thousand names": weights(_many_names),
        "weights: shape of terabytes": weights(_claims_terabytes),
        "weights: packed bomb": weights(_packed_bomb),
        "weights: of objects": weights(_objects),
        "weights: text": weights(lambda file: _replace(file, np.array(b"abc" * 100))),
        "weights: references": weights(_references),
        "weights: group for an array": weights(_group),
        "weights: other shape": weights(lambda file: _replace(file, np.zeros((3, 3, 1, 5), "f4"))),
        "weights: not a number": weights(
            lambda file: _replace(file, np.full((3, 3, 1, 4), np.nan, "f4"))
        ),
        "weights: named bfloat16": weights(_named_bfloat16),
        "weights: a pickle": {_WEIGHTS: b"\x80\x04\x95cposix\nsystem\n(S'id'\ntR."},
        "weights: nothing": {_WEIGHTS: b""},
    }


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def _changed(path: Path, change: Callable[[h5py.File], None]) -> None:
    path.write_bytes(model()[_WEIGHTS])
    with h5py.File(path, "r+") as file:
        assert _PLACE in file, list(file["layers"])  # noqa: S101 - or nothing would be tried
        change(file)


def _replace(file: h5py.File, content: object) -> None:
    del file[_PLACE]
    file[_PLACE] = content


def _external_link(file: h5py.File) -> object:
    # To itself, where the array is as it should be.
    return h5py.ExternalLink(file.filename, "/layers/conv2d/vars/1")


def _external_link_and_more(file: h5py.File) -> None:
    file["more"] = np.zeros(file[_PLACE].shape, "f4")
    _replace(file, _external_link(file))


def _claims(file: h5py.File, numbers: int) -> None:
    """Instead of all arrays one that takes no room, since nothing was ever written to it."""
    file.clear()
    file.create_dataset("numbers", (numbers,), "f4")


def _many_names(file: h5py.File) -> None:
    """One array that counts a thousand times."""
    numbers = file.create_dataset("numbers", data=np.zeros(1000, "f4"))
    for number in range(1000):
        file[f"again/{number}"] = numbers


def _soft_link(target: str = "/layers/conv2d/vars/1") -> object:
    return h5py.SoftLink(target)


def _external_storage(file: h5py.File) -> None:
    del file[_PLACE]
    file.create_dataset(_PLACE, (3, 3, 1, 4), "f4", external=[("/etc/passwd", 0, 144)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3, 3, 1, 4), "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", (3, 3, 1, 4))
    del file[_PLACE]
    file.create_virtual_dataset(_PLACE, layout)


def _claims_terabytes(file: h5py.File) -> None:
    del file[_PLACE]
    file.create_dataset(_PLACE, (1 << 20, 1 << 20, 1, 4), "f4", chunks=(1 << 10, 1 << 10, 1, 4))


def _packed_bomb(file: h5py.File) -> None:
    del file[_PLACE]
    shape = (250, 1_000_000)
    file.create_dataset(
        _PLACE, shape, "u1", chunks=(1, 1_000_000), compression="gzip", data=np.zeros(shape, "u1")
    )


def _objects(file: h5py.File) -> None:
    del file[_PLACE]
    file.create_dataset(_PLACE, (100,), h5py.string_dtype())


def _references(file: h5py.File) -> None:
    del file[_PLACE]
    file.create_dataset(_PLACE, data=np.array([file.ref] * 9, h5py.ref_dtype), dtype=h5py.ref_dtype)


def _group(file: h5py.File) -> None:
    del file[_PLACE]
    file.create_group(_PLACE)


def _named_bfloat16(file: h5py.File) -> None:
    file[_PLACE].attrs["dtype"] = "bfloat16"


def cards() -> dict[str, Mapping[str, Content]]:
    """Likewise."""
    whole = json.loads(bytes(model()[_CARD]))

    def card(**values: object) -> Mapping[str, Content]:
        return {_CARD: json.dumps(whole | values).encode()}

    return {
        **{
            f"card: {key} that steers a terminal": card(**{key: value})
            for key, value in {
                "recipe": "\x1b[2J",
                "data": "a\nb",
                "labels": ["\x9b2J", "b", "c"],
                "metrics": {"\x1b[2J": 1.0},
                "more\n\x1b[2J": 1,
            }.items()
        },
        **{
            f"metrics without a card: {name}": {_CARD: lambda _: None, "metrics.json": content}
            for name, content in {
                "that steer a terminal": json.dumps({"\x1b[2J": 1.0}).encode(),
                "that are text": b'{"bytes": "\\u001b[2J"}',
                "that are a list": b"[1]",
                "of 100 MB": b" " * 100_000_000 + b"{}",
                "of a million digits": b'{"acc": ' + b"9" * 1_000_000 + b"}",
            }.items()
        },
        "card: labels that are formulas": card(labels=["=1+1", "@a", "+a"]),
        "card: labels that are markup": card(labels=["<script>", "</script>", "&amp;"]),
        "card: label of 10 MB": card(labels=["a" * 10_000_000, "b", "c"]),
        "card: of other weights": card(weights_sha256="0" * 64),
        "card: labels that it lacks": card(clusters=[0, 1, 7]),
        "card: negative labels": card(clusters=[0, 1, -1]),
        "card: fewer clusters than the network": card(clusters=[0]),
        "card: numbers that are none": {
            _CARD: json.dumps(whole | {"metrics": {"acc": float("nan")}}).encode()
        },
        "card: number of a million digits": {_CARD: b'{"seed": ' + b"9" * 1_000_000 + b"}"},
        "card: nested deep": {_CARD: b"[" * 1_000_000},
        "card: key twice": {_CARD: json.dumps(whole)[:-1].encode() + b', "recipe": "x"}'},
        "card: not UTF-8": {_CARD: b"\xff\xfe{}"},
        "card: nothing": {_CARD: b""},
        "card: folder": {_CARD: lambda path: path.mkdir()},
        "card: pipe": {_CARD: _pipe},
        "card: link to endless zeros": {_CARD: _link("/dev/zero")},
        "card: JSON of 100 MB": {_CARD: b" " * 100_000_000 + b"{}"},
    }


def names() -> dict[str, Mapping[str, Content]]:
    """Images in folders, and files, with each name that a file system takes."""
    good = pictures()["grey.png"]
    whole = {"train/x/a.png": good, "test/x/b.png": good}
    found: dict[str, Mapping[str, Content]] = {}
    for name in NAMES:
        if "/" in name or "\0" in name or name == "..":
            continue
        found[f"folder named {name!a}"] = {f"{name}/a.png": good, "other/b.png": good}
        found[f"file named {name!a}"] = {f"x/{name}.png": good, "y/b.png": good}
        found[f"IDX file named {name!a}"] = {name: idx(pixels())}
        found[f"NPZ file named {name!a}"] = {f"{name}.npz": npz(images=pixels())}
        found[f"other file of kind {name!a}"] = {"x.png": good, "y.png": good, f"z.{name}": b""}
        found[f"folder beside train and test named {name!a}"] = {**whole, f"{name}/a.png": good}
        found[f"folder without images named {name!a}"] = {**whole, f"train/{name}/a.txt": b""}
    return found
