"""Image files crafted to do harm."""

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.chaos.valid_files import pictures

_HUGE = 1 << 31
_ZEROS = bytes(200_000_000)
_ROWS = bytes(28 * 29)


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
    """A grey TIFF file of one strip.

    Args:
        size: Width and height that it claims.
        place: Where the strip begins, in bytes.
        count: Number of values that the strip's tag claims.
        more: Where the next page is, in bytes; -1 = behind this one.
    """
    start = 8 + 28 * 28
    tags = _tags([
        (256, 1, size), (257, 1, size), (258, 1, 8), (259, 1, 1), (262, 1, 1), (273, count, place),
        (278, 1, size), (279, 1, 28 * 28),
    ])  # fmt: skip
    after = struct.pack("<I", start + len(tags) + 4 if more == -1 else more)
    return b"II*\0" + struct.pack("<I", start) + bytes(28 * 28) + tags + after


def _many_pages(count: int) -> bytes:
    """Pages of the fewest tags that Pillow takes, each of which names the next one."""
    first, tags = _tiff(more=-1), _tags([(256, 1, 28), (257, 1, 28), (273, 1, 8)])
    places = (len(first) + (len(tags) + 4) * (page + 1) for page in range(count))
    return first + b"".join(tags + struct.pack("<I", place) for place in places)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def images() -> dict[str, bytes | Callable[[Path], None]]:
    """Return image files by name; functions make what is not a plain file at a path."""
    packed = zlib.compress(_ZEROS, 9)
    small_bomb = _chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 20)))
    good = pictures()
    bmp, jpg, webp = (good[name] for name in ("grey.bmp", "grey.jpg", "lossy.webp"))
    size = jpg.index(b"\xff\xc0") + 5
    # A directory of tags that is its own subdirectory.
    exif = b"MM\0*" + struct.pack(">I", 8) + _tags([(0x8769, 1, 8)], ">") + struct.pack(">I", 8)
    return {
        "a.png: of 65,535 × 65,535 pixels": _png(size=(65535, 65535)),
        "a.png: of 2³¹ pixels in a row": _png(size=(_HUGE - 1, 1)),
        "a.png: without a pixel": _png(size=(0, 0), rows=b""),
        "a.png: larger than its content": _png(size=(5000, 5000)),
        "a.png: smaller than its content": _png(rows=_ZEROS),
        "a.png: of as many pixels as are allowed": _png(size=(8000, 8000), rows=bytes(8000 * 8001)),
        "a.png: iCCP bomb": _png(_chunk(b"iCCP", b"x\0\0" + packed)),
        "a.png: zTXt bomb": _png(_chunk(b"zTXt", b"x\0\0" + packed)),
        "a.png: iTXt bomb": _png(_chunk(b"iTXt", b"x\0\1\0\0\0" + packed)),
        "a.png: many zTXt bombs": _png(*[small_bomb] * 300),
        "a.png: a chunk that claims 2 GB": _png(struct.pack(">I", _HUGE - 1) + b"tEXtabc"),
        "a.png: a negative chunk": _png(struct.pack(">I", _HUGE + 5) + b"tEXtabc"),
        "a.png: animated": _png(_chunk(b"acTL", struct.pack(">II", 100_000, 0))),
        "a.png: notes that point at themselves": _png(_chunk(b"eXIf", exif)),
        "a.png: GIF inside": b"GIF89a" + bytes(100),
        "a.png: SVG inside": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "a.png: PostScript inside": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "a.bmp: of 2 × 10⁹ rows": bmp[:22] + struct.pack("<i", _HUGE - 1) + bmp[26:],
        "a.bmp: the lowest number of rows": bmp[:22] + struct.pack("<i", -_HUGE) + bmp[26:],
        "a.jpg: of 65,500 × 65,500 pixels": jpg[:size] + b"\xff\xdc\xff\xdc" + jpg[size + 4 :],
        "a.jpg: of 8,000 × 8,000 pixels": jpg[:size] + b"\x1f\x40\x1f\x40" + jpg[size + 4 :],
        "a.webp: of 16,383 × 16,383 pixels": webp[:26] + b"\xff\x3f\xff\x3f" + webp[30:],
        "a.tif: next page is the first": _tiff(more=8 + 28 * 28),
        "a.tif: of 60,000 × 60,000 pixels": _tiff(60_000),
        "a.tif: strips beyond the end": _tiff(place=_HUGE),
        "a.tif: a tag of 2³² numbers": _tiff(count=(1 << 32) - 1),
        "a.tif: two hundred thousand pages": _many_pages(200_000),
        "a.png: a pipe": os.mkfifo,
        "a.png: link to endless zeros": _link("/dev/zero"),
        "a.png: link to itself": lambda path: path.symlink_to(path),
        "a.png: link to a secret": _link("/etc/passwd"),
        "a.png: a terabyte of nothing": _sparse,
    }
