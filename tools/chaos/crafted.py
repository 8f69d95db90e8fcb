"""Images, arrays, packages, models, cards and names of files crafted to do harm, by a title."""

import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from iic.model.store import SavedParams, count_parameters
from tools.chaos.valid_files import (
    MEMBER,
    MODEL,
    csv_of,
    idx,
    member,
    model,
    named,
    npz,
    pictures,
    pixels,
    png,
    tgz,
)

Content = bytes | Callable[[Path], object]
_Files = Mapping[str, Content]
_CONFIG, _WEIGHTS, _CARD = "model/model.json", "model/model.weights.h5", "model-card.json"
_PLACE, _OTHER, _SHAPE = "layers/conv2d/vars/0", "/layers/conv2d/vars/1", (3, 3, 1, 4)
NAMES = (
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "'=1+1", "\t=1", "\r=1",
    "<script>alert(1)<", "<img src=x onerror=alert(1)>", '"><b>', "&lt;b&gt;", "<!--<script>",
    "{{ 7 * 7 }}", "{% raw %}", "${7*7}", "$\\frac{1}{0}$", "%s%n", "`id`", "$(id)", "; id", "| id",
    "a\nb", "a\rb", "\x1b[2J", "\x9b2J", "\x1b]0;title\x07", "\x7f", "caf\udce9",
    "...", " ", "a" * 200, "\u202egnp.exe", "é" * 80, "CON", "-rf", "--help", "~", "*",
)  # fmt: skip
_HUGE, _ZEROS, _ROWS = 1 << 31, bytes(200_000_000), bytes(28 * 29)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def _png(*chunks: bytes, size: tuple[int, int] = (28, 28), rows: bytes = _ROWS) -> bytes:
    """A grey PNG file that claims a size and has any rows."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    body = [head, *chunks, _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _tags(tags: Sequence[tuple[int, int, int]], order: str = "<") -> bytes:
    """A TIFF directory: the number of a tag, how many values it has, and its value."""
    rows = (struct.pack(f"{order}HHII", tag, 4, count, value) for tag, count, value in tags)
    return struct.pack(f"{order}H", len(tags)) + b"".join(rows)


def _tiff(size: int = 28, place: int = 8, count: int = 1, more: int = 0) -> bytes:
    """A grey TIFF file of one strip; the next page is at byte `more`, -1 = behind this one."""
    start = 8 + 28 * 28
    sizes = [(tag, 1, value) for tag, value in ((258, 8), (259, 1), (262, 1))]
    tags = _tags([(256, 1, size), (257, 1, size), *sizes, (273, count, place), (278, 1, size),
                  (279, 1, 28 * 28)])  # fmt: skip
    after = struct.pack("<I", start + len(tags) + 4 if more == -1 else more)
    return b"II*\0" + struct.pack("<I", start) + bytes(28 * 28) + tags + after


def _many_pages(count: int) -> bytes:
    """Pages of the fewest tags that Pillow takes, each of which names the next one."""
    first, tags = _tiff(more=-1), _tags([(256, 1, 28), (257, 1, 28), (273, 1, 8)])
    places = (len(first) + (len(tags) + 4) * (page + 1) for page in range(count))
    return first + b"".join(tags + struct.pack("<I", place) for place in places)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


def images() -> dict[str, Content]:
    """Return image files; functions make what is not a plain file at a path."""
    packed = zlib.compress(_ZEROS, 9)
    small_bomb = _chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 20)))
    bmp, jpg, webp = (pictures()[name] for name in ("grey.bmp", "grey.jpg", "lossy.webp"))
    size = jpg.index(b"\xff\xc0") + 5
    # A directory of tags that is its own subdirectory.
    exif = b"MM\0*" + struct.pack(">I", 8) + _tags([(0x8769, 1, 8)], ">") + struct.pack(">I", 8)
    sizes = ((65535, 65535), (_HUGE - 1, 1), (0, 0), (5000, 5000))
    bombs = ((b"iCCP", b"x\0\0"), (b"zTXt", b"x\0\0"), (b"iTXt", b"x\0\1\0\0\0"))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    others = (b"GIF89a" + bytes(100), svg, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    return {
        **{f"a.png: {w} × {h} pixels": _png(size=(w, h), rows=_ROWS[: h * 29]) for w, h in sizes},
        "a.png: smaller than its content": _png(rows=_ZEROS),
        "a.png: as many pixels as are allowed": _png(size=(8000, 8000), rows=bytes(8000 * 8001)),
        **{f"a.png: {kind.decode()} bomb": _png(_chunk(kind, x + packed)) for kind, x in bombs},
        "a.png: many zTXt bombs": _png(*[small_bomb] * 300),
        "a.png: a chunk that claims 2 GB": _png(struct.pack(">I", _HUGE - 1) + b"tEXtabc"),
        "a.png: a negative chunk": _png(struct.pack(">I", _HUGE + 5) + b"tEXtabc"),
        "a.png: animated": _png(_chunk(b"acTL", struct.pack(">II", 100_000, 0))),
        "a.png: notes that point at themselves": _png(_chunk(b"eXIf", exif)),
        **{f"a.png: {content[:5]!a} inside": content for content in others},
        "a.bmp: 2 × 10⁹ rows": bmp[:22] + struct.pack("<i", _HUGE - 1) + bmp[26:],
        "a.bmp: the lowest number of rows": bmp[:22] + struct.pack("<i", -_HUGE) + bmp[26:],
        "a.jpg: 65,500 × 65,500 pixels": jpg[:size] + b"\xff\xdc\xff\xdc" + jpg[size + 4 :],
        "a.jpg: 8,000 × 8,000 pixels": jpg[:size] + b"\x1f\x40\x1f\x40" + jpg[size + 4 :],
        "a.webp: 16,383 × 16,383 pixels": webp[:26] + b"\xff\x3f\xff\x3f" + webp[30:],
        "a.tif: next page is the first": _tiff(more=8 + 28 * 28),
        "a.tif: 60,000 × 60,000 pixels": _tiff(60_000),
        "a.tif: strips beyond the end": _tiff(place=_HUGE),
        "a.tif: a tag of 2³² numbers": _tiff(count=(1 << 32) - 1),
        "a.tif: two hundred thousand pages": _many_pages(200_000),
        "a.png: a pipe": os.mkfifo,
        "a.png: link to endless zeros": _link("/dev/zero"),
        "a.png: link to itself": lambda path: path.symlink_to(path),
        "a.png: link to a secret": _link("/etc/passwd"),
        "a.png: a terabyte of nothing": _sparse,
    }  # fmt: skip


class _Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch /tmp/iic-unpickled",)


def _zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return content.getvalue()


def _header(shape: tuple[int, ...], descr: object = "|u1") -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


def _images(*parts: bytes) -> bytes:
    return _zip(("images.npy", b"".join(parts)))


def _patched(archive: bytes, place: int, new: bytes) -> bytes:
    """Replace bytes in the first entry of the central directory."""
    place += archive.rindex(b"PK\1\2")
    return archive[:place] + new + archive[place + len(new) :]


def npz_files() -> dict[str, bytes]:
    """Return NPZ files."""
    images, stored = pixels(), npz(images=pixels())
    whole = ("images.npy", _header((6, 28, 28)) + images.tobytes())
    evil = np.array([_Evil(), _Evil()], object)
    record = np.zeros(2, [("a", object), ("b", "u1")])
    record["a"] = evil
    nested: object = "|u1"
    for _ in range(300):
        nested = [("a", nested)]
    headers = (
        ((1,), "__import__('os').getpid()"), ((1,), nested), ((1000, 10**7, 10**7), "|u1"),
        ((1 << 62, 1 << 62), "|u1"), ((0, 1 << 40, 1 << 40), "|u1"), ((1000, 28, 28), "|V0"),
        ((6,), "|S1000000000"),
    )  # fmt: skip
    texts = ("\x1b[2J", "\x9b2J", "9" * 5000, "a" * 20_000, "=1+1", "</script><script>")
    characters = np.array([0x110000] * 6, np.uint32).view("<U1")
    arrays = {
        "pickled objects": evil, "pickled objects in records": record, "a scalar": np.array(1),
        "complex numbers": images.astype(complex), "long numbers": images.astype(np.longdouble),
    }  # fmt: skip
    labels = {
        **{f"{len(text)} × {text[:9]!a}": np.array([text] * 3 + ["@b"] * 3) for text in texts},
        "pickled objects": np.resize(evil, 6), "invalid characters": characters,
        "raw bytes": np.array(["a"] * 6, "S").astype("V"),
        "a gigabyte": np.resize(np.array(["a" * 4_000_000]), 6),
    }  # fmt: skip
    bomb = _images(_header((6, 28, 28)), _ZEROS)
    files = {
        **{f"images of {what}": npz(images=array) for what, array in arrays.items()},
        **{f"labels of {x}": npz(packed=True, images=images, labels=y) for x, y in labels.items()},
        **{f"shape {shape} of {str(d)[:30]}": _images(_header(shape, d)) for shape, d in headers},
        "negative shape": _images(_header((-1, 28, 28)), bytes(784)),
        "a pickle for an array": _images(evil.dumps()),
        "a pickle beside the arrays": _zip(("images.npy", stored), ("x.pkl", evil.dumps())),
        "header of 4 GB": _images(b"\x93NUMPY\2\0" + b"\xff" * 4 + b"{"),
        "header that never ends": _images(
            b"\x93NUMPY\2\0", struct.pack("<I", 1 << 27), b"(" * (1 << 27)),
        "version 9": _images(b"\x93NUMPY\x09\0\x01\0 "),
        "bomb": bomb,
        "bomb that claims to be a kilobyte": _patched(bomb, 24, struct.pack("<I", 1024)),
        "ten thousand arrays": _zip(*((f"a{n}.npy", b"") for n in range(10_000))),
        "names that climb": _zip(("../images.npy", stored), ("/etc/images.npy", stored)),
        "names that steer a terminal": _zip(("\x1b[2Ja\nb.npy", b"")),
        "name of megabytes": _zip(("a" * 60_000, b"")),
        "same array twice": _zip(whole, ("images.npy", b"no array")),
        "encrypted": _patched(stored[:6] + b"\1\0" + stored[8:], 8, b"\1\0"),
        "another compression": _zip(whole, method=zipfile.ZIP_LZMA),
    }  # fmt: skip
    return {f"a.npz: {name}": content for name, content in files.items()}


def idx_files() -> dict[str, bytes]:
    """Return IDX files."""

    def head(*shape: int) -> bytes:
        return struct.pack(f">I{len(shape)}I", 8 << 8 | len(shape), *shape)

    body, most, whole = pixels().tobytes(), (1 << 32) - 1, idx(pixels())
    shapes = ((most, 28, 28), (6, most, most), (7, 28, 28), (5, 28, 28), (1,) * 255, (1,) * 64, ())
    files = {
        **{f"{len(s)} sizes {s[:3]}": head(*s) + (body if len(s) == 3 else b"a") for s in shapes},
        **{f"shape {s} and no body": head(*s) for s in ((0, 28, 28), (6, 0, 0))},
        "cut off": head(6, 28, 28)[:6],
        "another type": struct.pack(">4I", 13 << 8 | 3, 6, 28, 28) + body,
        "bomb": gzip.compress(head(6, 28, 28) + _ZEROS),
        "bomb that claims to be smaller": gzip.compress(head(1000, 64, 256) + _ZEROS),
        "packed twice": gzip.compress(gzip.compress(whole)),
        "wrong checksum": gzip.compress(whole)[:-8] + bytes(8),
    }  # fmt: skip
    return {f"a: IDX, {name}": content for name, content in files.items()}


def npy_files() -> dict[str, bytes]:
    """Return NPY files."""
    evil = np.array([_Evil(), _Evil()], object)
    files = {
        "pickled objects": evil.dumps(), "an array of pickled objects": npy_of_objects(evil),
        "shape of petabytes": _header((1000, 10**7, 10**7)), "cut off": _header((6, 28, 28)) + b"a",
        "negative shape": _header((-1, 28, 28)) + bytes(784),
        "expression for a type": _header((6, 28, 28), "__import__('os').getpid()"),
        "header of 4 GB": b"\x93NUMPY\2\0" + b"\xff" * 4 + b"{", "no header": b"\x93NUMPY",
        "version 9": b"\x93NUMPY\x09\0\x01\0 ",
        "a bomb behind it": _header((6, 28, 28)) + _ZEROS,
    }  # fmt: skip
    return {f"a.npy: {name}": content for name, content in files.items()}


def npy_of_objects(array: np.ndarray) -> bytes:
    """Return an NPY file of an array of Python objects."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def csv_files() -> dict[str, bytes]:
    """Return tables of pixels."""
    rows = [[k % 3, *row.ravel().tolist()] for k, row in enumerate(pixels())]
    whole = csv_of(rows)
    files = {
        "a quotation mark that never ends": b'"' + whole, "a line of 9 MB": b"1," * 4_500_000,
        "a million blank lines": b"\n" * 1_000_000 + whole, "zero bytes": whole[:500] + bytes(500),
        "huge numbers": whole.replace(b",255,", b",1e999,"), "no numbers": b"nan," * 784 + b"1\n",
        "not UTF-8": b"\xe4\xff" + whole, "digits without end": b"9" * 3_000_000 + whole,
        "labels that steer a terminal": csv_of([["\x1b[2J", *row[1:]] for row in rows]),
        "labels that are formulas": csv_of([["=1+1", *row[1:]] for row in rows]),
        "a header alone": csv_of([["label", *range(784)]]), "lines cut off": whole[:-900],
        "a hundred thousand columns": csv_of([range(100_000)] * 2),
        "other digits": whole.replace(b"255", "٢٥٥".encode()),
    }  # fmt: skip
    bombs = {
        "bomb of rows": b"1,2,3,4\n" * 20_000_000, "bomb of zeros": _ZEROS,
        "bomb of pixels": csv_of([[0] * 785]) * 100_000,
    }  # fmt: skip
    return {f"a.csv: {name}": content for name, content in files.items()} | {
        f"a.csv.gz: {name}": gzip.compress(content, 1) for name, content in bombs.items()
    }


def tables() -> dict[str, _Files]:
    """Return files that replace those of images with a valid table of names, by name."""
    files = [*named()][1:]
    odd = ("/etc/passwd.png", "../../secret.png", "\x1b[2J.png", "a" * 5000 + ".png", "=1+1.png")
    contents = {
        **{f"name {name[:20]!a}": csv_of([(name, 1), *((f, 2) for f in files)]) for name in odd},
        "a name twice": csv_of([(files[0], 1), (files[0], 2)]),
        "a label of megabytes": csv_of((name, "a" * 1_000_000) for name in files),
        "labels that steer a terminal": csv_of((name, "\x1b[2J") for name in files),
        "labels that are formulas": csv_of((name, f"=1+{k}") for k, name in enumerate(files)),
        "a quotation mark that never ends": b'"' + csv_of((name, 1) for name in files),
        "a hundred thousand lines": csv_of([(files[0], 1)]) * 100_000,
        "a million columns": b",".join([b"a.png"] * 1_000_000) + b"\n",
        "zero bytes": bytes(1000), "nothing": b"",
    }  # fmt: skip
    found: dict[str, _Files] = {
        f"table: {name}": {"labels.csv": content} for name, content in contents.items()
    }
    return found | {"table: a pipe": {"labels.csv": os.mkfifo},
                    "table: link to endless zeros": {"labels.csv": _link("/dev/zero")}}  # fmt: skip


def gzip_files() -> dict[str, bytes]:
    """Return gzip files."""
    plain = idx(pixels())
    packed = gzip.compress(plain)
    return {
        "gzip: bomb": gzip.compress(_ZEROS),
        "gzip: bomb in a bomb": gzip.compress(gzip.compress(_ZEROS)),
        "gzip: bomb after the end": packed + gzip.compress(_ZEROS),
        "gzip: name that climbs": b"\x1f\x8b\x08\x08" + bytes(6) + b"../../x\0" + packed[10:],
        "gzip: other content": gzip.compress(plain[:-1] + b"x"),
        "gzip: not packed": plain,
        "gzip: nothing": b"",
    }


def packages() -> dict[str, bytes]:
    """Return gzipped tars."""
    plain = idx(pixels())
    links = ("images", "/etc/passwd", "../../../../etc/passwd", "../other")
    types = {"folder": tarfile.DIRTYPE, "pipe": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE}
    notes: Sequence[dict[str, str]] = (
        {"GNU.sparse.map": "a,b", "GNU.sparse.size": "x"}, {"size": "-512"}, {"size": str(1 << 60)},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"},
        {"comment": "x" * 200_000_000},
    )  # fmt: skip
    files = {
        **{f"link to {target}": tgz(
            member("package/other", plain), member(type=tarfile.SYMTYPE, linkname=target))
           for target in links},
        "hard link to itself": tgz(member(type=tarfile.LNKTYPE, linkname=MEMBER)),
        **{kind: tgz(member(type=code, devmajor=1, devminor=5)) for kind, code in types.items()},
        **{f"header {str(n)[:50]}": tgz(member(content=plain, pax_headers=n)) for n in notes},
        "names that climb": tgz(member("../../climbed", plain), member("/iic-climbed", plain)),
        "bomb": tgz(member(content=bytes(300_000_000))),
        "bomb before the file": tgz(member("a", bytes(300_000_000)), member(content=plain)),
        "too long": tgz(member(content=plain + b"x")),
        "too short": tgz(member(content=plain[:-1])),
        "other content": tgz(member(content=plain[:-1] + b"x")),
        "without the file": tgz(member("package/x", plain)),
        "file twice": tgz(member(content=plain), member(content=b"x")),
        "not packed": plain,
        "nothing": b"",
    }  # fmt: skip
    return {f"package: {name}": content for name, content in files.items()}


def _link(target: str) -> Content:
    return lambda path: path.symlink_to(target)


def _config(values: Mapping[str, object]) -> _Files:
    return {_CONFIG: json.dumps({**MODEL.model_dump(), **values}).encode()}


def _weights(change: Callable[[h5py.File], object], *removed: str) -> _Files:
    """Valid weights with some content removed, then with a change."""

    def write(path: Path) -> None:
        path.write_bytes(model()[_WEIGHTS])
        with h5py.File(path, "r+") as file:
            for name in removed:
                del file[name]
            change(file)

    return {_WEIGHTS: write}


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(_SHAPE, "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", _SHAPE)
    file.create_virtual_dataset(_PLACE, layout)


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
    large = MODEL.model_dump() | {"widths": wide, "head_widths": wide}
    huge = count_parameters(SavedParams.model_validate(large))
    configs: Mapping[str, Mapping[str, object]] = {
        "layers as wide as can be": {"widths": wide, "head_widths": wide},
        "wider than can be": {"widths": [1 << 60]}, "many layers": {"widths": [1] * 100_000},
        "many clusters": {"clusters": 10_000, "overclusters": 10_000},
        "keys that are code": {"class_name": "Lambda", "config": "__import__('os')"},
        "a model of Keras": {"module": "keras", "class_name": "Functional"},
        "keys that steer a terminal": {"\x1b[2J\n": 1},
    }  # fmt: skip
    # What takes the place of the first array, which is removed before.
    replacements: Mapping[str, Callable[[h5py.File], object]] = {
        # To a valid array, in the same file.
        "external link": lambda file: file.update(
            {_PLACE: h5py.ExternalLink(file.filename, _OTHER)}),
        "external link beside enough numbers": lambda file: file.update(
            {_PLACE: h5py.ExternalLink(file.filename, _OTHER), "more": np.zeros(_SHAPE, "f4")}),
        "soft link": lambda file: file.update({_PLACE: h5py.SoftLink(_OTHER)}),
        "soft link to itself": lambda file: file.update({_PLACE: h5py.SoftLink(_PLACE)}),
        "external storage": lambda file: file.create_dataset(
            _PLACE, _SHAPE, "f4", external=[("/etc/passwd", 0, 144)]),
        "virtual": _virtual,
        "shape of terabytes": lambda file: file.create_dataset(
            _PLACE, (1 << 20, 1 << 20, 1, 4), "f4", chunks=(1 << 10, 1 << 10, 1, 4)),
        "packed bomb": lambda file: file.create_dataset(
            _PLACE, data=np.zeros((250, 1_000_000), "u1"), chunks=(1, 1_000_000),
            compression="gzip"),
        "of objects": lambda file: file.create_dataset(_PLACE, (100,), h5py.string_dtype()),
        "text": lambda file: file.update({_PLACE: np.array(b"abc" * 100)}),
        "references": lambda file: file.create_dataset(
            _PLACE, data=np.array([file.ref] * 9, h5py.ref_dtype), dtype=h5py.ref_dtype),
        "group for an array": lambda file: file.create_group(_PLACE),
        "other shape": lambda file: file.update({_PLACE: np.zeros((3, 3, 1, 5), "f4")}),
        "not a number": lambda file: file.update({_PLACE: np.full(_SHAPE, np.nan, "f4")}),
    }  # fmt: skip
    contents: Mapping[str, Content] = {
        "a pickle": b"\x80\x04\x95cposix\nsystem\n(S'id'\ntR.", "nothing": b"", "a pipe": os.mkfifo,
        "linked to endless zeros": _link("/dev/zero"), "linked to a secret": _link("/etc/passwd"),
    }  # fmt: skip
    # A dataset that was never written to takes no room.
    unstored = _weights(lambda file: file.create_dataset("n", (huge,), "f4"), "layers", "vars")
    return {
        **{f"model: settings {name}": {_CONFIG: new} for name, new in _json_files().items()},
        **{f"model: {name}": _config(values) for name, values in configs.items()},
        **{f"weights: {name}": _weights(put, _PLACE) for name, put in replacements.items()},
        **{f"weights: {name}": {_WEIGHTS: content} for name, content in contents.items()},
        "weights: an array under a thousand names": _weights(
            lambda file: file.update({f"again/{n}": file[_PLACE] for n in range(1000)})),
        "weights: named bfloat16": _weights(
            lambda file: file[_PLACE].attrs.update(dtype="bfloat16")),
        "weights: as many as a huge network has, none of them stored": {
            **_config(configs["layers as wide as can be"]), **unstored},
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
    return {
        **{f"card: {str(new)[:60]!a}": {_CARD: json.dumps(whole | new).encode()} for new in values},
        "card: key twice": {_CARD: twice},
        **{f"card: {name}": {_CARD: content} for name, content in _json_files().items()},
        **{f"metrics without a card: {name}": {_CARD: lambda _: None, "metrics.json": content}
           for name, content in _json_files().items()},
    }  # fmt: skip


def names() -> dict[str, _Files]:
    """Return images in folders and files with every name that a file system takes, by a title."""
    good, other = png(1), png(2)
    whole = {"train/x/a.png": good, "test/x/b.png": other}
    return {f"{what} named {name!a}": files for name in NAMES for what, files in (
        ("folder", {f"{name}/a.png": good, "other/b.png": other}),
        ("file", {f"x/{name}.png": good, "y/b.png": other}),
        ("IDX file", {name: idx(pixels())}),
        ("NPZ file", {f"{name}.npz": npz(images=pixels())}),
        ("kind of file", {"x.png": good, "y.png": other, f"z.{name}": b""}),
        ("folder beside train and test", {**whole, f"{name}/a.png": good}),
        ("folder without images", {**whole, f"train/{name}/a.txt": b""}),
    )}  # fmt: skip
