"""Images in folders: finding the files, splits and labels by the names of folders."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath
from typing import Literal

from iic.core.errors import InputError, reason_of
from iic.core.plurals import counted
from iic.data.idx import idx_parts, rank_of
from iic.data.images import SKIP_REMEDY, FileSource
from iic.data.kinds import READABLE, Kind, kind_of, refusal
from iic.data.parts import Labels, Part, check_name, first_of, used_splits
from iic.data.splits import SPLITS, Split, split_of, splits_of
from iic.data.tables import labels_by_name

log = logging.getLogger(__name__)

# Files with these suffixes are images unless reading shows otherwise; others are opened to see.
SUFFIXES = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".mpo", ".bmp", ".tif", ".tiff", ".webp"),
        *(".gif", ".pgm", ".ppm", ".pbm", ".pnm", ".avif"),
    }
)
# What the names of subfolders mean.
FolderNames = Literal["splits and labels", "splits", "nothing"]

# Default of data.path, which DVC needs to exist.
_PLACEHOLDER = Path("stages/no-images")
_TABLES = (Kind.CSV,)
# Function from a folder, its files and the title of their source to a part.
_PartOf = Callable[[Path, Sequence[Path], Path], Part]
_ARRAYS = (Kind.NPY, Kind.NPZ, Kind.PARQUET)
# What makes one file of several that each have images.
_JOINING = {
    (Kind.NPY, Kind.NPZ): (
        "put all arrays into one file: numpy.savez('all.npz', train_images=…, train_labels=…, "
        "test_images=…, test_labels=…) with numpy.load of each"
    ),
    (Kind.PARQUET,): (
        "join the Parquet files into one: `import glob, pyarrow, pyarrow.parquet as p; "
        "p.write_table(pyarrow.concat_tables(map(p.read_table, sorted(glob.glob('*.parquet')))), "
        "'all.parquet')`"
    ),
    (Kind.CSV,): "join the tables into one, which has the names of the columns only once",
}
# Files and folders that systems make in folders of images.
_OF_SYSTEMS = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
_FOLDERS_OF_SYSTEMS = frozenset({"__MACOSX", "__pycache__"})


@dataclass(frozen=True)
class Contents:
    """Visible files below a folder.

    Attributes:
        images: Image files, sorted.
        others: All other files, by kind.
        links: Links that lead out of the folder.
    """

    images: list[Path] = field(default_factory=list)
    others: dict[Kind, list[Path]] = field(default_factory=dict)
    links: list[Path] = field(default_factory=list)

    def of(self, *kinds: Kind) -> list[Path]:
        """Return the files of some kinds, sorted."""
        return sorted(path for kind in kinds for path in self.others.get(kind, []))

    def add(self, path: Path, kind: Kind) -> None:
        """Add a file of a kind; raise an InputError if it is readable but its name is not."""
        if kind in READABLE:
            check_name(path)
        if kind is Kind.IMAGE:
            self.images.append(path)
        else:
            self.others.setdefault(kind, []).append(path)


def contents_of(folder: Path, max_images: int, *, skip_broken: bool = False) -> Contents:
    """List the visible files in a folder and its subfolders, by kind.

    Args:
        folder: Folder to search.
        max_images: Largest number of images allowed.
        skip_broken: Whether to leave out links to nothing, and files without the suffix of an image
            that cannot be opened, with a warning.

    Returns:
        The files.

    Raises:
        InputError: There are more than `max_images`, a folder or file cannot be read, the name of
            a readable file is not printable, or a link leads nowhere.
    """
    found = Contents()
    broken, unreadable = [], []
    for path in _walk(folder, found.links, os.path.realpath(folder)):
        if path.is_symlink() and not path.exists():
            broken.append(f"{path.relative_to(folder)} → {path.readlink()}")
            continue
        try:
            kind = Kind.IMAGE if path.suffix.lower() in SUFFIXES else kind_of(path)
        except InputError as error:
            unreadable.append(str(error).removeprefix(f"{folder}/"))
            continue
        found.add(path, kind)
        if len(found.images) > max_images:
            raise InputError(
                f"{folder}: more than {max_images:,} images; choose a smaller folder, "
                "or allow more (data.max_images)"
            )
    _report(folder, "broken link", broken, "restore or remove them", skip=skip_broken)
    _report(folder, "unreadable file", unreadable, "mend or remove them", skip=skip_broken)
    found.images.sort()
    return found


def _report(folder: Path, noun: str, broken: Sequence[str], remedy: str, *, skip: bool) -> None:
    """Warn about files that cannot be opened, if there are any, or refuse them."""
    if not broken:
        return
    line = f"{folder}: {counted(len(broken), noun)}: {first_of(broken)}"
    if not skip:
        raise InputError(f"{line}; {remedy}{SKIP_REMEDY}")
    log.warning("%s; skipped", line)


def _walk(folder: Path, links: list[Path], real_folder: str) -> Iterator[Path]:
    """Yield the visible files below a folder; follow links, but enter each folder once."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: {error.strerror}") from error

    seen: set[str] = set()
    for top, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(top)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if _is_visible(name))
        links += [Path(top, name) for name in folders if _leads_out(Path(top, name), real_folder)]
        for name in files:
            # macOS writes a companion file ._NAME for each file.
            if not name.startswith(".") and name.lower() not in _OF_SYSTEMS:
                yield Path(top, name)


def _is_visible(folder: str) -> bool:
    """Return whether a folder of this name is neither hidden nor made by a system."""
    return not folder.startswith(".") and folder not in _FOLDERS_OF_SYSTEMS


def _leads_out(path: Path, real_folder: str) -> bool:
    return path.is_symlink() and not PurePath(os.path.realpath(path)).is_relative_to(real_folder)


def report_links(folder: Path, links: Sequence[Path], stage: str) -> None:
    """Warn about links that DVC does not follow.

    Args:
        folder: Folder of images.
        links: Links that lead out of it.
        stage: Stage that reads the folder.
    """
    if links:
        log.warning(
            "%s: DVC does not see changes behind links to other folders: %s; after a change, run "
            "`dvc repro -f -s %s`, or set data.path to a folder without links",
            *(folder, first_of([link.relative_to(folder) for link in links]), stage),
        )


def folder_images(
    folder: Path, contents: Contents, max_images: int, *, with_splits: bool = False
) -> dict[str, Part]:
    """Find the images of a folder without labels.

    Args:
        folder: Folder of images or of IDX files.
        contents: Its files.
        max_images: Largest number of images allowed.
        with_splits: Whether names of subfolders are splits; otherwise they mean nothing.

    Returns:
        Parts named "train" and "test", or a single part named ""; without splits, IDX files are
        parts of their own.

    Raises:
        InputError: There are no images or too many, or the folders of splits are ambiguous.
    """
    report_left_out(folder, contents)
    if idx := _idx_files(folder, contents):
        return idx_parts(folder, idx, max_images, with_splits=with_splits)
    if not contents.images:
        raise _nothing(folder, contents, in_pipeline=with_splits)
    if with_splits:
        return _split_parts(folder, contents.images, _unlabelled_part)
    return {"": _unlabelled_part(folder, contents.images, folder)}


def folder_parts(folder: Path, contents: Contents, max_images: int) -> dict[str, Part]:
    """Find the images of a folder, with splits and labels by the names of its subfolders.

    Args:
        folder: Folder of images, with subfolders for splits, for labels, for both or for neither,
            or folder of IDX files.
        contents: Its files.
        max_images: Largest number of images allowed.

    Returns:
        Parts named "train" and "test", or a single part named "".

    Raises:
        InputError: There are no images or too many, or the folders are ambiguous.
    """
    if idx := _idx_files(folder, contents):
        report_left_out(folder, contents)
        return idx_parts(folder, idx, max_images, with_splits=True)
    if not contents.images:
        raise _nothing(folder, contents, in_pipeline=True)
    parts = _split_parts(folder, contents.images, _labelled_part)
    tables = contents.of(*_TABLES)
    used: list[Path] = []
    if tables and all(part.labels is None for part in parts.values()):
        parts = _with_tables(parts, tables, used)
    elif tables:
        names = first_of([table.relative_to(folder) for table in tables])
        log.warning("%s: folders are the labels; labels are not read from %s", folder, names)
        used = tables
    report_left_out(folder, contents, used)
    return parts


def _idx_files(folder: Path, contents: Contents) -> list[Path]:
    """Return the IDX files if some are images, or if there are no other images.

    Beside other images, only those in the folder and one level below count.
    """
    files = contents.of(Kind.IDX)
    if not contents.images:
        return files
    near = [path for path in files if len(path.relative_to(folder).parts) <= 2]
    return near if any(rank_of(path) == 3 for path in near) else []


def _split_parts(folder: Path, images: Sequence[Path], part_of: _PartOf) -> dict[str, Part]:
    """Divide image files by the folders of splits, or return a single part named ""."""
    top = _unwrapped(folder, images)
    if top != folder:
        log.info("%s: looked through to %s, the only folder", folder, top.relative_to(folder))
    folders, others = _split_folders(top)
    inside = {image.parts[len(top.parts)] for image in images}
    others = [path for path in others if path.name in inside]
    # With other names, such as "bus" and "car", "train" is a label.
    if len(folders) < 2 or (others and not {"train", "test"} <= folders.keys()):
        return {"": part_of(top, images, top)}
    names = " and ".join(reason_of(folders[split].name) for split in SPLITS if split in folders)
    loose = [image for image in images if image.parent == top]
    for path in (*others, *loose):
        noun = "image" if path in loose else "folder"
        raise InputError(
            f"{top}: {noun} {reason_of(path.name)} is next to {names}; move it away, or into one "
            "of them"
        )
    return used_splits(_parts_of_splits(folders, images, part_of), top, f"{top}/")


def _split_folders(top: Path) -> tuple[dict[Split, Path], list[Path]]:
    """Return the folders of splits, and all other folders."""
    folders: dict[Split, Path] = {}
    others = []
    inside = _subfolders(top)
    splits = splits_of([path.name for path in inside])
    for path in inside:
        split = splits.get(path.name)
        if split is None:
            others.append(path)
        elif split in folders:
            raise InputError(
                f"{top}: folders {reason_of(folders[split].name)} and {reason_of(path.name)} both "
                f"mean the {split} split; join them"
            )
        else:
            folders[split] = path
    return folders, others


def _parts_of_splits(
    folders: dict[Split, Path], images: Sequence[Path], part_of: _PartOf
) -> dict[str, Part]:
    files: dict[Split, list[Path]] = {split: [] for split in folders}
    splits = {folder.name: split for split, folder in folders.items()}
    depth = len(next(iter(folders.values())).parts) - 1
    for image in images:
        # Faster than `is_relative_to` for many images.
        files[splits[image.parts[depth]]].append(image)
    inner = {split: _unwrapped(folder, files[split]) for split, folder in folders.items()}
    # A lone folder of one split is a label, unless all splits have the same one or it repeats the
    # name of the split.
    relative = {inner[split].relative_to(folder) for split, folder in folders.items()}
    if len(relative) > 1:
        inner = {
            split: inner[split] if split_of(inner[split].name) == split else folder
            for split, folder in folders.items()
        }
    return {
        split: part_of(inner[split], files[split], folders[split])
        for split in SPLITS
        if split in folders
    }


def _unwrapped(folder: Path, images: Sequence[Path]) -> Path:
    """Look through folders that contain a single folder and no images beside it."""
    while len(inside := _subfolders(folder)) == 1 and all(i.parent != folder for i in images):
        if not any(image.is_relative_to(inside[0]) for image in images):
            break
        folder = inside[0]
    return folder


def _unlabelled_part(folder: Path, files: Sequence[Path], title: Path) -> Part:
    """Return the images of a folder; names of its subfolders mean nothing."""
    if not files:
        raise InputError(f"{reason_of(folder)}: contains no images; put PNG or JPEG files there")
    return Part(FileSource(str(title), files), None, f"{folder}/")


def _labelled_part(folder: Path, files: Sequence[Path], title: Path) -> Part:
    """Return the images of a folder; names of its subfolders are their labels."""
    unlabelled = _unlabelled_part(folder, files, title)
    inside = [file.parts[len(folder.parts) :] for file in files]
    loose = [parts for parts in inside if len(parts) == 1]
    if len(loose) == len(files):
        return unlabelled
    if loose:
        raise InputError(
            f"{folder}: {loose[0][0]} is next to the folders of labels; "
            "move it into one of them, or move all images out of them"
        )
    labels = [parts[0] for parts in inside]
    for subfolder in _subfolders(folder):
        if subfolder.name not in labels:
            raise InputError(f"{reason_of(subfolder)}: contains no images; add some or remove it")
    names = sorted(set(labels))
    log.info("%s: labels are the folders in it: %s", folder, first_of(names))
    if below := _repeated_below(inside):
        log.warning(
            "%s: the folders of labels have folders of the same names, which are not used: %s; if "
            "those are the labels or splits, make them the outer folders",
            *(folder, first_of(below)),
        )
    return Part(unlabelled.source, lambda: labels, unlabelled.root)


def _repeated_below(files: Sequence[tuple[str, ...]]) -> list[str]:
    """Return names of folders that are in more than one folder of labels, unless there is one."""
    pairs = {parts[:2] for parts in files if len(parts) > 2}
    counts = Counter(parts[1] for parts in pairs)
    repeated = sorted(name for name, n in counts.items() if n > 1)
    return repeated if len(repeated) > 1 else []


def _with_tables(
    parts: dict[str, Part], tables: Sequence[Path], used: list[Path]
) -> dict[str, Part]:
    """Read labels from tables of file names, one for all images or for each split.

    Tables that are not read are named in a warning.
    """
    paths = {split: [Path(name) for name in part.source.names] for split, part in parts.items()}
    # Answers to a competition are no labels.
    tables = [table for table in tables if "submission" not in table.stem.lower()]
    together, faults = _first_that_fits(tables, [path for some in paths.values() for path in some])
    if together:
        found = dict.fromkeys(parts, together)
    else:
        fitting = {split: _first_that_fits(tables, some)[0] for split, some in paths.items()}
        found = {split: match for split, match in fitting.items() if match}
    read = list(dict.fromkeys(table for table, _ in found.values()))
    for table in read:
        log.info("%s: labels are read from it", table)
    for table, fault in faults.items():
        if table not in read:
            log.warning("%s; labels are not read from it", fault)
    used += [*read, *faults]
    return {
        split: Part(part.source, _lookup(found[split][1], paths[split]), part.root)
        if split in found
        else part
        for split, part in parts.items()
    }


def _first_that_fits(
    tables: Sequence[Path], images: Sequence[Path]
) -> tuple[tuple[Path, dict[Path, str]] | None, dict[Path, InputError]]:
    """Return the first table that has the labels of images, and why the others before do not."""
    faults = {}
    for table in tables:
        try:
            labels = labels_by_name(table, images)
        except InputError as error:
            faults[table] = error
        else:
            return (table, dict(zip(images, labels, strict=True))), faults
    return None, faults


def _lookup(labels: dict[Path, str], paths: Sequence[Path]) -> Labels:
    return partial(list, [labels[path] for path in paths])


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and _is_visible(path.name))


def report_left_out(folder: Path, contents: Contents, used: Sequence[Path] = ()) -> None:
    """Warn about files that are not used, and say how to make them readable.

    Args:
        folder: Folder that contains them.
        contents: Its files.
        used: Files other than images that are used.
    """
    idx = _idx_files(folder, contents)
    left = [
        path
        for files in contents.others.values()
        for path in files
        if path not in used and path not in idx
    ]
    if idx:
        left += contents.images
    total = len(contents.images) + sum(map(len, contents.others.values()))
    if left:
        log.warning(
            "%s: %d of %s left out: %s", folder, len(left), counted(total, "file"), _counts(left)
        )
        for remedy in _remedies(contents):
            log.warning("%s", remedy)


def _counts(files: Sequence[Path]) -> str:
    """Count files by their suffixes."""
    suffixes = Counter(path.suffix.lower() or "without a suffix" for path in files)
    return ", ".join(f"{n:,} {reason_of(suffix)}" for suffix, n in suffixes.most_common())


def _remedies(contents: Contents) -> list[str]:
    """Return how to make images of files in formats that are not read, one line per format."""
    silent = (Kind.TEXT, Kind.EMPTY, Kind.UNKNOWN, Kind.CSV, Kind.IDX, *_ARRAYS)
    kinds = [kind for kind in contents.others if kind not in silent]
    return [refusal(contents.others[kind][0], kind) for kind in kinds]


def _nothing(folder: Path, contents: Contents, *, in_pipeline: bool) -> InputError:
    """Return the error for a folder without images, which says what is there instead.

    Only in a pipeline is the folder the value of data.path.
    """
    if in_pipeline and folder == _PLACEHOLDER:
        return InputError(
            f"data.path: {folder} is the default, which contains no images; set data.path to your "
            "images"
        )
    if files := contents.of(*_ARRAYS, *_TABLES):
        names = first_of([file.relative_to(folder) for file in files])
        suffixes = "/".join(sorted({file.suffix for file in files}))
        remedy = _joining(contents, "set data.path to" if in_pipeline else "give")
        return InputError(f"{folder}: contains {suffixes} files, but no images: {names}; {remedy}")
    if remedies := _remedies(contents):
        return InputError(f"{folder}: contains no images that can be read; {remedies[0]}")
    relative = (
        ""
        if folder.is_absolute() or not in_pipeline
        else ". An experiment outside the workspace (--temp, --queue) needs an absolute data.path"
    )
    found = _counts([path for files in contents.others.values() for path in files])
    what = f"no images, only other files ({found})" if found else "no images"
    return InputError(f"{folder}: contains {what}; put PNG or JPEG files there{relative}")


def _joining(contents: Contents, give: str) -> str:
    """Return how files of arrays or tables become one file that is read."""
    files, remedy = next(
        (files, remedy) for kinds, remedy in _JOINING.items() if (files := contents.of(*kinds))
    )
    return f"{give} {files[0]}" if len(files) == 1 else f"{remedy}, and {give} it"
