"""Writing, reading and checking of the card beside a model."""

import json
import os
from pathlib import Path

import pytest

from iic.core.errors import InputError
from iic.evaluation.card import ModelCard, card_path, write_card
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
NAME_RULE = "should have at most 10,000 characters and no control characters"


def test_card_is_read_as_it_was_written(tmp_path):
    path = card_path(tmp_path / "models/mine")
    assert path == tmp_path / "models/mine-card.json"
    assert ModelCard.read(path) is None
    write_card(CARD, path)
    assert ModelCard.read(path) == CARD
    assert CARD.cluster_names() == ["<b>", None, "cat"]


def test_card_that_describes_other_weights_is_refused(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    assert ModelCard.of(model) is None
    weights = model / "model.weights.h5"
    weights.write_bytes(b"one")
    card = CARD.model_copy(update={"weights_sha256": hash_of_weights(model)})
    write_card(card, card_path(model))
    assert ModelCard.of(model) == card
    weights.write_bytes(b"two")
    with pytest.raises(
        InputError, match=r"model-card\.json: describes other weights than those in "
    ):
        ModelCard.of(model)
    weights.unlink()
    with pytest.raises(InputError, match=r"model\.weights\.h5: not found"):
        ModelCard.of(model)


def test_card_path_ignores_a_trailing_slash():
    assert card_path(Path("model/")) == Path("model-card.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["cat"]}, "refers to a label that it does not list"),
        ({"clusters": [-1]}, "refers to a label that it does not list"),
        ({"clusters": ["a"]}, r"clusters\[0\]: 'a' should be an integer"),
        ({"ink": "red"}, r"ink: unknown value 'red' \(one of auto, light, dark\)"),
        ({"more": 1}, "more: unknown key"),
        ({"\x1b[2J\n": 1}, r"'\\x1b\[2J\\n': unknown key"),
        ({"recipe": "\x1b[2J"}, rf"recipe: '\\x1b\[2J' {NAME_RULE}"),
        ({"labels": ["cat", "\x9b2J"]}, rf"labels\[1\]: '\\x9b2J' {NAME_RULE}"),
        ({"labels": ["cat", "a" * 10_001]}, rf"labels\[1\]: 'aaaaa.*\.\.\. {NAME_RULE}"),
        ({"metrics": {"a\nb": 1}}, rf"metrics\.'a\\nb'.*: 'a\\nb' {NAME_RULE}"),
    ],
)
def test_error_names_the_damaged_card_the_key_and_the_remedy(tmp_path, changes, message):
    path = tmp_path / "model-card.json"
    path.write_text(json.dumps(CARD.model_dump() | changes))
    with pytest.raises(InputError, match=rf"model-card\.json: {message}; run `dvc repro evaluate`"):
        ModelCard.read(path)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_card_that_is_not_a_plain_file_is_refused(tmp_path, make):
    path = tmp_path / "model-card.json"
    make(path)
    with pytest.raises(InputError, match=r"model-card\.json: not a plain file"):
        ModelCard.read(path)


def test_huge_card_is_not_read(tmp_path):
    path = tmp_path / "model-card.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="no more than 16,777,216 are read"):
        ModelCard.read(path)
