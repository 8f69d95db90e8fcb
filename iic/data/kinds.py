"""What a file is, by its first bytes; its name decides only where they leave a doubt."""

import shlex
import zipfile
import zlib
from enum import StrEnum
from pathlib import Path

from PIL import features

from iic.core.errors import InputError, printable, reason_of
from iic.core.files import check_plain

# Bytes that are examined, of the file or of what it unpacks to: a TAR header, without its padding.
_HEAD = 512
# Compressed bytes that are read for them.
_PACKED = 4096
# Largest list of members of a ZIP file that is read, and longest comment after it.
_MOST_LIST, _COMMENT = 4_000_000, 65_557

_READS_AVIF = bool(features.check("avif"))
_READS_JPEG_2000 = bool(features.check("jpg_2000"))
# Pillow's names of the formats that are read as Kind.IMAGE.
FORMATS = (
    *("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"),
    *(["AVIF"] if _READS_AVIF else []),
    *(["JPEG2000"] if _READS_JPEG_2000 else []),
)


class Kind(StrEnum):
    """Kinds of files; those of READABLE are read, and `refusal` explains the others."""

    IMAGE = "an image"
    NPY = "an NPY file"
    NPZ = "an NPZ file"
    IDX = "an IDX file of bytes"
    CSV = "a table of text (CSV)"
    PARQUET = "a Parquet file"
    OTHER_IDX = "an IDX file of numbers other than unsigned bytes"
    OTHER_IMAGE = "an image in a rare format"
    HEIC = "a HEIC or AVIF photo"
    JPEG_XL = "a JPEG XL picture"
    SVG = "an SVG drawing"
    PDF = "a PDF document"
    DICOM = "a DICOM image"
    VIDEO = "a video"
    MATLAB = "a MATLAB file"
    MATLAB_HDF5 = "a MATLAB 7.3 file"
    HDF5 = "an HDF5 file"
    PICKLE = "a pickle of Python or PyTorch"
    EXCEL = "an Excel file"
    ZIP = "a ZIP archive"
    TAR = "a TAR archive"
    ARCHIVE = "a 7z or RAR archive"
    COMPRESSED = "a compressed file"
    TEXT = "text"
    EMPTY = "an empty file"
    UNKNOWN = "a file of an unknown format"


READABLE = frozenset({Kind.IMAGE, Kind.NPY, Kind.NPZ, Kind.IDX, Kind.CSV, Kind.PARQUET})

# Signatures at the beginning of a file that leave no doubt.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", Kind.IMAGE),
    (b"\xff\xd8\xff", Kind.IMAGE),
    (b"GIF87a", Kind.IMAGE),
    (b"GIF89a", Kind.IMAGE),
    (b"II*\0", Kind.IMAGE),
    (b"MM\0*", Kind.IMAGE),
    (b"II+\0", Kind.IMAGE),
    (b"MM\0+", Kind.IMAGE),
    (b"\x93NUMPY", Kind.NPY),
    (b"\0\0\x08", Kind.IDX),
    (b"PAR1", Kind.PARQUET),
    (b"MATLAB 5.0 MAT-file", Kind.MATLAB),
    (b"MATLAB 7.3 MAT-file", Kind.MATLAB_HDF5),
    (b"\x89HDF\r\n\x1a\n", Kind.HDF5),
    (b"%PDF-", Kind.PDF),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind.EXCEL),
    (b"7z\xbc\xaf\x27\x1c", Kind.ARCHIVE),
    (b"Rar!\x1a\x07", Kind.ARCHIVE),
    (b"BZh", Kind.COMPRESSED),
    (b"\xfd7zXZ\0", Kind.COMPRESSED),
    (b"\x28\xb5\x2f\xfd", Kind.COMPRESSED),
    (b"\x1aE\xdf\xa3", Kind.VIDEO),
    (b"\0\0\x01\xba", Kind.VIDEO),
    (b"\xff\x0a", Kind.JPEG_XL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Kind.JPEG_XL),
    (b"8BPS", Kind.OTHER_IMAGE),
    (b"gimp xcf", Kind.OTHER_IMAGE),
    (b"AT&TFORM", Kind.OTHER_IMAGE),
    (b"\0\0\x01\0", Kind.OTHER_IMAGE),  # An icon of Windows.
)
_JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
# Sizes of the second header of a BMP file; "BM" alone may begin a word.
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_IDX_TYPES = frozenset({0x09, 0x0B, 0x0C, 0x0D, 0x0E})
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# What a gzipped file may be that is read or explained without unpacking it.
_INSIDE_GZIP = frozenset({Kind.IDX, Kind.OTHER_IDX, Kind.CSV, Kind.PICKLE, Kind.TAR})
_DELIMITERS = "\t;,"
# Raw photos of cameras begin as TIFF files, of which Pillow would read the thumbnail.
_TIFF_SIGNATURES = (b"II", b"MM")
_RAW_SUFFIXES = frozenset({".arw", ".cr2", ".dng", ".nef", ".nrw", ".orf", ".pef", ".rw2", ".srw"})
_BY_SUFFIX = {
    ".mat": Kind.MATLAB,
    ".pkl": Kind.PICKLE,
    ".pickle": Kind.PICKLE,
    ".heic": Kind.HEIC,
    ".heif": Kind.HEIC,
}


def kind_of(path: Path) -> Kind:
    """Tell what a file is by its first bytes, through gzip; content is never trusted.

    Args:
        path: Regular file.

    Returns:
        Its kind; damaged content gives the kind that it begins as, or Kind.UNKNOWN.

    Raises:
        InputError: The file is missing or cannot be read, or is a folder, pipe or device.
    """
    try:
        check_plain(path)
        with path.open("rb") as file:
            head = file.read(_PACKED)
        if head.startswith((b"PK\3\4", b"PK\5\6")):
            return _zip_kind(path, head)
    except OSError as error:
        raise InputError(f"{printable(path)}: {error.strerror or reason_of(error)}") from error
    if not head.startswith(b"\x1f\x8b"):
        return _kind(head[:_HEAD], path.suffix.lower())
    try:
        # Unlike `gzip`, this limits what is read and what is unpacked.
        inside = zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    except zlib.error:
        return Kind.UNKNOWN
    kind = _kind(inside, path.with_suffix("").suffix.lower())
    return kind if kind in _INSIDE_GZIP else Kind.COMPRESSED


def _kind(head: bytes, suffix: str) -> Kind:
    """Return the kind of a file by its first bytes; the suffix helps if these leave a doubt."""
    if not head:
        return Kind.EMPTY
    if head.startswith(_TIFF_SIGNATURES) and suffix in _RAW_SUFFIXES:
        return Kind.OTHER_IMAGE
    if found := _binary_kind(head):
        return found
    if _is_text(head):
        return _text_kind(head, suffix)
    return _BY_SUFFIX.get(suffix, Kind.UNKNOWN)


def _binary_kind(head: bytes) -> Kind | None:
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head.startswith(_JPEG_2000):
        return Kind.IMAGE if _READS_JPEG_2000 else Kind.OTHER_IMAGE
    if head[:4] == b"RIFF":
        return {b"WEBP": Kind.IMAGE, b"AVI ": Kind.VIDEO}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _media_kind(head)
    return _kind_by_fields(head)


def _kind_by_fields(head: bytes) -> Kind | None:
    """Return the kind of a file whose signature is short or lies further inside."""
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Kind.IMAGE
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return Kind.IMAGE
    if head[:2] == b"\0\0" and len(head) > 3 and head[2] in _IDX_TYPES and 1 <= head[3] <= 4:
        return Kind.OTHER_IDX
    # Protocols 2 to 5.
    if head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5" and len(head) > 2:
        return Kind.PICKLE
    if head[128:132] == b"DICM":
        return Kind.DICOM
    return Kind.TAR if head[257:262] == b"ustar" else None


def _media_kind(head: bytes) -> Kind:
    """Tell photos from videos in the family of MP4 by their brands."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[k : k + 4] for k in range(16, size, 4))]
    if brands[0] in (b"avif", b"avis") or b"avif" in brands:
        return Kind.IMAGE if _READS_AVIF else Kind.HEIC
    return Kind.HEIC if any(brand in _HEIC_BRANDS for brand in brands) else Kind.VIDEO


def _is_text(head: bytes) -> bool:
    """Return whether bytes look like text: UTF-16, or without control characters."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return not any((byte < 32 and byte not in b"\t\n\r\f") or byte == 127 for byte in head)


def _text_kind(head: bytes, suffix: str) -> Kind:
    text = head.decode("utf-8-sig", "replace").lstrip()
    if text.startswith("<"):
        return Kind.SVG if "<svg" in text or suffix == ".svg" else Kind.TEXT
    if suffix in (".pkl", ".pickle"):
        return Kind.PICKLE  # Protocol 0 is text.
    if suffix in (".csv", ".tsv") or _is_table(text, is_cut=len(head) == _HEAD):
        return Kind.CSV
    return Kind.TEXT


def _is_table(text: str, *, is_cut: bool) -> bool:
    """Return whether all lines have the same number of fields, and at least two."""
    if text.startswith(("[", "{")):
        return False
    lines = text.splitlines()
    whole = lines[:-1] if is_cut and len(lines) > 1 else lines
    for delimiter in _DELIMITERS:
        widths = {line.count(delimiter) for line in whole if line.strip()}
        # A single line may be a sentence with a comma.
        if len(widths) == 1 and min(widths) >= (1 if len(whole) > 1 else 4):
            return True
    return False


def _zip_kind(path: Path, head: bytes) -> Kind:
    names = [name for name in _members(path, head) if not name.endswith("/")]
    arrays = [name for name in names if name.endswith(".npy")]
    if arrays and len(arrays) == len(names):
        return Kind.NPZ
    # In doubt, the reader of NPZ files names what it does not read.
    if path.suffix.lower() == ".npz" and (arrays or not names):
        return Kind.NPZ
    if any(name.startswith("xl/") for name in names):
        return Kind.EXCEL
    return Kind.PICKLE if any(name.endswith("/data.pkl") for name in names) else Kind.ZIP


def _members(path: Path, head: bytes) -> list[str]:
    """List the members of a ZIP file; only the first if the list is damaged or very long."""
    length = int.from_bytes(head[26:28], "little")
    first = [head[30 : 30 + length].decode("utf-8", "replace")] if head[:4] == b"PK\3\4" else []
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _COMMENT))
        tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or int.from_bytes(tail[end + 12 : end + 16], "little") > _MOST_LIST:
        return first
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception:
        # Damage can raise almost any exception in the reader of ZIP files.
        return first


_REMEDIES = {
    Kind.OTHER_IDX: (
        "save its numbers as NPY: `import gzip, numpy; d = open({name}, 'rb').read(); "
        "numpy.save({npy}, numpy.frombuffer(d, '>i4', offset=12).reshape(n, k))` "
        "(gzip.open for .gz; the third byte gives the type, 0x0c for int32, and the offset is "
        "4 + 4 × dimensions)"
    ),
    Kind.OTHER_IMAGE: "open it in an image program and save it as PNG",
    Kind.HEIC: (
        "make PNG of it: `pip install pillow-heif`, then `import pillow_heif, PIL.Image; "
        "pillow_heif.register_heif_opener(); PIL.Image.open({name}).save({png})`"
    ),
    Kind.JPEG_XL: "make PNG of it: `djxl {quoted} {quoted_stem}.png`",
    Kind.SVG: "draw it as pixels: `rsvg-convert -o {quoted_stem}.png {quoted}`",
    Kind.PDF: "make pictures of its pages: `pdftoppm -png -r 300 {quoted} {quoted_stem}`",
    Kind.DICOM: (
        "make an NPZ file of its pixels: `import numpy, pydicom; d = pydicom.dcmread({name}); "
        "numpy.savez({npz}, images=d.pixel_array[None])`"
    ),
    Kind.VIDEO: "save its frames as pictures: `ffmpeg -i {quoted} {quoted_stem}-%05d.png`",
    Kind.MATLAB: (
        "make an NPZ file of it: `import numpy, scipy.io; m = scipy.io.loadmat({name}); "
        "numpy.savez({npz}, images=m['X'], labels=m['y'].ravel())` (m.keys() are the names; "
        "axes: images must be first, numpy.moveaxis(m['X'], -1, 0) if they are last)"
    ),
    Kind.MATLAB_HDF5: (
        "make an NPZ file of it: `import h5py, numpy; m = h5py.File({name}); "
        "numpy.savez({npz}, images=m['X'][()].swapaxes(1, 2), labels=m['y'][()].ravel())` "
        "(list(m) are the names; axes: h5py reverses MATLAB's, and images must be first)"
    ),
    Kind.HDF5: (
        "make an NPZ file of it: `import h5py, numpy; m = h5py.File({name}); "
        "numpy.savez({npz}, images=m['images'][()], labels=m['labels'][()])` "
        "(list(m) are the names; axes: images must be first)"
    ),
    Kind.PICKLE: (
        "it is never loaded, since loading can run any code. If you trust it, make an NPZ file of "
        "it yourself: `{load}; numpy.savez({npz}, images=d['images'], labels=d['labels'])` "
        "(print d to see its parts)"
    ),
    Kind.EXCEL: (
        "save its sheet as CSV (UTF-8): `import pandas; "
        "pandas.read_excel({name}).to_csv({csv}, index=False)`"
    ),
    Kind.ZIP: "unpack it with `python -m zipfile -e {quoted} {quoted_stem}` and give the folder",
    Kind.TAR: "unpack it with `python -m tarfile -e {quoted} {quoted_stem}` and give the folder",
    Kind.ARCHIVE: "unpack it with `7z x -o{quoted_stem} {quoted}` and give the folder",
    Kind.COMPRESSED: "unpack it first (gunzip, bunzip2, unxz or unzstd)",
    Kind.EMPTY: "remove it, or copy it again",
    Kind.TEXT: (
        "give images, or a table (CSV) in UTF-8 whose columns are separated by commas, semicolons "
        "or tabs"
    ),
}
_OTHERS = (
    "give images (PNG, JPEG, TIFF, BMP, GIF, WebP), an NPZ, NPY, IDX or CSV file, or a folder of "
    "images"
)


def refusal(path: Path, kind: Kind) -> str:
    """Explain in one line why a file is not read, and what makes a readable file of it.

    Args:
        path: The file.
        kind: Its kind.

    Returns:
        The path, the format and the remedy: about two lines of Python or a command.
    """
    name = reason_of(path.name)
    stem = name.removesuffix(".gz").rpartition(".")[0] or f"{name}-new"
    remedy = _REMEDIES.get(kind, _OTHERS).format(
        name=repr(name),
        **{suffix: repr(f"{stem}.{suffix}") for suffix in ("csv", "npy", "npz", "png")},
        quoted=shlex.quote(name),
        quoted_stem=shlex.quote(stem),
        load=_loading(name),
    )
    return f"{printable(path)}: {kind}, which is not read; {remedy}"


def _loading(name: str) -> str:
    """Return the Python code that loads a pickle as `d`."""
    if name.lower().endswith((".pt", ".pth")):
        return f"import numpy, torch; d = torch.load({name!r})"
    if name.lower().endswith(".gz"):
        return f"import gzip, numpy, pickle; d = pickle.load(gzip.open({name!r}))"
    return f"import numpy, pickle; d = pickle.load(open({name!r}, 'rb'))"
