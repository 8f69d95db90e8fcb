"""Small valid files, one of each kind, from which hostile ones are made."""

import gzip
import io
import json
import struct
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from iic.core.params import ModelParams
from iic.evaluation.card import ModelCard
from iic.model.store import hash_of_weights

# The file in a package that tools.chaos.entries asks for.
MEMBER = "package/data/images"
MODEL = ModelParams(widths=[4], head_widths=[4], clusters=3, overclusters=4, pool_first=True,
                    normalize_logits=True, poolings=None)  # fmt: skip
CARD = ModelCard(
    recipe="default", seed=0, data="custom", size="fit", ink="auto", labels=["cat", "dog", "cow"],
    clusters=[0, 1, 2], overclusters=[0, 1, 2, None], metrics={"acc": 0.5}, weights_sha256="",
)  # fmt: skip
# Pillow's mode and format of each image file, and options for saving it.
_PICTURES: Mapping[str, tuple[str, str, Mapping[str, object]]] = {
    "grey.png": ("L", "PNG", {}),
    "palette.png": ("P", "PNG", {"transparency": 0}),
    "notes.png": ("RGBA", "PNG", {"icc_profile": bytes(200), "exif": b"Exif\0\0MM\0*\0\0\0\x08"}),
    "deep.png": ("I;16", "PNG", {}),
    "grey.jpg": ("L", "JPEG", {}),
    "progressive.jpg": ("RGB", "JPEG", {"progressive": True}),
    "grey.bmp": ("L", "BMP", {}),
    "plain.tif": ("L", "TIFF", {}),
    "packed.tif": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "float.tif": ("F", "TIFF", {"compression": "tiff_deflate"}),
    "lossy.webp": ("RGB", "WEBP", {}),
    "lossless.webp": ("RGBA", "WEBP", {"lossless": True}),
}


def pixels(n: int = 6) -> np.ndarray:
    """Return (n, 28, 28) uint8 images of light strokes on a dark ground, all different."""
    images = np.zeros((n, 28, 28), np.uint8)
    for number, image in enumerate(images):
        image[4 + number : 20, 8 + number : 12 + number] = 255
    return images


@cache
def pictures() -> Mapping[str, bytes]:
    """Return image files by name."""
    found = {}
    for name, (mode, kind, options) in _PICTURES.items():
        content = io.BytesIO()
        Image.fromarray(pixels()[0]).convert(mode).save(content, kind, **options)
        found[name] = content.getvalue()
    return found


@cache
def png(number: int) -> bytes:
    """Return one of several different PNG files; the image files of `pictures` show number 0."""
    content = io.BytesIO()
    Image.fromarray(pixels()[number]).save(content, "PNG")
    return content.getvalue()


def idx(array: np.ndarray) -> bytes:
    """Return an IDX file of bytes."""
    head = struct.pack(f">I{array.ndim}I", 8 << 8 | array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def npz(*, packed: bool = False, **arrays: np.ndarray) -> bytes:
    """Return an NPZ file of arrays."""
    content = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def npy(array: np.ndarray) -> bytes:
    """Return an NPY file of an array."""
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def tgz(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a gzipped tar."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


def member(
    name: str = MEMBER, content: bytes = b"", **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member of a tar, with some fields of its header set."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def csv_of(rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table of text."""
    return "".join(f"{','.join(map(str, row))}\n" for row in rows).encode()


def arrays() -> dict[str, bytes]:
    """Return NPZ, IDX, NPY, CSV and packed files by name."""
    images, labels = pixels(), np.array(["a", "b", "c"] * 2)
    flat = images.reshape(len(images), -1).tolist()
    return {
        "stored.npz": npz(images=images, labels=labels),
        "packed.npz": npz(packed=True, images=images, labels=labels),
        "images-idx3-ubyte": idx(images),
        "images-idx3-ubyte.gz": gzip.compress(idx(images)),
        "images.npy": npy(images),
        "pixels.csv": csv_of([label, *row] for label, row in zip("abcabc", flat, strict=True)),
        "package.tgz": tgz(member(content=idx(images))),
    }


@cache
def named() -> Mapping[str, bytes]:
    """Return image files and a table with their names and labels, by name."""
    names = [name for name in pictures() if name.endswith((".png", ".jpg"))]
    rows = [("file", "label"), *((name, k % 2) for k, name in enumerate(names))]
    return {"labels.csv": csv_of(rows), **{name: pictures()[name] for name in names}}


@cache
def model() -> Mapping[str, bytes]:
    """Return a model's folder and its card, by path."""
    from iic.model.network import build_network
    from iic.model.store import save_network

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        save_network(build_network(MODEL), MODEL, folder)
        card = CARD.model_copy(update={"weights_sha256": hash_of_weights(folder)})
        return {
            **{f"model/{file.name}": file.read_bytes() for file in folder.iterdir()},
            "model-card.json": json.dumps(card.model_dump()).encode(),
        }
