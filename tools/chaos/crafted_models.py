"""Models, their cards, and names of files, crafted to do harm."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from iic.model.store import count_parameters
from tools.chaos.valid_files import MODEL, idx, model, npz, pictures, pixels

Content = bytes | Callable[[Path], object]
_Files = Mapping[str, Content]
_CONFIG, _WEIGHTS, _CARD = "model/model.json", "model/model.weights.h5", "model-card.json"
_PLACE, _SHAPE = "layers/conv2d/vars/0", (3, 3, 1, 4)
NAMES = (
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "'=1+1", "=cmd|' /C calc'!A1", "\t=1", "\r=1",
    "<script>alert(1)<", "<img src=x onerror=alert(1)>", '"><b>', "&lt;b&gt;", "<!--<script>",
    "{{ 7 * 7 }}", "{% raw %}", "${7*7}", "$\\frac{1}{0}$", "%s%n", "`id`", "$(id)", "; id", "| id",
    "a\nb", "a\rb", "\x1b[2J", "\x9b2J", "\x1b]0;title\x07", "a\x00b", "\x7f", "caf\udce9",
    "..", "...", " ", "a" * 200, "\u202egnp.exe", "é" * 80, "CON", "-rf", "--help", "~", "*",
)  # fmt: skip


def _link(target: str) -> Content:
    return lambda path: path.symlink_to(target)


def _config(values: Mapping[str, object]) -> _Files:
    return {_CONFIG: json.dumps({**MODEL.model_dump(), **values}).encode()}


def _weights(change: Callable[[h5py.File], object]) -> _Files:
    """Valid weights with a change."""

    def write(path: Path) -> None:
        path.write_bytes(model()[_WEIGHTS])
        with h5py.File(path, "r+") as file:
            # Otherwise the change would change nothing.
            assert _PLACE in file, list(file["layers"])  # noqa: S101
            change(file)

    return {_WEIGHTS: write}


def _put(file: h5py.File, *arguments: object, **options: object) -> None:
    """Create another dataset in the place of the first array."""
    del file[_PLACE]
    file.create_dataset(_PLACE, *arguments, **options)


def _replace(file: h5py.File, content: object) -> None:
    del file[_PLACE]
    file[_PLACE] = content


def _external_link(file: h5py.File) -> None:
    # To a valid array, in the same file.
    _replace(file, h5py.ExternalLink(file.filename, "/layers/conv2d/vars/1"))


def _external_link_and_more(file: h5py.File) -> None:
    file["more"] = np.zeros(_SHAPE, "f4")
    _external_link(file)


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(_SHAPE, "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", _SHAPE)
    del file[_PLACE]
    file.create_virtual_dataset(_PLACE, layout)


def _only(file: h5py.File, numbers: int) -> None:
    """Replace all arrays by one that was never written to and takes no room."""
    file.clear()
    file.create_dataset("numbers", (numbers,), "f4")


def _many_names(file: h5py.File) -> None:
    numbers = file.create_dataset("numbers", data=np.zeros(1000, "f4"))
    for number in range(1000):
        file[f"again/{number}"] = numbers


def _json_files() -> dict[str, Content]:
    """Contents that are no valid JSON object, or none that fits, for a JSON file."""
    return {
        "of 100 MB": b" " * 100_000_000 + b"{}", "nested deep": b'{"widths": ' + b"[" * 1_000_000,
        "with a number of a million digits": b'{"widths": [' + b"9" * 1_000_000 + b"]}",
        "with NaN": b'{"widths": [NaN], "acc": NaN}', "that is a list": b"[1]",
        "that steers a terminal": b'{"bytes": "\\u001b[2J", "\\u001b[2J": 1.0}',
        "not UTF-8": b"\xff\xfe{}", "empty": b"", "a folder": Path.mkdir, "a pipe": os.mkfifo,
        "linked to endless zeros": _link("/dev/zero"), "linked to a secret": _link("/etc/passwd"),
    }  # fmt: skip


def models() -> dict[str, _Files]:
    """Return files that replace those of a valid model, by name."""
    wide = [4096] * 8
    huge = count_parameters(MODEL.model_copy(update={"widths": wide, "head_widths": wide}))
    configs: Sequence[dict[str, object]] = (
        {"widths": wide, "head_widths": wide}, {"widths": [1 << 60]}, {"widths": [1] * 100_000},
        {"clusters": 10_000, "overclusters": 10_000}, {"\x1b[2J\n": 1},
        {"class_name": "Lambda", "config": "__import__('os')"},
        {"module": "keras", "class_name": "Functional"},
    )  # fmt: skip
    changes: Mapping[str, Callable[[h5py.File], object]] = {
        "external link": _external_link,
        "external link beside enough numbers": _external_link_and_more,
        "soft link": lambda file: _replace(file, h5py.SoftLink("/layers/conv2d/vars/1")),
        "soft link to itself": lambda file: _replace(file, h5py.SoftLink(_PLACE)),
        "external storage": lambda file: _put(
            file, _SHAPE, "f4", external=[("/etc/passwd", 0, 144)]),
        "virtual": _virtual,
        "an array under a thousand names": _many_names,
        "shape of terabytes": lambda file: _put(
            file, (1 << 20, 1 << 20, 1, 4), "f4", chunks=(1 << 10, 1 << 10, 1, 4)),
        "packed bomb": lambda file: _put(
            file, data=np.zeros((250, 1_000_000), "u1"), chunks=(1, 1_000_000), compression="gzip"),
        "of objects": lambda file: _put(file, (100,), h5py.string_dtype()),
        "text": lambda file: _replace(file, np.array(b"abc" * 100)),
        "references": lambda file: _put(
            file, data=np.array([file.ref] * 9, h5py.ref_dtype), dtype=h5py.ref_dtype),
        "group for an array": lambda file: (file.pop(_PLACE), file.create_group(_PLACE)),
        "other shape": lambda file: _replace(file, np.zeros((3, 3, 1, 5), "f4")),
        "not a number": lambda file: _replace(file, np.full(_SHAPE, np.nan, "f4")),
        "named bfloat16": lambda file: file[_PLACE].attrs.update(dtype="bfloat16"),
    }  # fmt: skip
    contents: Mapping[str, Content] = {
        "a pickle": b"\x80\x04\x95cposix\nsystem\n(S'id'\ntR.", "nothing": b"", "a pipe": os.mkfifo,
        "linked to endless zeros": _link("/dev/zero"), "linked to a secret": _link("/etc/passwd"),
    }  # fmt: skip
    unstored = _weights(partial(_only, numbers=huge))
    return {
        **{f"model: settings {name}": {_CONFIG: new} for name, new in _json_files().items()},
        **{f"model: {str(values)[:60]!a}": _config(values) for values in configs},
        **{f"weights: {name}": _weights(change) for name, change in changes.items()},
        **{f"weights: {name}": {_WEIGHTS: content} for name, content in contents.items()},
        "weights: as many as a huge network has, none of them stored": {
            **_config(configs[0]), **unstored},
    }  # fmt: skip


def cards() -> dict[str, _Files]:
    """Return files that replace those of a valid model and its card, by name."""
    whole = json.loads(bytes(model()[_CARD]))
    values: Sequence[dict[str, object]] = (
        {"recipe": "\x1b[2J"}, {"data": "a\nb"}, {"labels": ["\x9b2J", "b", "c"]},
        {"metrics": {"\x1b[2J": 1.0}}, {"more\n\x1b[2J": 1}, {"labels": ["=1+1", "@a", "+a"]},
        {"labels": ["<script>", "</script>", "&amp;"]}, {"labels": ["a" * 10_000_000, "b", "c"]},
        {"weights_sha256": "0" * 64}, {"clusters": [0, 1, 7]}, {"clusters": [0, 1, -1]},
        {"clusters": [0]}, {"metrics": {"acc": float("nan")}},
    )  # fmt: skip
    twice = json.dumps(whole)[:-1].encode() + b', "recipe": "x"}'

    def nothing(_: Path) -> None:
        pass

    return {
        **{f"card: {str(new)[:60]!a}": {_CARD: json.dumps(whole | new).encode()} for new in values},
        "card: key twice": {_CARD: twice},
        **{f"card: {name}": {_CARD: content} for name, content in _json_files().items()},
        **{f"metrics without a card: {name}": {_CARD: nothing, "metrics.json": content}
           for name, content in _json_files().items()},
    }  # fmt: skip


def names() -> dict[str, _Files]:
    """Return images in folders and files with every name that a file system takes, by a title."""
    good = pictures()["grey.png"]
    whole = {"train/x/a.png": good, "test/x/b.png": good}
    found: dict[str, _Files] = {}
    for name in NAMES:
        if not {"/", "\0"} & {*name} and name != "..":
            found |= {f"{what} named {name!a}": files for what, files in (
                ("folder", {f"{name}/a.png": good, "other/b.png": good}),
                ("file", {f"x/{name}.png": good, "y/b.png": good}),
                ("IDX file", {name: idx(pixels())}),
                ("NPZ file", {f"{name}.npz": npz(images=pixels())}),
                ("kind of file", {"x.png": good, "y.png": good, f"z.{name}": b""}),
                ("folder beside train and test", {**whole, f"{name}/a.png": good}),
                ("folder without images", {**whole, f"train/{name}/a.txt": b""}),
            )}  # fmt: skip
    return found
