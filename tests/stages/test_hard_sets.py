"""Stages on sets of copies, of equal images and of few images."""

import logging

import numpy as np
import pytest
from conftest import make_training_data

from iic.core.errors import InputError
from iic.core.files import read_arrays, write_arrays
from iic.pairs.batches import TrainingData
from iic.pairs.draws import make_draws
from stages import neighbors, train


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_images(images: np.ndarray) -> None:
    write_arrays(neighbors.IMAGES, {"train_images": images, "test_images": images[:2]})


def test_copies_are_named_and_left_out_of_the_neighbours(digits, params, caplog):
    write_images(np.repeat(digits.train_images[:100], 6, axis=0))
    with caplog.at_level(logging.WARNING):
        neighbors.main(params)
    assert caplog.messages == [
        "warning: 600 training images, 100 different; copies of an image are left out of its "
        "neighbours"
    ]
    found = read_arrays(neighbors.NEIGHBORS, ["neighbors"])["neighbors"]
    assert not (found // 6 == np.arange(600)[:, None] // 6).any()


def test_images_without_copies_are_not_remarked_on(digits, params, caplog):
    write_images(digits.train_images[:100])
    with caplog.at_level(logging.INFO):
        neighbors.main(params)
    assert not caplog.messages


def test_equal_images_are_refused_before_the_training(digits, params):
    write_images(np.repeat(digits.train_images[:1], 50, axis=0))
    with pytest.raises(InputError, match="^all 50 training images are the same"):
        neighbors.main(params)


def start(data: TrainingData, params, monkeypatch) -> None:
    """Run the stage `train` up to the training itself."""
    monkeypatch.setattr(train, "read_data", lambda: data)
    monkeypatch.setattr(train, "_train", lambda *_: logging.getLogger().info("training starts"))
    train.main(params)


def test_too_few_different_images_are_refused_before_the_training(digits, params, monkeypatch):
    images = np.tile(digits.train_images[:9], (5, 1, 1))
    data = TrainingData(
        images, images, **make_draws(0, 2, len(images)), neighbors=np.zeros((45, 0), np.int32)
    )
    with pytest.raises(InputError, match=r"model\.clusters: 10 clusters need .* 9 different"):
        start(data, params, monkeypatch)


def test_few_steps_are_warned_of_before_the_training(digits, params, monkeypatch, caplog):
    # resumable hashes these files.
    for path in (train.IMAGES, train.DRAWS, train.NEIGHBORS):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    data = make_training_data(digits, images=425, views=2)
    with caplog.at_level(logging.INFO):
        start(data, params, monkeypatch)
    warning = next(line for line in caplog.messages if line.startswith("warning: "))
    assert "425 training images make 6 steps" in warning
    assert "raise train.epochs or lower train.batch_size" in warning
    assert caplog.messages.index(warning) < caplog.messages.index("training starts")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        start(data, params.with_values(train={"epochs": 300}), monkeypatch)
    assert not any(line.startswith("warning: ") for line in caplog.messages)
