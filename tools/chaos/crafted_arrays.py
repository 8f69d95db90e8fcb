"""NPZ, IDX and gzip files, and packages, made to do harm."""

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


def _header(shape: tuple[int, ...], descr: object = "|u1", version: int = 1) -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(text))
        + text
    )


def _zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return content.getvalue()


class _Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch /tmp/iic-unpickled",)


def npz_files() -> dict[str, bytes]:
    """By name."""
    images = pixels()
    evil = np.empty(2, object)
    evil[:] = [_Evil(), _Evil()]
    record = np.zeros(2, [("a", object), ("b", "u1")])
    record["a"] = evil
    names = np.array(["a"] * 6)
    stored = npz(images=images)
    return {
        "a.npz: pickled objects as images": npz(images=evil),
        "a.npz: pickled objects in records": npz(images=record),
        "a.npz: pickled objects as labels": npz(images=images, labels=np.resize(evil, 6)),
        "a.npz: a pickle for an array": _zip(("images.npy", evil.dumps())),
        "a.npz: a pickle beside the arrays": _zip(("images.npy", stored), ("x.pkl", evil.dumps())),
        "a.npz: type that is code": _zip(
            ("images.npy", _header((1,), "__import__('os').getpid()"))
        ),
        "a.npz: type nested deep": _zip(("images.npy", _header((1,), _nested(300)))),
        "a.npz: shape of terabytes": _zip(("images.npy", _header((1000, 10**7, 10**7)))),
        "a.npz: shape that overflows": _zip(("images.npy", _header((1 << 62, 1 << 62)))),
        "a.npz: negative shape": _zip(("images.npy", _header((-1, 28, 28)) + bytes(784))),
        "a.npz: shape of zeros and much": _zip(("images.npy", _header((0, 1 << 40, 1 << 40)))),
        "a.npz: scalar": npz(images=np.array(1)),
        "a.npz: items of no size": _zip(("images.npy", _header((1000, 28, 28), "|V0"))),
        "a.npz: items of a gigabyte": _zip(("images.npy", _header((6,), "|S1000000000"))),
        "a.npz: labels of a gigabyte": npz(
            packed=True, images=images, labels=np.resize(np.array(["a" * 4_000_000]), 6)
        ),
        "a.npz: header of 4 GB": _zip(("images.npy", b"\x93NUMPY\2\0" + b"\xff" * 4 + b"{")),
        "a.npz: header that never ends": _zip(
            ("images.npy", b"\x93NUMPY\2\0" + struct.pack("<I", 1 << 27) + b"(" * (1 << 27))
        ),
        "a.npz: version 9": _zip(("images.npy", b"\x93NUMPY\x09\0\x01\0 ")),
        "a.npz: bomb": _zip(("images.npy", _header((6, 28, 28)) + _ZEROS)),
        "a.npz: bomb of lengths that lie": _lying(
            _zip(("images.npy", _header((6, 28, 28)) + _ZEROS))
        ),
        "a.npz: ten thousand arrays": _zip(*((f"a{n}.npy", b"") for n in range(10_000))),
        "a.npz: names that climb": _zip(("../images.npy", stored), ("/etc/images.npy", stored)),
        "a.npz: names that steer a terminal": _zip(("\x1b[2Ja\nb.npy", b"")),
        "a.npz: name of megabytes": _zip(("a" * 60_000, b"")),
        "a.npz: same array twice": _twice(stored),
        "a.npz: labels that steer a terminal": npz(
            images=images, labels=np.array(["\x1b[2J"] * 3 + ["b"] * 3)
        ),
        "a.npz: labels of control characters": npz(
            images=images, labels=np.array(["\x9b2J"] * 3 + ["b"] * 3)
        ),
        "a.npz: labels that are no characters": npz(
            images=images, labels=np.array([0x110000] * 6, np.uint32).view("<U1")
        ),
        "a.npz: labels of thousands of digits": npz(
            images=images, labels=np.array(["9" * 5000] * 3 + ["b"] * 3)
        ),
        "a.npz: labels of thousands of letters": npz(
            images=images, labels=np.array(["a" * 20_000] * 3 + ["b"] * 3)
        ),
        "a.npz: labels as formulas": npz(images=images, labels=np.array(["=1+1"] * 3 + ["@b"] * 3)),
        "a.npz: labels as HTML": npz(
            images=images, labels=np.array(["</script><script>"] * 3 + ["b"] * 3)
        ),
        "a.npz: labels of moments": npz(images=images, labels=names.astype("S").astype("V")),
        "a.npz: locked": _locked(stored),
        "a.npz: packed otherwise": _zip(
            ("images.npy", _header((6, 28, 28)) + bytes(6 * 784)), method=zipfile.ZIP_LZMA
        ),
        "a.npz: complex pixels": npz(images=images.astype(complex)),
        "a.npz: longer numbers": npz(images=images.astype(np.longdouble)),
    }


def _nested(depth: int) -> object:
    kind: object = "|u1"
    for _ in range(depth):
        kind = [("a", kind)]
    return kind


def _lying(archive: bytes) -> bytes:
    """The central directory says that the first member unpacks to a kilobyte."""
    place = archive.rindex(b"PK\1\2") + 24
    return archive[:place] + struct.pack("<I", 1024) + archive[place + 4 :]


def _locked(archive: bytes) -> bytes:
    """The first member says that it is encrypted."""
    place = archive.rindex(b"PK\1\2") + 8
    return archive[:6] + b"\1\0" + archive[8:place] + b"\1\0" + archive[place + 2 :]


def _twice(stored: bytes) -> bytes:
    content = io.BytesIO(stored)
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(zipfile.ZipInfo("images.npy"), b"no array")
    return content.getvalue()


def idx_files() -> dict[str, bytes]:
    """By name."""

    def head(rank: int, *shape: int) -> bytes:
        return struct.pack(f">I{len(shape)}I", 8 << 8 | rank, *shape)

    body = pixels().tobytes()
    return {
        "a: IDX of 2³² images": head(3, (1 << 32) - 1, 28, 28) + body,
        "a: IDX of images of 2³² rows": head(3, 6, (1 << 32) - 1, (1 << 32) - 1) + body,
        "a: IDX of no images": head(3, 0, 28, 28),
        "a: IDX of images without pixels": head(3, 6, 0, 0),
        "a: IDX that is too short": head(3, 7, 28, 28) + body,
        "a: IDX that is too long": head(3, 5, 28, 28) + body,
        "a: IDX of 255 dimensions": head(255, *[1] * 255) + b"a",
        "a: IDX of 64 dimensions": head(64, *[1] * 64) + b"a",
        "a: IDX of no dimension": head(0) + b"a",
        "a: IDX that is cut off": head(3, 6)[:6],
        "a: IDX of another type": struct.pack(">4I", 13 << 8 | 3, 6, 28, 28) + body,
        "a: IDX as a bomb": gzip.compress(head(3, 6, 28, 28) + _ZEROS),
        "a: IDX as a bomb that lies": gzip.compress(head(3, 1000, 64, 256) + _ZEROS),
        "a: IDX packed twice": gzip.compress(gzip.compress(idx(pixels()))),
        "a: IDX with a wrong checksum": gzip.compress(idx(pixels()))[:-8] + bytes(8),
    }


def gzip_files() -> dict[str, bytes]:
    """By name."""
    plain = idx(pixels())
    return {
        "gzip: bomb": gzip.compress(_ZEROS),
        "gzip: bomb in a bomb": gzip.compress(gzip.compress(_ZEROS)),
        "gzip: bomb after the end": gzip.compress(plain) + gzip.compress(_ZEROS),
        "gzip: a name that climbs": b"\x1f\x8b\x08\x08"
        + bytes(6)
        + b"../../x\0"
        + gzip.compress(plain)[10:],
        "gzip: other content": gzip.compress(plain[:-1] + b"x"),
        "gzip: not packed": plain,
        "gzip: nothing": b"",
    }


def packages() -> dict[str, bytes]:
    """Gzipped tars by name."""
    plain = idx(pixels())

    def linked(kind: bytes, target: str) -> bytes:
        return tgz(member("package/other", plain), member(type=kind, linkname=target))

    def noted(**notes: str) -> bytes:
        return tgz(member(content=plain, pax_headers=notes))

    return {
        "package: names that climb": tgz(
            member("../../climbed", plain), member("/iic-climbed", plain)
        ),
        "package: link to itself": linked(tarfile.SYMTYPE, "images"),
        "package: hard link to itself": linked(tarfile.LNKTYPE, MEMBER),
        "package: link to a secret": linked(tarfile.SYMTYPE, "/etc/passwd"),
        "package: link that climbs": linked(tarfile.SYMTYPE, "../../../../etc/passwd"),
        "package: link to another member": linked(tarfile.SYMTYPE, "../other"),
        "package: folder": tgz(member(type=tarfile.DIRTYPE)),
        "package: pipe": tgz(member(type=tarfile.FIFOTYPE)),
        "package: device": tgz(member(type=tarfile.CHRTYPE, devmajor=1, devminor=5)),
        "package: sparse map that is none": noted(
            **{"GNU.sparse.map": "a,b", "GNU.sparse.size": "x"}
        ),
        "package: sparse version without map": noted(
            **{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"}
        ),
        "package: negative size": noted(size="-512"),
        "package: size of exabytes": noted(size=str(1 << 60)),
        "package: notes of 200 MB": noted(comment="x" * 200_000_000),
        "package: bomb": tgz(member(content=bytes(300_000_000))),
        "package: bomb before the file": tgz(
            member("a", bytes(300_000_000)), member(content=plain)
        ),
        "package: too long": tgz(member(content=plain + b"x")),
        "package: too short": tgz(member(content=plain[:-1])),
        "package: other content": tgz(member(content=plain[:-1] + b"x")),
        "package: nothing": b"",
        "package: not packed": plain,
        "package: without the file": tgz(member("package/x", plain)),
        "package: file twice": tgz(member(content=plain), member(content=b"x")),
    }
