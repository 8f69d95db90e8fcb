"""Images made to do harm."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from tools.chaos.valid_files import pictures

_HUGE = 1 << 31
_ZEROS = bytes(200_000_000)
# Width, height and place of a page's only strip.
_SMALLEST = {256: 28, 257: 28, 273: 8}


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(width: int, height: int, rows: bytes, *chunks: bytes) -> bytes:
    """A grey PNG file of any size that has any content."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = [head, *chunks, _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def images() -> dict[str, bytes | Callable[[Path], None]]:
    """By name; what is no plain file is made at a path."""
    rows = bytes(28 * 29)
    bomb = zlib.compress(_ZEROS, 9)
    good = pictures()
    bmp, jpg, webp = (good[name] for name in ("grey.bmp", "grey.jpg", "lossy.webp"))
    size = jpg.index(b"\xff\xc0") + 5
    return {
        "a.png: of 65,535 × 65,535 pixels": png(65535, 65535, rows),
        "a.png: of 2³¹ pixels in a row": png(_HUGE - 1, 1, rows),
        "a.png: without a pixel": png(0, 0, b""),
        "a.png: larger than its content": png(5000, 5000, rows),
        "a.png: smaller than its content": png(28, 28, _ZEROS),
        "a.png: of as many pixels as are allowed": png(8000, 8000, bytes(8000 * 8001)),
        "a.png: iCCP bomb": png(28, 28, rows, _chunk(b"iCCP", b"x\0\0" + bomb)),
        "a.png: zTXt bomb": png(28, 28, rows, _chunk(b"zTXt", b"x\0\0" + bomb)),
        "a.png: iTXt bomb": png(28, 28, rows, _chunk(b"iTXt", b"x\0\1\0\0\0" + bomb)),
        "a.png: many zTXt bombs": png(
            28, 28, rows, *[_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 20)))] * 300
        ),
        "a.png: a chunk of 2 GB, it says": png(
            28, 28, rows, struct.pack(">I", _HUGE - 1) + b"tEXtabc"
        ),
        "a.png: a negative chunk": png(28, 28, rows, struct.pack(">I", _HUGE + 5) + b"tEXtabc"),
        "a.png: animated": png(28, 28, rows, _chunk(b"acTL", struct.pack(">II", 100_000, 0))),
        "a.png: notes that point at themselves": png(28, 28, rows, _chunk(b"eXIf", _looped_exif())),
        "a.png: GIF inside": b"GIF89a" + bytes(100),
        "a.png: SVG inside": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "a.png: PostScript inside": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "a.bmp: of 2 × 10⁹ rows": bmp[:22] + struct.pack("<i", _HUGE - 1) + bmp[26:],
        "a.bmp: rows upwards beyond all numbers": bmp[:22] + struct.pack("<i", -_HUGE) + bmp[26:],
        "a.jpg: of 65,500 × 65,500 pixels": jpg[:size] + b"\xff\xdc\xff\xdc" + jpg[size + 4 :],
        "a.jpg: of 8,000 × 8,000 pixels": jpg[:size] + b"\x1f\x40\x1f\x40" + jpg[size + 4 :],
        "a.webp: of 16,383 × 16,383 pixels": webp[:26] + b"\xff\x3f\xff\x3f" + webp[30:],
        "a.tif: next page is the first": _tiff(loop=True),
        "a.tif: of 60,000 × 60,000 pixels": _tiff(60_000),
        "a.tif: strips beyond the end": _tiff(offset=_HUGE),
        "a.tif: a tag of 2³² numbers": _tiff(count=(1 << 32) - 1),
        "a.tif: two hundred thousand pages": _many_pages(200_000),
        "a.png: a pipe": os.mkfifo,
        "a.png: link to endless zeros": lambda path: path.symlink_to("/dev/zero"),
        "a.png: link to itself": lambda path: path.symlink_to(path),
        "a.png: link to a secret": lambda path: path.symlink_to("/etc/passwd"),
        "a.png: a terabyte of nothing": _sparse,
    }


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _looped_exif() -> bytes:
    """A directory of tags that is its own subdirectory."""
    tag = struct.pack(">HHII", 0x8769, 4, 1, 8)
    return b"MM\0*" + struct.pack(">I", 8) + struct.pack(">H", 1) + tag + struct.pack(">I", 8)


def _tiff(
    size: int = 28, offset: int = 8, count: int = 1, *, loop: bool = False, more: bool = False
) -> bytes:
    """A grey TIFF file whose tags say anything, also that another page comes after them."""
    start = 8 + 28 * 28
    tags = [
        (256, size),
        (257, size),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, offset),
        (278, size),
        (279, 28 * 28),
    ]
    rows = [struct.pack("<HHII", tag, 4, count if tag == 273 else 1, value) for tag, value in tags]
    after = start + 2 + 12 * len(rows) + 4
    end = struct.pack("<I", start if loop else after if more else 0)
    return (
        b"II*\0"
        + struct.pack("<I", start)
        + bytes(28 * 28)
        + struct.pack("<H", len(rows))
        + b"".join(rows)
        + end
    )


def _many_pages(count: int) -> bytes:
    """Pages of the least tags that Pillow takes, each of which names the next one."""
    first = _tiff(more=True)
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in _SMALLEST.items())
    size = 2 + len(tags) + 4
    places = (len(first) + size * (page + 1) for page in range(count))
    return first + b"".join(
        struct.pack("<H", len(_SMALLEST)) + tags + struct.pack("<I", place) for place in places
    )
