"""A user's own data set from folders, NPZ and IDX files: what is read and what is refused."""

import gzip
import io
import logging
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from iic.core.errors import InputError
from iic.data.custom import custom_dataset
from iic.data.found import find_parts
from iic.data.images import Reading

MANY = 10_000


def read(path: Path, reading: Reading = Reading(), max_images: int = MANY):  # noqa: B008 - frozen
    return custom_dataset(path, reading, 0.2, max_images)


def sources_of(path: Path, max_images: int):
    """Return the sources that `iic predict` reads."""
    parts = find_parts(path, max_images, names="nothing")
    return [part.source for part in parts.values()]


def save(folder: Path, images: np.ndarray, start: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, start):
        Image.fromarray(image).save(folder / f"{number:03d}.png")


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">I{array.ndim}I", 8 << 8 | array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wb") as file:
        file.write(header + array.tobytes())


@pytest.fixture
def images(digits) -> np.ndarray:
    """Ten images of each digit from 0 to 4, in this order."""
    chosen = [np.flatnonzero(digits.train_labels == digit)[:10] for digit in range(5)]
    return digits.train_images[np.concatenate(chosen)]


@pytest.fixture
def labelled(tmp_path, images) -> Path:
    for digit in range(5):
        save(tmp_path / "labelled" / str(digit), images[10 * digit : 10 * digit + 10], 10 * digit)
    return tmp_path / "labelled"


def labels_of(paths: tuple[str, ...]) -> list[str]:
    return [path.split("/")[0] for path in paths]


def test_subfolders_are_labels(labelled, images):
    data = read(labelled)
    assert data.names == ("0", "1", "2", "3", "4")
    assert len(data.test_images) == 10
    assert len(data.train_images) == 40
    for pixels, labels, paths in (
        (data.train_images, data.train_labels, data.train_paths),
        (data.test_images, data.test_labels, data.test_paths),
    ):
        assert [data.names[label] for label in labels] == labels_of(paths)
        numbers = [int(Path(path).stem) for path in paths]
        np.testing.assert_array_equal(pixels, images[numbers])
    assert sorted([*data.train_paths, *data.test_paths])[0] == "0/000.png"


def test_order_and_split_are_independent_of_labels(labelled, images, tmp_path):
    """Other labels, other file names and no labels give the same images."""
    data = read(labelled)
    save(tmp_path / "flat", images[::-1])
    flat = read(tmp_path / "flat")
    for digit in range(5):
        save(tmp_path / "other" / "abcde"[digit], images[digit::5])
    other = read(tmp_path / "other")
    for twin in (flat, other):
        np.testing.assert_array_equal(twin.train_images, data.train_images)
        np.testing.assert_array_equal(twin.test_images, data.test_images)
    assert len(flat.names) == len(flat.train_labels) == len(flat.test_labels) == 0
    assert other.names == tuple("abcde")
    # Folders are sorted by label; the data set is not.
    assert len(set(data.train_labels[:10])) > 2


def test_given_split_is_kept(labelled, images, tmp_path):
    save(tmp_path / "own/train/cat", images[:8])
    save(tmp_path / "own/train/dog", images[8:16])
    save(tmp_path / "own/test/dog", images[16:19])
    save(tmp_path / "own/test/elk", images[19:20])
    data = read(tmp_path / "own")
    assert data.names == ("cat", "dog", "elk")
    assert (len(data.train_images), len(data.test_images)) == (16, 4)
    assert sorted(data.test_labels) == [1, 1, 1, 2]
    assert sorted(data.test_paths) == ["dog/000.png", "dog/001.png", "dog/002.png", "elk/000.png"]


def test_numeric_names_are_sorted_by_value(tmp_path, images):
    for number, name in enumerate(["10", "9", "b", "a", "1"]):
        save(tmp_path / "x" / name, images[2 * number : 2 * number + 2])
    assert read(tmp_path / "x").names == ("1", "9", "10", "a", "b")


def test_hidden_and_other_files_are_ignored(labelled):
    before = read(labelled)
    (labelled / "notes.txt").write_text("x")
    (labelled / "0/._000.png").write_bytes(b"x")
    (labelled / ".thumbs").mkdir()
    (labelled / ".thumbs/a.png").write_bytes(b"x")
    after = read(labelled)
    np.testing.assert_array_equal(after.train_images, before.train_images)
    assert after.train_paths == before.train_paths


def test_one_label_for_all_images_is_ignored(tmp_path, images, caplog):
    save(tmp_path / "x/scans", images)
    with caplog.at_level(logging.INFO):
        assert read(tmp_path / "x").names == ()
    assert "looked through to scans, the only folder" in caplog.text
    np.savez(tmp_path / "x.npz", images=images, labels=np.full(len(images), "scans"))
    with caplog.at_level(logging.INFO):
        assert read(tmp_path / "x.npz").names == ()
    assert "all images have the label scans; treated as unlabelled" in caplog.text


def test_a_label_for_each_image_is_a_number_of_the_image(tmp_path, digits, caplog):
    np.savez(tmp_path / "x.npz", x=digits.train_images[:101], y=np.arange(101))
    assert read(tmp_path / "x.npz").names == ()
    assert "each image has a label of its own; treated as unlabelled" in caplog.text
    np.savez(tmp_path / "x.npz", x=digits.train_images[:10], y=np.arange(10))
    assert len(read(tmp_path / "x.npz").names) == 10


def test_label_with_a_single_image_is_kept_and_reported(labelled, images, caplog):
    save(labelled / "rare", images[:1] // 2)
    data = read(labelled)
    assert data.names[-1] == "rare"
    assert [*data.train_labels, *data.test_labels].count(5) == 1
    assert "labels with a single image: rare" in caplog.text


def test_broken_file_is_refused_or_skipped(labelled, caplog):
    (labelled / "3/030.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"3/030\.png: not a PNG"):
        read(labelled)
    data = read(labelled, Reading(broken="skip"))
    assert len(data.train_images) + len(data.test_images) == 49
    assert "1 of 50 images skipped" in caplog.text
    assert "3/030.png" in caplog.text
    for pixels, paths in (
        (data.train_images, data.train_paths),
        (data.test_images, data.test_paths),
    ):
        for image, path in zip(pixels, paths, strict=True):
            np.testing.assert_array_equal(image, np.asarray(Image.open(labelled / path)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: None, "x: not found; set data.path"),
        (lambda x: x.mkdir(), "x: contains no images; put PNG"),
        (lambda x: x.write_text("hello"), "x: text, which is not read; give images"),
        (lambda x: save(x, np.zeros((1, 28, 28), np.uint8)), "1 image; training and test need"),
    ],
)
def test_path_without_a_data_set_is_refused(tmp_path, make, message):
    make(tmp_path / "x")
    with pytest.raises(InputError, match=message):
        read(tmp_path / "x")


def test_default_path_asks_for_images(params, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = params.data.path
    assert Path(path).is_dir()
    with pytest.raises(InputError, match=f"^data.path: {path} is .* set data.path to your images$"):
        read(Path(path))


def test_ambiguous_folders_are_refused(labelled, images):
    (labelled / "5").mkdir()
    with pytest.raises(InputError, match="5: contains no images; add some or remove it"):
        read(labelled)
    (labelled / "5").rmdir()
    save(labelled, images[:1])
    with pytest.raises(InputError, match=r"000\.png is next to the folders of labels"):
        read(labelled)
    (labelled / "000.png").unlink()
    save(labelled / "train", images[:4])
    save(labelled / "test", images[:4])
    with pytest.raises(InputError, match="folder 0 is next to train and test"):
        read(labelled)


def test_split_without_images_of_a_class_is_accepted(tmp_path, images):
    save(tmp_path / "x/train/cat", images[:8])
    save(tmp_path / "x/train/dog", images[8:16])
    save(tmp_path / "x/test/cat", images[16:20])
    data = read(tmp_path / "x")
    assert data.names == ("cat", "dog")
    assert data.test_labels.tolist() == [0] * 4
    save(tmp_path / "x/test/elk", images[20:21])
    assert read(tmp_path / "x").names == ("cat", "dog", "elk")


@pytest.mark.parametrize("other", ["val", "validation"])
def test_training_split_without_a_test_split_is_refused(tmp_path, images, other):
    save(tmp_path / "x/train/a", images[:8])
    save(tmp_path / "x/train/b", images[8:16])
    save(tmp_path / "x" / other / "a", images[16:20])
    with pytest.raises(InputError, match=r"found train, val but no folder test; name the second"):
        read(tmp_path / "x")
    # Next to "bus", "train" is a label.
    shutil.rmtree(tmp_path / "x")
    for name in ("train", "bus"):
        save(tmp_path / "x" / name, images[:8] if name == "bus" else images[8:16])
    assert read(tmp_path / "x").names == ("bus", "train")


def test_both_splits_share_one_polarity(tmp_path, digits):
    """The training split decides, though the smaller test split has the opposite polarity."""
    dark = 255 - digits.test_images[:30]
    arrays = {"train_images": digits.train_images[:300], "test_images": dark}
    np.savez(tmp_path / "x.npz", **arrays)
    data = read(tmp_path / "x.npz")
    np.testing.assert_array_equal(data.train_images, digits.train_images[:300])
    np.testing.assert_array_equal(data.test_images, dark)


def test_linked_folders_are_entered_once(tmp_path, labelled):
    (tmp_path / "x").mkdir()
    for folder in labelled.iterdir():
        (tmp_path / "x" / folder.name).symlink_to(folder)
    np.testing.assert_array_equal(read(tmp_path / "x").train_images, read(labelled).train_images)
    (labelled / "0/loop").symlink_to(labelled)
    assert len(sources_of(labelled, MANY)[0].names) == 50


@pytest.mark.parametrize("name", ["a\nb", "caf\udce9", "\x9b2J"])
def test_unprintable_image_name_is_refused(labelled, name):
    Image.new("L", (28, 28)).save(labelled / "0/x.png")
    (labelled / "0/x.png").rename(labelled / "0" / f"{name}.png")
    with pytest.raises(InputError, match="the name is not UTF-8 or contains control characters"):
        read(labelled)


@pytest.mark.parametrize("name", ["a\nb", "caf\udce9"])
def test_unprintable_npz_name_is_refused(tmp_path, images, name):
    np.savez(tmp_path / "x.npz", images=images)
    (tmp_path / "x.npz").rename(tmp_path / f"{name}.npz")
    with pytest.raises(InputError, match="the name is not UTF-8 or contains control characters"):
        read(tmp_path / f"{name}.npz")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J"])
def test_unprintable_idx_name_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(struct.pack(">I3I", 8 << 8 | 3, 2, 28, 28) + bytes(2 * 28 * 28))
    with pytest.raises(InputError, match="the name is not UTF-8 or contains control characters"):
        read(tmp_path / name)


@pytest.mark.parametrize("label", ["", " ", "cat\r", "\x9b2J"])
def test_unprintable_label_is_refused(tmp_path, images, label):
    labels = np.array([label, *["dog"] * (len(images) - 1)])
    np.savez(tmp_path / "x.npz", images=images, labels=labels)
    with pytest.raises(InputError, match=r"x\.npz: label .* is blank or not printable"):
        read(tmp_path / "x.npz")


def test_label_of_256_characters_is_refused(tmp_path, images):
    labels = np.array(["a" * 256, *["dog"] * (len(images) - 1)])
    np.savez(tmp_path / "x.npz", images=images, labels=labels)
    with pytest.raises(
        InputError, match=r"x\.npz: label a{20}… has 256 characters; at most 255 are allowed"
    ):
        read(tmp_path / "x.npz")


def test_label_that_is_not_unicode_is_refused(tmp_path, images):
    labels = np.full(len(images), 0x110000, np.uint32).view("<U1")
    np.savez(tmp_path / "x.npz", images=images, labels=labels)
    with pytest.raises(InputError, match=r"x\.npz: labels: a label is not valid text"):
        read(tmp_path / "x.npz")


def test_too_many_labels_are_refused_before_images_are_read(tmp_path, images, monkeypatch):
    monkeypatch.setattr("iic.data.labels._MOST_LABELS", 49)
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(50))
    monkeypatch.setattr("iic.data.custom.examine", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(InputError, match=r"x\.npz: 50 different labels; at most 49 are allowed"):
        read(tmp_path / "x.npz")


def test_ignored_files_are_counted_in_the_log(labelled, caplog):
    for name in ("a.abc", "b.abc", "README", "x.\x1b[2J"):
        (labelled / "0" / name).write_bytes(b"x")
    read(labelled)
    assert "4 of 54 files left out: 2 .abc, 1 " in caplog.text
    assert "1 without a suffix" in caplog.text
    assert r"1 .\x1b[2j" in caplog.text
    assert "\x1b" not in caplog.text


def test_control_characters_of_folder_names_are_escaped_in_errors(tmp_path, images):
    save(tmp_path / "x/train/a", images)
    save(tmp_path / "x/test/a", images)
    (tmp_path / "x/train/\x1b[2J").mkdir()
    with pytest.raises(InputError, match=r"train/\\x1b\[2J: contains no images"):
        read(tmp_path / "x")


def test_split_without_readable_images_is_refused(tmp_path, images):
    save(tmp_path / "x/train", images)
    (tmp_path / "x/test").mkdir()
    (tmp_path / "x/test/a.png").write_bytes(b"broken")
    with pytest.raises(InputError, match="test: none of the images can be read"):
        read(tmp_path / "x", Reading(broken="skip", ink="light"))


def test_labels_of_shape_n_1_are_accepted(tmp_path, images):
    labels = np.repeat(np.arange(5), 10)[:, None]
    np.savez(tmp_path / "x.npz", images=images, labels=labels)
    assert read(tmp_path / "x.npz").names == tuple("01234")


def test_unlabelled_test_images_leave_no_labels_and_are_named(tmp_path, images, caplog):
    save(tmp_path / "x/train/a", images[:4])
    save(tmp_path / "x/train/b", images[4:8])
    save(tmp_path / "x/test", images[8:])
    data = read(tmp_path / "x")
    assert (len(data.train_images), len(data.test_images)) == (8, 42)
    assert len(data.names) == len(data.train_labels) == len(data.test_labels) == 0
    assert "x: the test images have no labels, so all labels are left out" in caplog.text


def test_training_images_without_labels_beside_labelled_test_images_are_refused(tmp_path, images):
    save(tmp_path / "x/train", images[:8])
    save(tmp_path / "x/test/a", images[8:12])
    save(tmp_path / "x/test/b", images[12:16])
    with pytest.raises(InputError, match="test split has labels, but the training split has none"):
        read(tmp_path / "x")


def test_too_many_images_are_refused_before_reading(labelled):
    (labelled / "0/000.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"more than 49 images; .*data\.max_images"):
        read(labelled, max_images=49)


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
)
def test_npz_with_a_split(tmp_path, digits, names):
    arrays = (digits.train_images, digits.train_labels, digits.test_images, digits.test_labels)
    np.savez(tmp_path / "x.npz", **dict(zip(names, arrays, strict=True)))
    data = read(tmp_path / "x.npz")
    np.testing.assert_array_equal(data.train_images, digits.train_images)
    np.testing.assert_array_equal(data.test_labels, digits.test_labels)
    assert data.names == digits.names
    assert data.test_paths[3] == f"{names[2]}[3]"


def test_npz_without_a_split_and_with_labels_as_strings(tmp_path, images):
    labels = np.repeat(np.array(["zero", "one", "two", "three", "four"]), 10)
    np.savez(tmp_path / "x.npz", images=images, labels=labels)
    data = read(tmp_path / "x.npz")
    assert data.names == ("four", "one", "three", "two", "zero")
    numbers = [int(path.removeprefix("images[")[:-1]) for path in data.train_paths]
    np.testing.assert_array_equal(data.train_images, images[numbers])
    assert [data.names[label] for label in data.train_labels] == labels[numbers].tolist()
    np.savez(tmp_path / "y.npz", x=images)
    np.testing.assert_array_equal(read(tmp_path / "y.npz").train_images, data.train_images)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, r"x\.npz: contains the arrays a \(3,\); expected images"),
        ({"images": np.zeros((4, 28, 28)), "labels": np.zeros(3)}, "4 images, but labels of shape"),
        (
            {"images": np.zeros((4, 28, 28)), "labels": np.full(4, 0.5)},
            "0.5 of image 0 is not",
        ),
        ({"images": np.zeros((4, 785))}, r"images: an array of shape \(4, 785\)"),
        ({"images": np.zeros((101, 28, 28), np.uint8)}, r"images: 101 entries, 100 are allowed"),
        ({"images": np.zeros((4, 2500, 2500), np.uint8)}, r"images: 25,000,000 bytes, 19,660,800"),
    ],
)
def test_npz_file_of_other_arrays_is_refused(tmp_path, arrays, message):
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "x.npz", max_images=100)


def test_npz_header_that_claims_terabytes_is_refused(tmp_path):
    header = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (100, 10**7, 10**7)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue() + b"abc")
    with pytest.raises(InputError, match=r"images: 10,000,000,000,000,000 bytes, .* are allowed"):
        read(tmp_path / "x.npz")


@pytest.mark.parametrize(("names", "images"), [(["images"], 100), (["x_train", "x_test"], 64)])
def test_npz_size_is_limited_whatever_max_images_is(tmp_path, monkeypatch, names, images):
    """The limit holds for all arrays of a file together."""
    monkeypatch.setattr("iic.data.arrays.MOST_BYTES", 70_000)
    np.savez(tmp_path / "x.npz", **dict.fromkeys(names, np.zeros((images, 28, 28), np.uint8)))
    np.savez(tmp_path / "y.npz", images=np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(InputError, match=r"x\.npz: arrays of .* bytes; at most 1,000,000,000 "):
        read(tmp_path / "x.npz", max_images=1_000_000)
    with pytest.raises(InputError, match="1 image; training and test need at least one"):
        read(tmp_path / "y.npz", max_images=1_000_000)


def test_idx_size_is_limited_whatever_max_images_is(tmp_path, monkeypatch):
    monkeypatch.setattr("iic.data.idx.MOST_BYTES", 10_000)
    write_idx(tmp_path / "x", np.zeros((64, 28, 28), np.uint8))
    with pytest.raises(
        InputError, match=r"x: 50,192 bytes; at most 1,000,000,000 are read at once"
    ):
        read(tmp_path / "x", max_images=1_000_000)


def test_limit_of_pixels_holds_for_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr("iic.data.arrays.MAX_PIXELS", 783)
    np.savez(tmp_path / "x.npz", images=np.zeros((4, 28, 28), np.uint8))
    with pytest.raises(InputError, match=r"x\.npz: images: 28×28 pixels exceed the limit of 783"):
        read(tmp_path / "x.npz")


def test_npz_that_unpacks_to_more_than_its_header_says_is_refused(tmp_path, digits):
    content = io.BytesIO()
    np.save(content, digits.test_images[:2])
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", content.getvalue() + bytes(2**21))
    with pytest.raises(InputError, match=r"images: 2,0\d\d,\d\d\d bytes, 1,966,080 are allowed"):
        read(tmp_path / "x.npz", max_images=10)


def test_flipped_bit_in_an_npz_is_detected(tmp_path, digits):
    np.savez(tmp_path / "x.npz", images=digits.test_images)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npz: not a readable NPZ file .*write it again"):
        read(tmp_path / "x.npz")


def test_pickled_objects_in_an_npz_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.array([{}, []], object))
    with pytest.raises(InputError, match=r"x\.npz: images: .* never unpickled; .*astype\(str\)"):
        read(tmp_path / "x.npz")
    (tmp_path / "y.npz").write_bytes(b"PK broken")
    with pytest.raises(InputError, match="not a readable NPZ file"):
        read(tmp_path / "y.npz")


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_named_as_mnist(tmp_path, digits, ending):
    for name, array in (
        ("train-images-idx3-ubyte", digits.train_images),
        ("train-labels-idx1-ubyte", digits.train_labels),
        ("t10k-images-idx3-ubyte", digits.test_images),
        ("t10k-labels-idx1-ubyte", digits.test_labels),
    ):
        write_idx(tmp_path / "x" / f"{name}{ending}", array)
    data = read(tmp_path / "x")
    np.testing.assert_array_equal(data.train_images, digits.train_images)
    np.testing.assert_array_equal(data.test_labels, digits.test_labels)
    assert data.test_paths[1] == f"t10k-images-idx3-ubyte{ending}[1]"
    (tmp_path / "x" / f"t10k-images-idx3-ubyte{ending}").unlink()
    (tmp_path / "x" / f"t10k-labels-idx1-ubyte{ending}").unlink()
    assert len(read(tmp_path / "x").test_images) == round(0.2 * len(digits.train_images))


def test_single_idx_file_has_no_labels(tmp_path, images):
    write_idx(tmp_path / "scans-idx3-ubyte", images)
    data = read(tmp_path / "scans-idx3-ubyte")
    assert (len(data.train_images), len(data.names)) == (40, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack(">I3I", 8 << 8 | 3, 5, 28, 28) + bytes(28 * 28), "expected"),
        (struct.pack(">I3I", 8 << 8 | 3, 1, 28, 28) + bytes(28 * 28 + 1), "expected"),
        (struct.pack(">I3I", 8 << 8 | 3, 2**32 - 1, 28, 28), "entries, 10,000 are allowed"),
        (struct.pack(">I3I", 8 << 8 | 3, 2, 2**31, 2**31), "is larger than allowed"),
        (struct.pack(">I", 8 << 8 | 8), "not a readable IDX file"),
        (struct.pack(">I200I", 8 << 8 | 200, *[1] * 200) + b"x", "200 dimensions; images have 3"),
        (b"\0\0\x08", "3 bytes are too few for an IDX header"),
        (
            gzip.compress(struct.pack(">I3I", 8 << 8 | 3, 5, 28, 28), mtime=0)[:-6],
            "not a readable|too few|exp",
        ),
    ],
)
def test_wrong_idx_header_is_refused(tmp_path, content, message):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "x")


def test_sources_of_folders_files_and_arrays(tmp_path, labelled, digits):
    (folder,) = sources_of(labelled, MANY)
    assert folder.names[0] == str(labelled / "0/000.png")
    assert len(folder.names) == 50
    (file,) = sources_of(labelled / "0/000.png", MANY)
    assert file.names == [str(labelled / "0/000.png")]
    np.savez(tmp_path / "x.npz", train_images=digits.train_images, test_images=digits.test_images)
    train, test = sources_of(tmp_path / "x.npz", MANY)
    assert (len(train.names), len(test.names)) == (1437, 360)
    assert test.names[5] == f"{tmp_path / 'x.npz'}#test_images[5]"
    write_idx(tmp_path / "idx/t10k-images-idx3-ubyte", digits.test_images)
    write_idx(tmp_path / "idx/t10k-labels-idx1-ubyte", digits.test_labels)
    (idx,) = sources_of(tmp_path / "idx", MANY)
    assert len(idx.names) == 360


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: None, "not found"),
        (lambda x: x.mkdir(), "contains no images; put PNG"),
        (lambda x: x.write_text("hello"), "text, which is not read"),
    ],
)
def test_path_without_images_is_named(tmp_path, make, message):
    make(tmp_path / "x")
    with pytest.raises(InputError, match=rf"x: {message}"):
        sources_of(tmp_path / "x", MANY)


def test_npz_without_images_is_named(tmp_path):
    np.savez(tmp_path / "x.npz", y=np.zeros(3))
    with pytest.raises(InputError, match=r"contains the arrays y \(3,\); expected images"):
        sources_of(tmp_path / "x.npz", MANY)


def test_unreadable_folder_is_named(labelled, monkeypatch):
    def refuse(top, onerror, followlinks):
        onerror(PermissionError(13, "Permission denied", str(labelled / "0")))
        return iter([])

    monkeypatch.setattr("iic.data.folders.os.walk", refuse)
    with pytest.raises(InputError, match="0: Permission denied"):
        read(labelled)


def test_reading_does_not_change_the_folder(labelled, tmp_path):
    shutil.copytree(labelled, tmp_path / "copy")
    read(labelled)
    assert sorted(p.name for p in labelled.rglob("*")) == sorted(
        p.name for p in (tmp_path / "copy").rglob("*")
    )


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_bar_is_shown_on_a_terminal_only(labelled, monkeypatch, is_terminal):
    stderr = io.StringIO()
    stderr.isatty = lambda: is_terminal
    monkeypatch.setattr("sys.stderr", stderr)
    read(labelled)
    assert ("/50 [" in stderr.getvalue()) == is_terminal
