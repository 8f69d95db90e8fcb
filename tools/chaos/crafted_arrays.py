"""NPZ, IDX and gzip files, and packages, crafted to do harm."""

import gzip
import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable

import numpy as np

from tools.chaos.valid_files import MEMBER, idx, member, npz, pixels, tgz

_ZEROS = bytes(200_000_000)


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


def _labels(first: str, second: str = "b") -> bytes:
    return npz(images=pixels(), labels=np.array([first] * 3 + [second] * 3))


def _patched(archive: bytes, place: int, new: bytes) -> bytes:
    """Replace bytes in the first entry of the central directory."""
    place += archive.rindex(b"PK\1\2")
    return archive[:place] + new + archive[place + len(new) :]


def _twice(stored: bytes) -> bytes:
    content = io.BytesIO(stored)
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(zipfile.ZipInfo("images.npy"), b"no array")
    return content.getvalue()


def npz_files() -> dict[str, bytes]:
    """Return NPZ files by name."""
    images, stored = pixels(), npz(images=pixels())
    evil = np.array([_Evil(), _Evil()], object)
    record = np.zeros(2, [("a", object), ("b", "u1")])
    record["a"] = evil
    nested: object = "|u1"
    for _ in range(300):
        nested = [("a", nested)]
    bomb = _images(_header((6, 28, 28)), _ZEROS)
    return {f"a.npz: {name}": content for name, content in {
        "pickled objects as images": npz(images=evil),
        "pickled objects in records": npz(images=record),
        "pickled objects as labels": npz(images=images, labels=np.resize(evil, 6)),
        "a pickle for an array": _images(evil.dumps()),
        "a pickle beside the arrays": _zip(("images.npy", stored), ("x.pkl", evil.dumps())),
        "type that is code": _images(_header((1,), "__import__('os').getpid()")),
        "type nested deep": _images(_header((1,), nested)),
        "shape of terabytes": _images(_header((1000, 10**7, 10**7))),
        "shape that overflows": _images(_header((1 << 62, 1 << 62))),
        "negative shape": _images(_header((-1, 28, 28)), bytes(784)),
        "shape of zeros and much": _images(_header((0, 1 << 40, 1 << 40))),
        "scalar": npz(images=np.array(1)),
        "items of no size": _images(_header((1000, 28, 28), "|V0")),
        "items of a gigabyte": _images(_header((6,), "|S1000000000")),
        "labels of a gigabyte": npz(
            packed=True, images=images, labels=np.resize(np.array(["a" * 4_000_000]), 6)),
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
        "same array twice": _twice(stored),
        "labels that steer a terminal": _labels("\x1b[2J"),
        "labels of control characters": _labels("\x9b2J"),
        "labels that are no characters": npz(
            images=images, labels=np.array([0x110000] * 6, np.uint32).view("<U1")),
        "labels of thousands of digits": _labels("9" * 5000),
        "labels of thousands of letters": _labels("a" * 20_000),
        "labels as formulas": _labels("=1+1", "@b"),
        "labels as HTML": _labels("</script><script>"),
        "labels of raw bytes": npz(images=images, labels=np.array(["a"] * 6, "S").astype("V")),
        "encrypted": _patched(stored[:6] + b"\1\0" + stored[8:], 8, b"\1\0"),
        "another compression": _zip(
            ("images.npy", _header((6, 28, 28)) + bytes(6 * 784)), method=zipfile.ZIP_LZMA),
        "complex pixels": npz(images=images.astype(complex)),
        "longer numbers": npz(images=images.astype(np.longdouble)),
    }.items()}  # fmt: skip


def idx_files() -> dict[str, bytes]:
    """Return IDX files by name."""

    def head(rank: int, *shape: int) -> bytes:
        return struct.pack(f">I{len(shape)}I", 8 << 8 | rank, *shape)

    body, most = pixels().tobytes(), (1 << 32) - 1
    return {f"a: IDX {name}": content for name, content in {
        "of 2³² images": head(3, most, 28, 28) + body,
        "of images of 2³² rows": head(3, 6, most, most) + body,
        "of no images": head(3, 0, 28, 28),
        "of images without pixels": head(3, 6, 0, 0),
        "that is too short": head(3, 7, 28, 28) + body,
        "that is too long": head(3, 5, 28, 28) + body,
        "of 255 dimensions": head(255, *[1] * 255) + b"a",
        "of 64 dimensions": head(64, *[1] * 64) + b"a",
        "of no dimension": head(0) + b"a",
        "that is cut off": head(3, 6)[:6],
        "of another type": struct.pack(">4I", 13 << 8 | 3, 6, 28, 28) + body,
        "as a bomb": gzip.compress(head(3, 6, 28, 28) + _ZEROS),
        "as a bomb that claims to be smaller": gzip.compress(head(3, 1000, 64, 256) + _ZEROS),
        "packed twice": gzip.compress(gzip.compress(idx(pixels()))),
        "with a wrong checksum": gzip.compress(idx(pixels()))[:-8] + bytes(8),
    }.items()}  # fmt: skip


def gzip_files() -> dict[str, bytes]:
    """Return gzip files by name."""
    plain = idx(pixels())
    packed = gzip.compress(plain)
    return {f"gzip: {name}": content for name, content in {
        "bomb": gzip.compress(_ZEROS),
        "bomb in a bomb": gzip.compress(gzip.compress(_ZEROS)),
        "bomb after the end": packed + gzip.compress(_ZEROS),
        "a name that climbs": b"\x1f\x8b\x08\x08" + bytes(6) + b"../../x\0" + packed[10:],
        "other content": gzip.compress(plain[:-1] + b"x"),
        "not packed": plain,
        "nothing": b"",
    }.items()}  # fmt: skip


def packages() -> dict[str, bytes]:
    """Return gzipped tars by name."""
    plain = idx(pixels())

    def linked(target: str, kind: bytes = tarfile.SYMTYPE) -> bytes:
        return tgz(member("package/other", plain), member(type=kind, linkname=target))

    def noted(**notes: str) -> bytes:
        return tgz(member(content=plain, pax_headers=notes))

    version = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"}
    return {f"package: {name}": content for name, content in {
        "names that climb": tgz(member("../../climbed", plain), member("/iic-climbed", plain)),
        "link to itself": linked("images"),
        "hard link to itself": linked(MEMBER, tarfile.LNKTYPE),
        "link to a secret": linked("/etc/passwd"),
        "link that climbs": linked("../../../../etc/passwd"),
        "link to another member": linked("../other"),
        "folder": tgz(member(type=tarfile.DIRTYPE)),
        "pipe": tgz(member(type=tarfile.FIFOTYPE)),
        "device": tgz(member(type=tarfile.CHRTYPE, devmajor=1, devminor=5)),
        "sparse map that is none": noted(**{"GNU.sparse.map": "a,b", "GNU.sparse.size": "x"}),
        "sparse version without map": noted(**version),
        "negative size": noted(size="-512"),
        "size of exabytes": noted(size=str(1 << 60)),
        "notes of 200 MB": noted(comment="x" * 200_000_000),
        "bomb": tgz(member(content=bytes(300_000_000))),
        "bomb before the file": tgz(member("a", bytes(300_000_000)), member(content=plain)),
        "too long": tgz(member(content=plain + b"x")),
        "too short": tgz(member(content=plain[:-1])),
        "other content": tgz(member(content=plain[:-1] + b"x")),
        "nothing": b"",
        "not packed": plain,
        "without the file": tgz(member("package/x", plain)),
        "file twice": tgz(member(content=plain), member(content=b"x")),
    }.items()}  # fmt: skip
