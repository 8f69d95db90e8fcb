"""What a path holds: images by split with their labels, from any supported format.

The pipeline, `iic predict` and all other readers of images use this module, so that they find the
same images in the same order. Whatever is not used is named in a warning.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from iic.core.errors import InputError
from iic.core.plurals import counted
from iic.data.arrays import (
    MOST_BYTES,
    ArrayRole,
    Header,
    describe_arrays,
    npz_headers,
    read_npy,
    read_npz,
    role_of,
)
from iic.data.folders import (
    SUFFIXES,
    Contents,
    FolderNames,
    contents_of,
    folder_images,
    folder_parts,
    report_links,
)
from iic.data.idx import read_idx
from iic.data.images import ArraySource, EncodedSource, FileSource, check_file
from iic.data.kinds import Kind, kind_of, refusal
from iic.data.labels import label_texts
from iic.data.parts import Labels, Part, check_name, used_splits
from iic.data.splits import SPLITS, Split
from iic.data.tables import (
    NoLabelColumnError,
    is_pixel_table,
    labels_by_name,
    names_table,
    parquet_images,
    pixel_table,
)

log = logging.getLogger(__name__)

_Arrays = Mapping[tuple[Split | None, str], str]
# Function from a file, the largest number of images and what names mean to parts.
_Reader = Callable[[Path, int, FolderNames], dict[str, Part]]


def find_parts(
    path: Path,
    max_images: int,
    *,
    names: FolderNames = "splits and labels",
    skip_broken: bool = False,
    stage: str | None = None,
) -> dict[str, Part]:
    """Find all images at a path.

    Args:
        path: Image file, folder of images or of IDX files, NPZ, NPY, IDX, CSV or Parquet file.
        max_images: Largest number of images allowed.
        names: What the names of subfolders and arrays mean. If nothing, all images of a folder are
            one part, each array of a file is a part, and labels are not read.
        skip_broken: Whether what cannot be read is left out instead of refused: in a folder here,
            with a warning; a single file by whoever reads its source.
        stage: Stage of a pipeline that reads the images; it makes warnings of files whose changes
            DVC does not see.

    Returns:
        Parts named "train" and "test", or a single part named "" if there is no split. If names
        mean nothing, any parts.

    Raises:
        InputError: There are no images or too many, the file has another format, or a name is not
            printable.
    """
    check_name(path)
    if path.is_dir():
        contents = contents_of(path, max_images, skip_broken=skip_broken)
        parts = _FOLDER_READERS[names](path, contents, max_images)
        if stage:
            report_links(path, contents.links, stage)
        return parts
    if not os.path.lexists(path):
        raise InputError(f"{path}: not found")
    kind = _readable_kind(path, skip_broken=skip_broken)
    parts = _READERS[kind](path, max_images, names)
    if stage and kind is Kind.CSV and isinstance(parts[""].source, FileSource):
        log.warning(
            "%s: DVC sees changes of this table, but not of the images that it names; after a "
            "change, run `dvc repro -f -s %s`",
            *(path, stage),
        )
    return parts


def _readable_kind(path: Path, *, skip_broken: bool) -> Kind:
    """Return the kind of a file, or raise an InputError if it is not one of those that are read.

    With `skip_broken`, any other file counts as an image: its source says what is wrong with it.
    """
    try:
        check_file(path)
        kind = _kind(path)
        if kind not in _READERS:
            raise InputError(refusal(path, kind))
    except InputError:
        if not skip_broken:
            raise
        return Kind.IMAGE
    return kind


def _kind(path: Path) -> Kind:
    """Return the kind of a file by its content; the name of a damaged file tells what it was."""
    kind = kind_of(path)
    if kind in (Kind.TEXT, Kind.EMPTY, Kind.UNKNOWN):
        suffix = path.suffix.lower()
        return Kind.NPZ if suffix == ".npz" else Kind.IMAGE if suffix in SUFFIXES else kind
    return kind


def _image_part(path: Path, *_: object) -> dict[str, Part]:
    return {"": Part(FileSource(str(path), [path]), None, f"{path.parent}/")}


def _npy_part(path: Path, max_images: int, *_: object) -> dict[str, Part]:
    source = ArraySource(str(path), read_npy(path, max_images))
    return {"": Part(source, None, f"{path.parent}/")}


def _idx_part(path: Path, max_images: int, *_: object) -> dict[str, Part]:
    source = ArraySource(str(path), read_idx(path, max_images))
    return {"": Part(source, None, f"{path.parent}/")}


def _npz_parts(path: Path, max_images: int, names: FolderNames) -> dict[str, Part]:
    """Return the images of an NPZ file by the names of its arrays."""
    headers = npz_headers(path)
    used = _used_arrays(headers)
    splits = [split for split, role in used if role == "images"]
    if not splits:
        raise InputError(
            f"{path}: {_contents(headers)}; expected images, or train_images and test_images, "
            "and optionally labels, or train_labels and test_labels"
        )
    if names != "nothing" and None in splits and len(splits) > 1:
        # Images without a split beside those of splits are rather the same images again.
        used = {key: name for key, name in used.items() if key[0] is not None}
        splits = [split for split in splits if split is not None]
    known = [name for (split, _), name in used.items() if split in splits]
    if unused := {name: header for name, header in headers.items() if name not in known}:
        log.warning("%s: arrays that are not read: %s", path, describe_arrays(unused))
    images = read_npz(path, max_images, [used[split, "images"] for split in splits])
    parts: dict[str, Part] = {
        split or "": _npz_part(path, max_images, used, split, images) for split in splits
    }
    return parts if names == "nothing" else used_splits(parts, path, f"{path}#")


def _contents(headers: Mapping[str, Header]) -> str:
    return f"contains the arrays {describe_arrays(headers)}" if headers else "contains no arrays"


def _used_arrays(headers: Mapping[str, Header]) -> _Arrays:
    """Return the name of the array by split and role; the most usual name of several is used."""
    roles: dict[str, ArrayRole] = {
        name: role for name in headers if (role := role_of(name)) is not None
    }
    used: dict[tuple[Split | None, str], str] = {}
    for name in sorted(roles, key=lambda name: roles[name].rank):
        used.setdefault((roles[name].split, roles[name].role), name)
    return dict(sorted(used.items(), key=lambda item: (None, *SPLITS).index(item[0][0])))


def _npz_part(
    path: Path,
    max_images: int,
    used: _Arrays,
    split: Split | None,
    images: Mapping[str, np.ndarray],
) -> Part:
    name = used[split, "images"]
    source = ArraySource(f"{path}#{name}", images[name], f"{path}: {name}")
    labels = used.get((split, "labels"))
    if labels is None:
        return Part(source, None, f"{path}#")
    return Part(
        source, partial(_npz_labels, path, max_images, labels, len(source.names)), f"{path}#"
    )


def _npz_labels(path: Path, max_images: int, name: str, n: int) -> list[str]:
    return label_texts(read_npz(path, max_images, [name])[name], n, f"{path}: {name}")


def _table_parts(path: Path, max_images: int, names: FolderNames) -> dict[str, Part]:
    """Return the images of a table of pixels, or those that a table of file names lists."""
    if is_pixel_table(path):
        images, labels = pixel_table(path, max_images, MOST_BYTES)
        source = ArraySource(str(path), images)
        return {"": Part(source, _known(labels, len(images), path), f"{path.parent}/")}
    listed = names_table(path)
    if listed is None:
        raise InputError(
            f"{path}: neither a table of pixels (label, pixel0, pixel1, …) nor of names of image "
            "files with labels"
        )
    files = list(dict.fromkeys(_listed_file(path.parent, name) for name in listed))
    if repeated := len(listed) - len(files):
        log.warning(
            "%s: %s with a file that is listed before; read once", path, counted(repeated, "line")
        )
    for file in files:
        check_name(file)
    if len(files) > max_images:
        raise InputError(f"{path}: more than {max_images:,} images (data.max_images)")
    labels_of_files = _table_labels(path, files) if names == "splits and labels" else None
    return {"": Part(FileSource(str(path), files), labels_of_files, f"{path.parent}/")}


def _listed_file(folder: Path, name: str) -> Path:
    """Return the file that a table names; tables from Windows have backslashes after folders."""
    file = folder / name
    if "\\" not in name or os.path.exists(file):  # noqa: PTH110 - Path.exists raises for long names
        return file
    return folder / name.replace("\\", "/")


def _table_labels(path: Path, files: Sequence[Path]) -> Labels | None:
    """Return the labels that a table gives to the files that it names, if it has any."""
    try:
        labels = labels_by_name(path, files)
    except NoLabelColumnError as error:
        log.warning("%s; labels are not read from it", error)
        return None
    return lambda: labels


def _parquet_part(path: Path, max_images: int, *_: object) -> dict[str, Part]:
    contents, labels = parquet_images(path, max_images, MOST_BYTES)
    source = EncodedSource(str(path), contents)
    return {"": Part(source, _known(labels, len(contents), path), f"{path.parent}/")}


def _known(labels: np.ndarray | None, n: int, path: Path) -> Labels | None:
    return None if labels is None else partial(label_texts, labels, n, str(path))


_FOLDER_READERS: dict[FolderNames, Callable[[Path, Contents, int], dict[str, Part]]] = {
    "splits and labels": folder_parts,
    "splits": partial(folder_images, with_splits=True),
    "nothing": folder_images,
}
_READERS: dict[Kind, _Reader] = {
    Kind.IMAGE: _image_part,
    Kind.NPZ: _npz_parts,
    Kind.NPY: _npy_part,
    Kind.IDX: _idx_part,
    Kind.CSV: _table_parts,
    Kind.PARQUET: _parquet_part,
}
