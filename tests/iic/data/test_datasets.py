import gzip
import hashlib
import re
import struct

import numpy as np
import pytest

from iic.core.errors import InputError
from iic.data.datasets import (
    COLLECTIONS,
    DIGITS,
    IdxFile,
    gunzip,
    parse_idx,
    read_local_file,
    verify_sha256,
)

CONTENT = struct.pack(">4I", 0x0803, 2, 3, 4) + bytes(range(24))
FILE = IdxFile("images", hashlib.sha256(CONTENT).hexdigest(), (2, 3, 4))


@pytest.mark.parametrize("name", COLLECTIONS)
def test_file_sizes_follow_from_shapes(name):
    sizes = {file.name: file.size for file in COLLECTIONS[name].files.values()}
    assert sizes == {
        "train-images-idx3-ubyte": 47_040_016,
        "train-labels-idx1-ubyte": 60_008,
        "t10k-images-idx3-ubyte": 7_840_016,
        "t10k-labels-idx1-ubyte": 10_008,
    }


def test_checksums_of_all_files_differ():
    sums = [file.sha256 for c in COLLECTIONS.values() for file in c.files.values()]
    assert len(set(sums)) == len(sums) == 8
    assert all(len(value) == 64 for value in sums)


def test_idx_is_read_in_row_order():
    array = parse_idx(CONTENT, FILE)
    np.testing.assert_array_equal(array, np.arange(24).reshape(2, 3, 4))
    assert array.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are too few for an IDX header"),
        (CONTENT[:15], "15 bytes are too few"),
        (struct.pack(">I", 0x0D03) + CONTENT[4:], "magic number 3331, expected 2051"),
        (struct.pack(">4I", 0x0803, 2, 4, 3) + CONTENT[16:], r"shape \(2, 4, 3\) in the header"),
        (struct.pack(">4I", 0x0803, 2**31, 3, 4) + CONTENT[16:], "shape .* in the header"),
        (CONTENT[:-1], "39 bytes, expected 40"),
        (CONTENT + b"x", "41 bytes, expected 40"),
    ],
)
def test_wrong_idx_header_is_refused(content, message):
    with pytest.raises(InputError, match=f"images: {message}"):
        parse_idx(content, FILE)


def test_wrong_checksum_names_file_origin_and_both_sums():
    verify_sha256(CONTENT, FILE, "here")
    with pytest.raises(InputError) as caught:
        verify_sha256(CONTENT + b"x", FILE, "https://mirror/")
    found = hashlib.sha256(CONTENT + b"x").hexdigest()
    assert str(caught.value) == (
        f"images from https://mirror/: SHA-256 is {found}, expected {FILE.sha256}"
    )


def test_gunzip_decompresses_an_intact_file():
    assert gunzip(gzip.compress(CONTENT), FILE, "here") == CONTENT


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (b"no gzip", "not a gzip file"),
        (gzip.compress(CONTENT, mtime=0)[:-30], "truncated after"),
        (gzip.compress(bytes(10_000_000), mtime=0), "larger than 40 bytes"),
    ],
    # Default ids would contain the compressed bytes, which hold a time and differ between workers.
    ids=["no gzip", "truncated", "too large"],
)
def test_gunzip_refuses_damaged_and_larger_files(packed, message):
    with pytest.raises(InputError, match=f"images from here: {message}"):
        gunzip(packed, FILE, "here")


def test_local_file_is_read_uncompressed_or_gzipped(tmp_path):
    (tmp_path / "images.gz").write_bytes(gzip.compress(CONTENT))
    assert read_local_file(tmp_path, FILE) == CONTENT
    (tmp_path / "images").write_bytes(CONTENT)
    (tmp_path / "images.gz").unlink()
    assert read_local_file(tmp_path, FILE) == CONTENT


@pytest.mark.parametrize(
    "place",
    [
        "train-images.idx3-ubyte",
        "train-images-idx3-ubyte.bin",
        "train-images-idx3-ubyte (1)",
        "train-images-idx3-ubyte/train-images-idx3-ubyte",
        "raw/train-images-idx3-ubyte",
        "raw/train-images-idx3-ubyte.gz",
        "train-images.idx3-ubyte.gz",
    ],
)
def test_local_file_is_found_by_its_content(tmp_path, place):
    file = IdxFile("train-images-idx3-ubyte", FILE.sha256, FILE.shape)
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    # Other content of the same size does not count.
    (tmp_path / "a").write_bytes(CONTENT[::-1])
    path.write_bytes(gzip.compress(CONTENT) if place.endswith(".gz") else CONTENT)
    assert read_local_file(tmp_path, file) == CONTENT


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz.part", "train-image-idx3-ubyte.zip"])
def test_near_miss_of_a_local_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=f"; {re.escape(name)} is similar: rename or unpack it"):
        read_local_file(tmp_path, IdxFile("train-images-idx3-ubyte", "", (2, 3, 4)))


def test_similar_name_with_other_content_is_read_for_the_error(tmp_path):
    (tmp_path / "train-images.idx3-ubyte").write_bytes(b"x" * 40)
    file = IdxFile("train-images-idx3-ubyte", FILE.sha256, FILE.shape)
    with pytest.raises(InputError, match="SHA-256 is"):
        verify_sha256(read_local_file(tmp_path, file), file, "here")


def test_missing_local_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"images: neither this file nor images\.gz is in"):
        read_local_file(tmp_path, FILE)


def test_digits_data_set_has_a_fixed_split(digits):
    assert digits.train_images.shape == (1437, 28, 28)
    assert digits.test_images.shape == (360, 28, 28)
    for images, labels in (
        (digits.train_images, digits.train_labels),
        (digits.test_images, digits.test_labels),
    ):
        assert images.dtype == labels.dtype == np.uint8
        assert len(images) == len(labels)
        assert set(labels) == set(range(DIGITS))
        assert images.max() == 255
    digest = hashlib.sha256(digits.train_images.tobytes() + digits.test_labels.tobytes())
    assert digits.train_labels[:10].tolist() == list(range(10))
    assert digest.hexdigest()[:8] == "ebb1c804"


def test_enlarged_digits_keep_their_shape(digits):
    from sklearn.datasets import load_digits

    small = load_digits().images[:50]
    for image, original in zip(digits.train_images[:50], small, strict=True):
        blocks = image[:28, :28].reshape(4, 7, 4, 7).mean(axis=(1, 3))
        coarse = original.reshape(4, 2, 4, 2).mean(axis=(1, 3))
        assert np.corrcoef(blocks.ravel(), coarse.ravel())[0, 1] > 0.97
