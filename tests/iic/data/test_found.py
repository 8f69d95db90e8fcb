"""What is found at a path: splits, wrappers, tables, left-out files, links, copies."""

import gzip
import logging
import os
import shutil
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from iic.core.errors import InputError
from iic.data.custom import custom_dataset
from iic.data.datasets import Dataset, digits_dataset
from iic.data.examine import examine
from iic.data.found import find_parts
from iic.data.images import Reading, UnreadableImageError, read_images

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500)
MOST = 10_000


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return digits_dataset().train_images[:60]


@pytest.fixture(scope="module")
def labels() -> list[str]:
    return digits_dataset().train_labels[:60].astype(str).tolist()


def save(path: Path, image: np.ndarray | Image.Image, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = image if isinstance(image, Image.Image) else Image.fromarray(image)
    whole.save(path, **options)


def flat(folder: Path, images: np.ndarray, suffix: str = "png", start: int = 0) -> None:
    for number, image in enumerate(images, start):
        save(folder / f"{number:03d}.{suffix}", image)


def classes(folder: Path, images: np.ndarray, labels: list[str]) -> None:
    """Save images in a folder for each label, of which there are three."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        save(folder / label / f"{number:03d}.png", image)


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">I{array.ndim}I", 8 << 8 | array.ndim, *array.shape)
    content = header + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def mnist(folder: Path, images: np.ndarray, name: str = "{split}-{kind}-idx{rank}-ubyte") -> None:
    """Save 20 training and 10 test images as IDX files."""
    for split, some in (("train", slice(20)), ("t10k", slice(20, 30))):
        write_idx(folder / name.format(split=split, kind="images", rank=3), images[some])
        write_idx(folder / name.format(split=split, kind="labels", rank=1), np.arange(60)[some] % 3)


def read(path: Path, **reading: str) -> Dataset:
    return custom_dataset(path, Reading(**reading), 0.15, MOST)


def refused(path: Path, **reading: str) -> str:
    with pytest.raises(InputError) as error:
        read(path, **reading)
    line = str(error.value)
    assert "\n" not in line
    return line


def sizes(data: Dataset) -> tuple[int, int]:
    return len(data.train_images), len(data.test_images)


THREE = [str(k % 3) for k in range(60)]


# Splits and wrapping folders


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training", "testing"),
        ("Train", "Test"),
        ("trainingSet", "testSet"),
        ("train_set", "test_set"),
        ("TRAIN_IMAGES", "Test-Images"),
        ("mnist_train", "mnist_test"),
        ("01_train", "02_test"),
        ("MNIST - JPG - training", "MNIST - JPG - testing"),
        ("train/images", "test/images"),
        ("wrap/train", "wrap/test"),
        ("trainingSet/trainingSet", "testSet/testSet"),
    ],
)
def test_words_for_splits(tmp_path, images, train, test):
    classes(tmp_path / train, images[:12], THREE[:12])
    classes(tmp_path / test, images[12:18], THREE[:6])
    data = read(tmp_path)
    assert (sizes(data), data.names) == ((12, 6), ("0", "1", "2"))


@settings(derandomize=True, database=None, deadline=None, max_examples=20)
@given(
    words=st.tuples(
        st.sampled_from(["train", "training", "trainingSet", "train_images"]),
        st.sampled_from(["test", "testing", "testSet", "tst"]),
        st.sampled_from([None, "val", "valid", "validation", "dev"]),
    ),
    case=st.sampled_from([str.lower, str.upper, str.capitalize, str]),
    order=st.permutations(range(3)),
)
def test_any_spelling_and_order_of_splits_gives_the_same_data(
    tmp_path_factory, images, words, case, order
):
    parts = [slice(10), slice(10, 15), slice(15, 20)]
    expected = None
    for names in (("train", "test", words[2] and "val"), [word and case(word) for word in words]):
        folder = tmp_path_factory.mktemp("splits")
        for k in order:
            if names[k]:
                classes(folder / names[k], images[parts[k]], THREE[parts[k]])
        data = read(folder)
        if expected is None:
            expected = data
        np.testing.assert_array_equal(data.train_images, expected.train_images)
        np.testing.assert_array_equal(data.test_images, expected.test_images)
        np.testing.assert_array_equal(data.train_labels, expected.train_labels)
        assert data.names == expected.names


@pytest.mark.parametrize("names", [("bus", "train"), ("train station", "test tube"), ("test 1",)])
def test_labels_that_are_words_for_splits(tmp_path, images, names):
    for number, name in enumerate((*names, "test 2") if len(names) == 1 else names):
        flat(tmp_path / name, images[5 * number : 5 * number + 5])
    assert len(read(tmp_path).names) == 2


def test_folders_inside_the_labels_are_named_if_they_repeat(tmp_path, images, caplog):
    classes(tmp_path / "x/train", images[:12], THREE[:12])
    classes(tmp_path / "x/holdout", images[12:18], THREE[:6])
    assert read(tmp_path / "x").names == ("holdout", "train")
    assert "folders of the same names, which are not used: 0, 1, 2; if those" in caplog.text
    caplog.clear()
    for label in "01":
        for split in ("train", "test"):
            flat(tmp_path / "y" / label / split, images[: 9 if split == "train" else 3])
    read(tmp_path / "y")
    assert "which are not used: test, train; if" in caplog.text
    caplog.clear()
    flat(tmp_path / "z/0/a", images[:4])
    flat(tmp_path / "z/1/b", images[4:8])
    read(tmp_path / "z")
    assert "not used" not in caplog.text


def test_one_folder_too_high_is_looked_through(tmp_path, images, caplog):
    classes(tmp_path / "scans", images[:16], ["3", "7"] * 8)
    with caplog.at_level(logging.INFO):
        assert read(tmp_path).names == ("3", "7")
    assert "looked through to scans, the only folder" in caplog.text
    assert "scans: labels are the folders in it: 3, 7" in caplog.text


def test_ambiguous_splits_are_refused_with_a_remedy(tmp_path, images):
    for name in ("train", "Train", "test"):
        classes(tmp_path / "x" / name, images[:6], THREE[:6])
    assert "both mean the train split; join them" in refused(tmp_path / "x")
    shutil.rmtree(tmp_path / "x/Train")
    flat(tmp_path / "x/extra", images[:3])
    assert "folder extra is next to train and test; move it away" in refused(tmp_path / "x")


def test_labels_of_the_test_split_alone(tmp_path, images, caplog):
    classes(tmp_path / "x/train", images[:12], THREE[:12])
    flat(tmp_path / "x/test/unknown", images[12:18])
    data = read(tmp_path / "x")
    assert (sizes(data), data.names) == ((12, 6), ())
    assert "no labels (unknown, not among those of train)" in caplog.text
    flat(tmp_path / "x/test/1", images[18:20])
    assert read(tmp_path / "x").names == ("0", "1", "2", "unknown")
    assert "6 test images with labels that are not among those of train: unknown (6)" in caplog.text


@pytest.mark.parametrize("name", ["-1", "unknown", "Unlabeled"])
def test_label_that_means_no_label_is_named(tmp_path, images, name, caplog):
    np.savez(tmp_path / "x.npz", images=images, labels=np.array([name, *THREE[1:]]))
    assert name in read(tmp_path / "x.npz").names
    assert f"{name} may mean images without a label, but is a label like the others" in caplog.text


# Files


def test_files_of_every_suffix_are_images(tmp_path, images, labels):
    for number, suffix in enumerate(("jpg", "jfif", "pgm", "gif")):
        some = images[3 * number : 3 * number + 3]
        flat(tmp_path / "flat", some, suffix, 3 * number)
        flat(tmp_path / "classes" / suffix, some, suffix)
    assert sum(sizes(read(tmp_path / "flat"))) == 12
    data = read(tmp_path / "classes")
    assert (sum(sizes(data)), data.names) == (12, ("gif", "jfif", "jpg", "pgm"))


@pytest.mark.parametrize("name", ["{}", "{}.jpg", "{}.JPEG", "{}.txt", "{}.dat"])
def test_content_decides_what_a_file_is(tmp_path, images, name):
    for number in range(3):
        save(tmp_path / name.format(number), images[number], format="PNG")
    assert sum(sizes(read(tmp_path))) == 3


def test_first_picture_of_an_mpo_is_read(tmp_path, images):
    for number, image in enumerate(images[:8]):
        page = Image.fromarray(255 - image).convert("RGB").resize((56, 56))
        preview = page.resize((14, 14))
        more = {"format": "MPO", "save_all": True, "append_images": [preview]}
        save(tmp_path / f"{number}.jpg", page, **(more if number < 4 else {}))
    data = read(tmp_path)
    assert sum(sizes(data)) == 8
    assert min(np.ptp(image) for image in data.train_images) > 128


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_several_pictures_in_one_file_are_refused_or_skipped(tmp_path, images, suffix):
    flat(tmp_path, images[:4])
    pages = [Image.fromarray(image) for image in images[:3]]
    save(tmp_path / f"x.{suffix}", pages[0], save_all=True, append_images=pages[1:])
    assert f"x.{suffix}: several images in one file" in refused(tmp_path)
    assert sum(sizes(read(tmp_path, broken="skip"))) == 4


def test_heic_is_named_with_a_remedy_whatever_its_name(tmp_path, images, caplog):
    flat(tmp_path / "x", images[:4])
    (tmp_path / "x/p.jpg").write_bytes(HEIC)
    line = refused(tmp_path / "x")
    assert "HEIC" in line
    assert "pillow_heif" in line
    assert sum(sizes(read(tmp_path / "x", broken="skip"))) == 4
    assert "1 of 5 images skipped" in caplog.text
    (tmp_path / "x/p.jpg").unlink()
    for number in range(36):
        (tmp_path / f"x/{number}.heic").write_bytes(HEIC)
    assert sum(sizes(read(tmp_path / "x"))) == 4
    assert "36 of 40 files left out: 36 .heic" in caplog.text
    assert "pillow_heif" in caplog.text


@pytest.mark.parametrize(
    ("name", "content"), [("x.tga", b"\0\0\2" + bytes(15) + b"\xfe" * 99), ("x.dat", b"\xfe\xff\0")]
)
def test_folder_of_other_files_alone_says_which(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    suffix = Path(name).suffix
    assert f"contains no images, only other files (1 {suffix}); put PNG" in refused(tmp_path)


def test_files_that_systems_leave_behind_do_not_matter(tmp_path, images, caplog):
    caplog.set_level(logging.WARNING)
    classes(tmp_path / "x", images[:12], THREE[:12])
    for name in ("__MACOSX/0/._1.png", ".DS_Store", "0/Thumbs.db", "desktop.ini", "0/._000.png"):
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    assert (sum(sizes(read(tmp_path / "x"))), caplog.text) == (12, "")


def test_folders_whose_names_begin_with_underscores_are_read(tmp_path, images, caplog):
    caplog.set_level(logging.WARNING)
    for label, some in (("__background__", images[:6]), ("_x", images[6:9]), ("y", images[9:12])):
        flat(tmp_path / label, some)
    flat(tmp_path / "__pycache__", images[20:21])
    data = read(tmp_path)
    assert (sum(sizes(data)), data.names) == (12, ("__background__", "_x", "y"))
    (part,) = find_parts(tmp_path, MOST, names="nothing").values()
    assert len(part.source.names) == 12
    assert caplog.text == ""
    (tmp_path / "__none__").mkdir()
    assert "__none__: contains no images" in refused(tmp_path)


def test_arrays_and_tables_of_pixels_in_a_folder_are_named(tmp_path, images):
    for suffix, kind in ((".npy", np.save), (".npz", np.savez)):
        folder = tmp_path / suffix
        folder.mkdir()
        for name in ("x_train", "x_test"):
            kind(folder / f"{name}{suffix}", images)
        line = refused(folder)
        assert f"contains {suffix} files, but no images: x_test{suffix}, x_train{suffix}" in line
        assert "numpy.savez(" in line
        assert "absolute" not in line


@pytest.mark.parametrize(
    ("names", "remedy"),
    [
        (["a.csv", "b.csv"], "join the tables into one, which has the names of the columns only"),
        (["a.parquet", "b.parquet"], "join the Parquet files into one: `import glob, pyarrow"),
        (["a.parquet", "b.csv"], "set data.path to {folder}/a.parquet"),
        (["a.csv"], "set data.path to {folder}/a.csv"),
    ],
)
def test_several_tables_are_refused_with_the_remedy_for_their_format(tmp_path, names, remedy):
    for name in names:
        (tmp_path / name).write_bytes(b"PAR1" if name.endswith("parquet") else b"a,b\nx,y\n")
    line = refused(tmp_path)
    assert remedy.format(folder=tmp_path) in line
    assert "numpy.load" not in line
    assert "set data.path to" in line


def test_only_a_pipeline_is_told_of_its_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("table").mkdir()
    Path("table/a.csv").write_text("a,b\nx,y\n")
    assert "(--temp, --queue) needs an absolute data.path" in refused(Path("empty"))
    for folder, remedy in (("empty", "put PNG or JPEG files there"), ("table", "give table/a.csv")):
        with pytest.raises(InputError) as error:
            find_parts(Path(folder), MOST, names="nothing")
        assert str(error.value).endswith(remedy)


_OTHERS = {
    "note.txt": b"hello",
    "data.json": b'{"a": 1}',
    "scan.heic": HEIC,
    "a.pkl": b"\x80\x04\x95cposix",
    "b.zip": b"PK\x05\x06" + bytes(18),
    "nothing": b"",
    "c.bin": bytes(range(1, 32)),
    "t.csv": b"a,b\nx,y\n",
    "d.npy": b"\x93NUMPY\x01\0",
    "e.mat": b"MATLAB 5.0 MAT-file" + bytes(200),
}


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(
    names=st.sets(st.sampled_from(sorted(_OTHERS))),
    suffixes=st.lists(
        st.sampled_from(["png", "jpg", "jfif", "gif", "pgm", "tif", "bmp", ""]),
        min_size=2,
        max_size=6,
    ),
    deep=st.booleans(),
)
def test_every_file_is_used_or_counted(tmp_path_factory, images, names, suffixes, deep):
    folder = tmp_path_factory.mktemp("any")
    for number, suffix in enumerate(suffixes):
        name = f"a/b/{number}" if deep else str(number)
        path = folder / (f"{name}.{suffix}" if suffix else name)
        save(path, images[number], format=None if suffix else "PNG")
    for name in names:
        (folder / name).write_bytes(_OTHERS[name])
    with Captured() as lines:
        data = read(folder)
        mentioned = [line for line in lines if "left out" in line or "not read" in line]
    assert sum(sizes(data)) == len(suffixes)
    table = {"t.csv"} & names
    counted = len(names - table)
    if counted:
        assert any(f"{counted} of {counted + len(table) + len(suffixes)} files" in line
                   for line in mentioned)  # fmt: skip
    assert bool(table) == any("t.csv: no column has the names" in line for line in mentioned)
    # `iic predict` finds the same images.
    (part,) = find_parts(folder, MOST, names="nothing").values()
    assert len(part.source.names) == len(suffixes)


class Captured(logging.Handler):
    """Collects the messages of the package in a block."""

    def __enter__(self) -> list[str]:
        self.lines: list[str] = []
        logging.getLogger("iic").addHandler(self)
        return self.lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __exit__(self, *_) -> None:
        logging.getLogger("iic").removeHandler(self)


@pytest.mark.parametrize("name", ["\x1b[2J.npz", "a\nb.csv", "\t.heic", "\x9b.pkl", "a\rb"])
def test_names_of_other_files_never_control_the_terminal(tmp_path, images, name, caplog):
    content = b"a,b\n1,2\n" if name.endswith("csv") else HEIC
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / name).write_bytes(content)
    assert refused(tmp_path / "alone").isprintable()
    flat(tmp_path / "x", images[:4])
    (tmp_path / "x" / name).write_bytes(content)
    if name.endswith((".npz", ".csv")) and content != HEIC:
        assert refused(tmp_path / "x").isprintable()
    else:
        read(tmp_path / "x")
    assert all(record.getMessage().isprintable() for record in caplog.records)


# Tables beside images


def table(
    path: Path, numbers: Iterable[int], labels: list[str], head: str = "filename,label"
) -> None:
    rows = [f"{number:03d}.png,{labels[number]}" for number in numbers]
    path.write_text("\n".join([head, *rows] if head else rows))


@pytest.mark.parametrize("head", ["filename,label", ""])
def test_labels_beside_pictures_are_read(tmp_path, images, labels, head):
    flat(tmp_path / "pictures", images[:20])
    table(tmp_path / "labels.csv", range(20), labels, head)
    data = read(tmp_path)
    found = dict(zip(data.train_paths, data.train_labels, strict=True))
    assert all(data.names[label] == labels[int(Path(p).stem)] for p, label in found.items())
    assert data.names == tuple("0123456789")


@pytest.mark.parametrize("places", [("train.csv", "test.csv"), ("train/l.csv", "test/l.csv")])
def test_tables_for_each_split_are_read(tmp_path, images, labels, places, caplog):
    caplog.set_level(logging.WARNING)
    for split, place, start in zip(("train", "test"), places, (0, 20), strict=True):
        flat(tmp_path / split, images[start : start + 20], start=start)
        table(tmp_path / place, range(start, start + 20), labels)
    data = read(tmp_path)
    assert sizes(data) == (20, 20)
    assert [data.names[k] for k in data.test_labels] == [
        labels[int(Path(path).stem)] for path in data.test_paths
    ]
    assert caplog.text == ""


def test_answers_to_a_competition_are_no_labels(tmp_path, images, labels, caplog):
    flat(tmp_path / "train", images[:20])
    flat(tmp_path / "test", images[20:30], start=20)
    table(tmp_path / "train.csv", range(20), labels)
    table(tmp_path / "sample_submission.csv", range(20, 30), ["0"] * 60)
    assert read(tmp_path).names == ()
    assert "1 of 32 files left out: 1 .csv" in caplog.text
    assert "the test images have no labels, so all labels are left out" in caplog.text


def test_table_that_does_not_fit_is_named(tmp_path, images, labels, caplog):
    flat(tmp_path / "x", images[:20])
    table(tmp_path / "x/labels.csv", range(5, 20), labels)
    assert read(tmp_path / "x").names == ()
    assert "labels.csv: 5 of 20 images (25%) are not in the table" in caplog.text
    assert "labels are not read from it" in caplog.text
    classes(tmp_path / "y", images[:20], labels[:20])
    table(tmp_path / "y/labels.csv", range(20), labels)
    assert len(read(tmp_path / "y").names) == 10
    assert "folders are the labels; labels are not read from labels.csv" in caplog.text


def test_table_from_windows_names_the_same_files(tmp_path, images, labels):
    flat(tmp_path / "a/b", images[:20])
    rows = [f"{number:03d}.png,{labels[number]}" for number in range(20)]
    for name, folder in (("unix.csv", "a/b/"), ("windows.csv", "a\\b\\")):
        (tmp_path / name).write_text("\n".join(["path,label", *(folder + row for row in rows)]))
    unix, windows = read(tmp_path / "unix.csv"), read(tmp_path / "windows.csv")
    assert unix.train_paths == windows.train_paths
    np.testing.assert_array_equal(unix.train_images, windows.train_images)
    np.testing.assert_array_equal(unix.train_labels, windows.train_labels)
    # Elsewhere, a name may have a backslash.
    save(tmp_path / "a\\b\\000.png", images[30])
    (part,) = find_parts(tmp_path / "windows.csv", MOST, names="nothing").values()
    assert part.source.names[:2] == [f"{tmp_path}/a\\b\\000.png", f"{tmp_path}/a/b/001.png"]


def test_file_that_a_table_lists_twice_is_read_once(tmp_path, images, labels, caplog):
    flat(tmp_path, images[:20])
    table(tmp_path / "labels.csv", range(20), labels)
    once = read(tmp_path / "labels.csv")
    assert "listed before" not in caplog.text
    table(tmp_path / "labels.csv", [*range(20), 3, 5], labels)
    twice = read(tmp_path / "labels.csv")
    assert "labels.csv: 2 lines with a file that is listed before; read once" in caplog.text
    assert twice.train_paths == once.train_paths
    np.testing.assert_array_equal(twice.train_labels, once.train_labels)
    (part,) = find_parts(tmp_path / "labels.csv", MOST, names="nothing").values()
    assert part.source.names == [f"{tmp_path}/{number:03d}.png" for number in range(20)]
    table(tmp_path / "labels.csv", [*range(20), 3], [*labels[:3], "x", *labels[4:]])
    with (tmp_path / "labels.csv").open("a") as file:
        file.write("\n003.png,y")
    assert "'003.png' has the labels 'x' and 'y'" in refused(tmp_path / "labels.csv")


@pytest.mark.parametrize("columns", [[], ["who,day"]])
def test_table_of_names_without_a_clear_label_is_unlabelled(tmp_path, images, columns, caplog):
    flat(tmp_path, images[:20])
    rows = [",".join([f"{number:03d}.png", *columns]) for number in range(20)]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    data = read(tmp_path / "list.csv")
    assert (sum(sizes(data)), data.names) == (20, ())
    assert "columns has the labels" in caplog.text
    assert "labels are not read from it" in caplog.text
    caplog.clear()
    (part,) = find_parts(tmp_path / "list.csv", MOST, names="nothing").values()
    assert len(part.source.names) == 20
    # Nobody asks for labels there.
    assert "labels" not in caplog.text


# IDX files


@pytest.mark.parametrize(
    "name",
    [
        "{split}-{kind}-idx{rank}-ubyte",
        "{split}-{kind}.idx{rank}-ubyte",
        "{split}-{kind}-idx{rank}-ubyte.gz",
        "emnist-digits-{split}-{kind}-idx{rank}-ubyte.gz",
        "{split}-{kind}-idx{rank}-ubyte/{split}-{kind}-idx{rank}-ubyte",
        "archive/{split}-{kind}-idx{rank}-ubyte/{split}-{kind}-idx{rank}-ubyte",
        "FashionMNIST/raw/{split}-{kind}-idx{rank}-ubyte",
        "{split}/{kind}-idx{rank}-ubyte",
    ],
)
def test_names_and_places_of_idx_files(tmp_path, images, name):
    mnist(tmp_path, images, name.replace("t10k", "test"))
    data = read(tmp_path)
    assert (sizes(data), data.names) == ((20, 10), ("0", "1", "2"))
    np.testing.assert_array_equal(data.train_images, images[:20])


def test_transposed_emnist_is_said(tmp_path, images, caplog):
    mnist(tmp_path, images, "emnist-letters-{split}-{kind}-idx{rank}-ubyte")
    read(tmp_path)
    assert "EMNIST stores its images transposed" in caplog.text


def test_idx_file_twice_is_read_once_and_two_sets_are_refused(tmp_path, images, caplog):
    mnist(tmp_path, images)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", images[:20])
    assert sizes(read(tmp_path)) == (20, 10)
    assert "is a copy of train-images-idx3-ubyte; read once" in caplog.text
    mnist(tmp_path / "other", images[::-1])
    assert "both belong to the test split; remove one" in refused(tmp_path)


def test_pictures_beside_idx_files_are_named(tmp_path, images, caplog):
    mnist(tmp_path, images)
    flat(tmp_path, images[:5])
    assert sizes(read(tmp_path)) == (20, 10)
    assert "5 of 9 files left out: 5 .png" in caplog.text


def test_idx_labels_alone_are_refused(tmp_path):
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.arange(9))
    assert "none of train-labels-idx1-ubyte contains images" in refused(tmp_path)


# Splits that mean nothing


def _some_idx_files(path: Path, images: np.ndarray) -> None:
    write_idx(path / "train-images-idx3-ubyte", images[:4])
    write_idx(path / "val-images-idx3-ubyte", images[4:6])


@pytest.mark.parametrize(
    ("name", "make", "count"),
    [
        ("x.npz", lambda path, x: np.savez(path, x_train=x[:4], x_val=x[4:6]), 6),
        ("x.npz", lambda path, x: np.savez(path, x_train=x[:4], x_val=x[4:6], y_val=[0, 1]), 6),
        ("x.npz", lambda path, x: np.savez(path, x_val=x[:4], x_test=x[4:6]), 6),
        ("x.npz", lambda path, x: np.savez(path, x_train=x[:4], images=x[4:7], x_val=x[7:9]), 9),
        ("x", _some_idx_files, 6),
    ],
)
def test_where_splits_mean_nothing_all_arrays_are_read(tmp_path, images, name, make, count):
    """Labels too mean nothing there, such as those of one split alone."""
    make(tmp_path / name, images)
    parts = find_parts(tmp_path / name, MOST, names="nothing")
    names = [name for part in parts.values() for name in part.source.names]
    assert len(names) == len(set(names)) == count
    assert "name the second split" in refused(tmp_path / name)


# Links and copies


def test_links_to_folders_are_read_and_said(tmp_path, images, caplog):
    classes(tmp_path / "elsewhere", images[:12], THREE[:12])
    (tmp_path / "farm").mkdir()
    for label in "012":
        (tmp_path / "farm" / label).symlink_to(tmp_path / "elsewhere" / label)
    assert sum(sizes(read(tmp_path / "farm"))) == 12
    assert "DVC does not see changes behind links to other folders: 0, 1, 2" in caplog.text
    # What is added behind a link is read.
    flat(tmp_path / "elsewhere/0", images[12:15], start=50)
    assert sum(sizes(read(tmp_path / "farm"))) == 15


def test_broken_links_are_named_or_skipped(tmp_path, images, caplog):
    classes(tmp_path / "x", images[:12], THREE[:12])
    (tmp_path / "x/0/9.png").symlink_to("/nowhere/9.png")
    (tmp_path / "x/3").symlink_to("/nowhere")
    assert "2 broken links: " in (line := refused(tmp_path / "x"))
    assert "0/9.png → /nowhere/9.png" in line
    assert "data.broken" in line
    data = read(tmp_path / "x", broken="skip")
    assert (sum(sizes(data)), data.names) == (12, ("0", "1", "2"))
    assert "2 broken links" in caplog.text
    (tmp_path / "a.png").symlink_to("/nowhere/a.png")
    with pytest.raises(InputError, match=r"a\.png"):
        read(tmp_path / "a.png")


def test_files_that_cannot_be_opened_are_named_or_left_out(tmp_path, images, caplog):
    """A pipe without the suffix of an image; a file without permission is the same."""
    flat(tmp_path / "x", images[:4])
    os.mkfifo(tmp_path / "x/pipe")
    line = refused(tmp_path / "x")
    assert f"{tmp_path}/x: 1 unreadable file: pipe: not a plain file; mend or remove them" in line
    assert "set data.broken to skip (iic predict --skip-broken)" in line
    assert sum(sizes(read(tmp_path / "x", broken="skip"))) == 4
    assert "1 unreadable file: pipe: not a plain file; skipped" in caplog.text


def _link_to_nothing(path: Path) -> None:
    path.symlink_to("/nowhere.png")


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("a.png", _link_to_nothing, "a broken link to /nowhere.png"),
        ("a.jpg", lambda path: path.write_bytes(HEIC), "HEIC"),
        ("a.png", os.mkfifo, "not a plain file"),
        ("a", os.mkfifo, "not a plain file"),
        ("a.mat", lambda path: path.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(99)), "MATLAB"),
        ("a.txt", lambda path: path.write_text("hello"), "text|not a PNG"),
    ],
)
def test_single_files_that_cannot_be_read_are_refused_or_skipped(tmp_path, name, make, reason):
    """The source of a skipped file says the same, as that of a folder does."""
    path = tmp_path / name
    make(path)
    with pytest.raises(InputError, match=f"{name}: .*({reason})"):
        find_parts(path, MOST, names="nothing")
    (part,) = find_parts(path, MOST, names="nothing", skip_broken=True).values()
    with pytest.raises(UnreadableImageError, match=f"{name}: .*({reason})"):
        part.source.read(0)


def test_missing_file_is_refused_even_if_broken_ones_are_skipped(tmp_path):
    with pytest.raises(InputError, match="a.png: not found"):
        find_parts(tmp_path / "a.png", MOST, names="nothing", skip_broken=True)


def test_copies_are_counted(tmp_path, images, caplog):
    flat(tmp_path / "x", images[:10])
    shutil.copy(tmp_path / "x/000.png", tmp_path / "x/copy.png")
    assert sum(sizes(read(tmp_path / "x"))) == 11
    assert "x: 11 images, 10 different" in caplog.text
    flat(tmp_path / "y/train", images[:10])
    flat(tmp_path / "y/test", images[8:12])
    read(tmp_path / "y")
    assert "2 images of the test split are also in the training split" in caplog.text


def test_equal_images_are_refused(tmp_path, images):
    np.savez(tmp_path / "x.npz", images=np.repeat(images[:1], 50, 0))
    assert "all 50 images are the same; give different images" in refused(tmp_path / "x.npz")


# One door


def _folder_of_pages(path: Path, images: np.ndarray) -> None:
    flat(path / "a", 255 - images[:6])
    flat(path / "b/c", np.pad(255 - images[6:12], ((0, 0), (5, 0), (0, 9)), constant_values=255))


_MAKERS: dict[str, Callable[[Path, np.ndarray], object]] = {
    "flat": lambda path, images: flat(path, images),
    "labels": lambda path, images: classes(path, images, THREE),
    "pages": _folder_of_pages,
    "16 bit": lambda path, images: flat(path, images.astype(np.uint16) * 16),
    "x.npz": lambda path, images: np.savez(path, x_train=images[:40] / 16, x_test=images[40:] / 16),
    "x.npy": lambda path, images: np.save(path, images.astype(np.float32) / 127.5 - 1),
    "idx": mnist,
}


@pytest.mark.parametrize("size", ["fit", "crop"])
@pytest.mark.parametrize("name", _MAKERS)
def test_predict_sees_the_same_pixels_as_the_pipeline_and_alone(tmp_path, images, name, size):
    _MAKERS[name](tmp_path / name, images)
    data = read(tmp_path / name, size=size)
    pixels = dict(
        zip(
            (*data.train_paths, *data.test_paths),
            (*data.train_images, *data.test_images),
            strict=True,
        )
    )

    def read_again(path: Path) -> dict[str, np.ndarray]:
        sources = [part.source for part in find_parts(path, MOST, names="nothing").values()]
        known = examine(sources, "auto", data.appearance).appearance
        found = {}
        for source in sources:
            for batch in read_images(source, known, Reading(size=size), pytest.fail):
                for index, image in zip(batch.indices, batch.images, strict=True):
                    found[source.names[index]] = image
        return found

    root = f"{tmp_path / name}{'/' if (tmp_path / name).is_dir() else '#'}"
    among = {
        key.removeprefix(root).removeprefix(f"{tmp_path}/"): image
        for key, image in read_again(tmp_path / name).items()
    }
    assert among.keys() == pixels.keys()
    for key, image in pixels.items():
        np.testing.assert_array_equal(among[key], image, err_msg=key)
        if (file := tmp_path / name / key).is_file():
            (alone,) = read_again(file).values()
            np.testing.assert_array_equal(alone, image, err_msg=key)
