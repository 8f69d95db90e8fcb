"""The card beside a model: what was written is read again, what is damaged is named."""

import json
import os
from pathlib import Path

import pytest

from iic.core.errors import InputError
from iic.evaluation.card import ModelCard, card_of, card_path, read_card, write_card
from iic.model.store import hash_of_weights

CARD = ModelCard(
    recipe="default",
    seed=3,
    data="custom",
    size="crop",
    ink="dark",
    labels=["cat", "<b>"],
    clusters=[1, None, 0],
    overclusters=[0, 0, 1, None],
    metrics={"acc": 0.5},
    weights_sha256="0" * 64,
)


def test_a_card_comes_back_as_it_was(tmp_path):
    path = card_path(tmp_path / "models/mine")
    assert path == tmp_path / "models/mine-card.json"
    assert read_card(path) is None
    write_card(CARD, path)
    assert read_card(path) == CARD
    assert CARD.cluster_names() == ["<b>", None, "cat"]


def test_a_card_of_other_weights_is_refused(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    assert card_of(model) is None
    weights = model / "model.weights.h5"
    weights.write_bytes(b"one")
    card = CARD.model_copy(update={"weights_sha256": hash_of_weights(model)})
    write_card(card, card_path(model))
    assert card_of(model) == card
    weights.write_bytes(b"two")
    with pytest.raises(InputError, match=r"model-card\.json: of other weights than those in "):
        card_of(model)
    weights.unlink()
    with pytest.raises(InputError, match=r"model\.weights\.h5: not found"):
        card_of(model)


def test_paths_with_a_slash_at_the_end_are_the_same_model():
    assert card_path(Path("model/")) == Path("model-card.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["cat"]}, "names a label that it does not list"),
        ({"clusters": [-1]}, "names a label that it does not list"),
        ({"clusters": ["a"]}, r"clusters\.0: Input should be a valid integer"),
        ({"ink": "red"}, "ink: Input should be 'auto', 'light' or 'dark'"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"\x1b[2J\n": 1}, r"\\x1b\[2J : Extra inputs are not permitted"),
        (
            {"recipe": "\x1b[2J"},
            "recipe: Value error, control characters, or more than 10,000 letters",
        ),
        (
            {"labels": ["cat", "\x9b2J"]},
            r"labels\.1: Value error, control characters, or more than 10,000 letters",
        ),
        (
            {"labels": ["cat", "a" * 10_001]},
            r"labels\.1: Value error, control characters, or more than 10,000 letters",
        ),
        (
            {"metrics": {"a\nb": 1}},
            r"metrics\.a b\.\[key\]: Value error, control characters, or more than 10,000 letters",
        ),
    ],
)
def test_a_damaged_card_is_named_with_the_remedy(tmp_path, changes, message):
    path = tmp_path / "model-card.json"
    path.write_text(json.dumps(CARD.model_dump() | changes))
    with pytest.raises(InputError, match=rf"model-card\.json: {message}; run `dvc repro evaluate`"):
        read_card(path)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_card_is_a_plain_file(tmp_path, make):
    path = tmp_path / "model-card.json"
    make(path)
    with pytest.raises(InputError, match=r"model-card\.json: not a plain file"):
        read_card(path)


def test_a_card_of_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "model-card.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="no more than 16,777,216 are read"):
        read_card(path)
