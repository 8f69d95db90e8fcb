"""What a file is, by its bytes."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from iic.core.errors import InputError
from iic.data.kinds import FORMATS, READABLE, Kind, kind_of, refusal

PIXELS = np.arange(784, dtype=np.uint8).reshape(28, 28)


def picture(kind: str, **options) -> bytes:
    content = io.BytesIO()
    Image.fromarray(PIXELS).save(content, kind, **options)
    return content.getvalue()


def archive(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, b"content")
    return content.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def npy() -> bytes:
    content = io.BytesIO()
    np.save(content, PIXELS)
    return content.getvalue()


def tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as file:
        file.addfile(tarfile.TarInfo("scans/0.png"))
    return content.getvalue()


def media(*brands: bytes) -> bytes:
    size = 16 + 4 * len(brands[1:])
    return struct.pack(">I", size) + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])


IDX = b"\0\0\x08\x01\0\0\0\x01\x07"
ROW = ",".join(["0"] * 785).encode()
CONTENTS = [
    *((Kind.IMAGE, picture(k)) for k in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")),
    (Kind.IMAGE, picture("TIFF", big_tiff=True)),
    (Kind.IMAGE, b"P2\n2 1\n255\n0 255\n"),
    (Kind.IMAGE, picture("MPO", save_all=True, append_images=[Image.fromarray(PIXELS)])),
    *((Kind.IMAGE, picture(k)) for k in ("AVIF", "JPEG2000") if k in FORMATS),
    (Kind.NPY, npy()),
    (Kind.NPZ, npz(images=PIXELS)),
    (Kind.IDX, IDX),
    (Kind.IDX, gzip.compress(IDX)),
    (Kind.OTHER_IDX, b"\0\0\x0c\x02" + bytes(12)),
    (Kind.CSV, b"path,label\n0.png,7\n"),
    (Kind.CSV, b"\xef\xbb\xbfpath;label\r\n0.png;7\r\n"),
    (Kind.CSV, b"path\tlabel\n0.png\t7\n"),
    (Kind.CSV, gzip.compress(b"path,label\n0.png,7\n")),
    (Kind.CSV, ROW),
    (Kind.CSV, b"label," + ROW + b"\n" + ROW),
    (Kind.PARQUET, b"PAR1" + bytes(20)),
    (Kind.HEIC, media(b"heic", b"mif1", b"heic")),
    (Kind.HEIC, media(b"mif1", b"mif1", b"heix")),
    (Kind.VIDEO, media(b"isom", b"mp42")),
    (Kind.VIDEO, b"RIFF\0\0\0\0AVI LIST"),
    (Kind.MATLAB, b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(100)),
    (Kind.MATLAB_HDF5, b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(600)),
    (Kind.HDF5, b"\x89HDF\r\n\x1a\n" + bytes(100)),
    *((Kind.PICKLE, pickle.dumps({"images": [1]}, protocol)) for protocol in (2, 3, 4, 5)),
    (Kind.PICKLE, gzip.compress(pickle.dumps([1], 4))),
    (Kind.PICKLE, archive("net/data.pkl", "net/version")),
    (Kind.EXCEL, archive("[Content_Types].xml", "xl/workbook.xml")),
    (Kind.ZIP, archive("scans/0.png", "scans/1.png")),
    (Kind.ZIP, archive("scans/0.png", "images.npy")),
    (Kind.ZIP, archive()),
    (Kind.TAR, tar()),
    (Kind.TAR, gzip.compress(tar())),
    (Kind.ARCHIVE, b"7z\xbc\xaf\x27\x1c" + bytes(10)),
    (Kind.ARCHIVE, b"Rar!\x1a\x07\x01\0"),
    (Kind.COMPRESSED, b"BZh91AY&SY"),
    (Kind.COMPRESSED, gzip.compress(picture("PNG"))),
    (Kind.SVG, b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'),
    (Kind.PDF, b"%PDF-1.7\n%\xe2\xe3"),
    (Kind.DICOM, bytes(128) + b"DICM" + bytes(10)),
    (Kind.OTHER_IMAGE, b"8BPS\0\1" + bytes(10)),
    (Kind.JPEG_XL, b"\xff\x0a\xfa\x7f"),
    (Kind.TEXT, b"Scans of March, by hand.\nEach is one digit.\n"),
    (Kind.TEXT, b"One line, with a comma.\n"),
    (Kind.TEXT, b"[1, 2, 3, 4, 5, 6]\n[1, 2, 3, 4, 5, 6]\n"),
    (Kind.TEXT, "path,label\n".encode("utf-16")),
    (Kind.TEXT, b"BM is a word.\n"),
    (Kind.EMPTY, b""),
    (Kind.UNKNOWN, b"\x01\x02\x03\x04"),
    (Kind.UNKNOWN, b"\x1f\x8bdamaged"),
]


@pytest.mark.parametrize(("kind", "content"), CONTENTS)
@pytest.mark.parametrize("name", ["file", "photo.png", "mnist.npz.gz", "a.b.dat"])
def test_bytes_decide_and_not_the_name(tmp_path, kind, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    assert kind_of(path) == kind


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("labels.csv", b"one column\n", Kind.CSV),
        ("labels.tsv.gz", gzip.compress(b"one column\n"), Kind.CSV),
        ("none.npz", archive(), Kind.NPZ),
        ("mixed.npz", archive("scans/0.png", "images.npy"), Kind.NPZ),
        ("old.pkl", b"(lp0\nI1\na.", Kind.PICKLE),
        ("old.mat", b"\0\0\0\0\x01\0\0\0", Kind.MATLAB),
        ("photo.NEF", picture("TIFF"), Kind.OTHER_IMAGE),
    ],
)
def test_name_helps_in_doubt(tmp_path, name, content, kind):
    path = tmp_path / name
    path.write_bytes(content)
    assert kind_of(path) == kind


def test_damaged_archives_are_what_they_begin_as(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(npz(images=PIXELS)[:300])
    assert kind_of(path) == Kind.NPZ
    path.write_bytes(archive("scans/0.png")[:40])
    assert kind_of(path) == Kind.ZIP


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(st.sampled_from(CONTENTS), st.integers(0, 400), st.binary(max_size=40))
def test_no_damage_raises(tmp_path_factory, example, cut, noise):
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(example[1][:cut] + noise)
    assert isinstance(kind_of(path), Kind)


def test_gzip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    assert kind_of(path) == Kind.COMPRESSED


def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "pipe", "not a plain file"),
        (tmp_path, "not a plain file"),
        (tmp_path / "none", "No such file or directory"),
        (tmp_path / ("n" * 300), "File name too long"),
    ):
        with pytest.raises(InputError, match=reason) as error:
            kind_of(path)
        assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("kind", sorted({*Kind} - READABLE))
def test_refusals_are_one_line_that_names_path_and_format(kind):
    text = refusal(Path("/data/my digits.dat"), kind)
    assert text.startswith(f"/data/my digits.dat: {kind}, which is not read; ")
    assert "\n" not in text
    assert "{" not in text


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("digits.mat", Kind.MATLAB, ["loadmat('digits.mat')", "savez('digits.npz'", "moveaxis"]),
        ("digits.mat", Kind.MATLAB_HDF5, ["h5py.File('digits.mat')", "savez('digits.npz'"]),
        ("x.h5", Kind.HDF5, ["h5py.File('x.h5')", "savez('x.npz'"]),
        ("m.pkl", Kind.PICKLE, ["never loaded", "pickle.load(open('m.pkl', 'rb'))"]),
        ("m.pkl.gz", Kind.PICKLE, ["gzip.open('m.pkl.gz')", "savez('m.npz'"]),
        ("net.pt", Kind.PICKLE, ["torch.load('net.pt')"]),
        ("scans.zip", Kind.ZIP, ["python -m zipfile -e scans.zip scans`"]),
        ("my scans.zip", Kind.ZIP, ["python -m zipfile -e 'my scans.zip' 'my scans'`"]),
        ("scans.tar.gz", Kind.TAR, ["python -m tarfile -e scans.tar.gz scans"]),
        ("archive", Kind.ZIP, ["-e archive archive-new"]),
        ("IMG.HEIC", Kind.HEIC, ["pip install pillow-heif", "save('IMG.png')"]),
        ("a.xlsx", Kind.EXCEL, ["read_excel('a.xlsx').to_csv('a.csv'"]),
        ("it's.svg", Kind.SVG, ["rsvg-convert"]),
        ("a.dcm", Kind.DICOM, ["pydicom.dcmread('a.dcm')"]),
    ],
)
def test_refusals_have_the_remedy(name, kind, words):
    text = refusal(Path(name), kind)
    assert all(word in text for word in words), text


def python_of(text: str) -> str:
    return next(part for part in text.split("`") if part.startswith("import "))


@pytest.mark.parametrize("name", ["digits.mat", "it's {0}.mat"])
def test_python_for_matlab_files_runs(tmp_path, monkeypatch, name):
    import scipy.io

    monkeypatch.chdir(tmp_path)
    scipy.io.savemat(name, {"X": PIXELS[None], "y": np.array([[3]])})
    assert kind_of(Path(name)) == Kind.MATLAB
    exec(python_of(refusal(Path(name), Kind.MATLAB)))  # noqa: S102 - text of our own
    with np.load(Path(name).with_suffix(".npz")) as arrays:
        np.testing.assert_array_equal(arrays["images"], PIXELS[None])
        assert arrays["labels"].tolist() == [3]


def test_python_for_hdf5_files_runs(tmp_path, monkeypatch):
    import h5py

    monkeypatch.chdir(tmp_path)
    with h5py.File("x.h5", "w") as file:
        file["images"], file["labels"] = PIXELS[None], [3]
    assert kind_of(Path("x.h5")) == Kind.HDF5
    exec(python_of(refusal(Path("x.h5"), Kind.HDF5)))  # noqa: S102 - text of our own
    with np.load("x.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], PIXELS[None])


def test_python_for_pickles_runs_when_the_user_runs_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("m.pkl.gz").write_bytes(
        gzip.compress(pickle.dumps({"images": PIXELS[None], "labels": [3]}))
    )
    exec(python_of(refusal(Path("m.pkl.gz"), Kind.PICKLE)))  # noqa: S102 - text of our own
    with np.load("m.npz") as arrays:
        assert arrays["labels"].tolist() == [3]
