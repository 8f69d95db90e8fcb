"""`iic info`, with and without a model, its card and data."""

import json
import platform
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT, run

from iic.cli.main import cli
from iic.core.errors import InputError
from iic.core.files import sha256_of, write_arrays
from iic.evaluation.card import ModelCard, card_path, write_card
from iic.model.network import build_network
from iic.model.store import SavedParams, count_parameters, hash_of_weights, save_network
from iic.serving.info import count_images

CARD = ModelCard(
    recipe="tour",
    seed=1234567,
    data="digits",
    size="fit",
    ink="auto",
    labels=["nought", "one"],
    clusters=[1, None, 0],
    overclusters=[],
    metrics={"over_acc": 0.75},
    weights_sha256="",
)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(here, tiny_params) -> Path:
    save_network(build_network(tiny_params.model), tiny_params.model, here / "model")
    return here / "model"


@pytest.fixture
def card(model) -> ModelCard:
    card = CARD.model_copy(update={"weights_sha256": hash_of_weights(model)})
    write_card(card, card_path(model))
    return card


@pytest.fixture
def data(here) -> None:
    arrays = {"train_images": np.zeros((1500, 28, 28), np.uint8), "test_images": np.zeros((3, 1))}
    write_arrays(here / "data/images.npz", arrays)


def info(*options: str) -> str:
    done = CliRunner().invoke(cli, ["info", *options], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def rows(text: str) -> dict[str, dict[str, str]]:
    """Values by section and key."""
    sections: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if line.startswith("  "):
            key, _, value = line.strip().partition(" ")
            sections[next(reversed(sections))][key] = value.strip()
        else:
            sections[line] = {}
    return sections


def test_all_parts_are_printed(model, card, data):
    parts = rows(info())
    assert "missing" not in parts
    assert parts["versions"]["Python"] == platform.python_version()
    assert {"iic", "TensorFlow", "Keras", "NumPy", "DVC"} <= set(parts["versions"])
    assert parts["data"] == {
        "name": "digits", "labels": "nought, one", "train_images": "1,500", "test_images": "3",
    }  # fmt: skip
    assert parts["training"] == {"recipe": "tour", "seed": "1234567"}
    assert parts["metrics"] == {"over_acc": "0.75"}
    assert parts["clusters, and the class that each stands for"] == {
        "0": "one",
        "1": "no class",
        "2": "nought",
    }
    assert parts["model"]["widths"] == "8, 16"
    assert parts["model"]["folder"] == "model"
    assert len(parts["model"]["weights_sha256"]) == 64
    assert int(parts["machine"]["processors"]) >= 1


def test_long_keys_and_whole_numbers_are_readable(model, card, data):
    metrics = {"over_mutual_information": 0.000849, "clusters_used": 1.0, "acc": 0.5}
    write_card(card.model_copy(update={"metrics": metrics}), card_path(model))
    text = info()
    assert re.search(r"^  over_mutual_information 0\.000849$", text, re.MULTILINE)
    assert re.search(r"^  clusters_used +1$", text, re.MULTILINE)
    assert rows(text)["metrics"]["acc"] == "0.5"


def test_other_images_than_those_of_the_training_are_refused(model, card, data):
    path = Path("data/images.npz")
    own = card.model_copy(update={"images_sha256": sha256_of(path)})
    write_card(own, card_path(model))
    assert rows(info())["data"]["train_images"] == "1,500"
    write_arrays(path, {"train_images": np.ones((9, 28, 28)), "test_images": np.ones((3, 1))})
    with pytest.raises(InputError, match="data/images.npz: not the images .*; run `dvc repro`"):
        info()
    path.unlink()
    assert "data/images.npz: not found" in info()


def test_json_contains_unformatted_values(model, card, data):
    facts = json.loads(info("--json"))
    assert facts["data"]["train_images"] == 1500
    assert facts["clusters"] == ["one", None, "nought"]
    assert facts["missing"] == []
    size = sum(path.stat().st_size for path in model.iterdir())
    assert facts["model"]["bytes"] == size


def test_without_labels_no_class_is_printed(model, card, data):
    unnamed = {"labels": [], "clusters": [None] * 10, "overclusters": [None] * 50}
    write_card(card.model_copy(update=unnamed), card_path(model))
    text = info()
    assert "no class" not in text
    assert "clusters, and the class that each stands for" not in rows(text)
    assert rows(text)["data"]["labels"] == "none"
    assert json.loads(info("--json"))["clusters"] is None


def test_a_card_of_other_weights_is_reported_as_missing(model):
    write_card(CARD, card_path(model))
    text = info()
    assert "  model-card.json: describes other weights than those in model; run" in text
    assert "training" not in rows(text)


def test_a_missing_card_and_missing_data_are_reported(model):
    text = info()
    parts = rows(text)
    assert {
        "data",
        "training",
        "metrics",
        "clusters, and the class that each stands for",
    }.isdisjoint(parts)
    assert parts["model"]["clusters"] == "10"
    assert "  model-card.json: not found, so recipe, seed and names of clusters" in text
    assert "  data/images.npz: not found; run `dvc repro`, or `dvc pull` it" in text
    assert "  reports/metrics.json: not found; run" in text


def test_without_a_card_the_metrics_come_from_the_reports(model):
    Path("reports").mkdir()
    Path("reports/metrics.json").write_text('{"acc": 0.5}')
    assert rows(info())["metrics"] == {"acc": "0.5"}


@pytest.mark.parametrize(
    "content", ['{"\\u001b[2J": 1}', '{"bytes": "x"}', "[1]", "{", '{"acc": ' + "9" * 5000 + "}"]
)
def test_invalid_metrics_are_reported_as_missing(model, content):
    Path("reports").mkdir()
    Path("reports/metrics.json").write_text(content)
    text = info()
    assert "  reports/metrics.json: no metrics (" in text
    assert all(line.isprintable() for line in text.splitlines())


def test_without_a_model_the_other_parts_are_printed(here):
    text = info("--model", "elsewhere/network")
    assert "versions" in rows(text)
    assert "model" not in rows(text)
    assert "  elsewhere/network/model.json: not found; run `dvc repro`" in text
    assert "  elsewhere/network-card.json: not found" in text


def test_the_model_may_be_the_current_folder(model, card, data, monkeypatch):
    monkeypatch.chdir(model)
    parts = rows(info("--model", "."))
    assert parts["training"]["recipe"] == "tour"
    assert parts["data"]["train_images"] == "1,500"
    assert "missing" not in parts


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model/model.json", "{", "model/model.json: Invalid JSON"),
        ("model/model.json", '{"widths": [0]}', "model/model.json: widths[0]: 0 should be"),
        ("model/model.weights.h5", None, "model/model.weights.h5: not found"),
        ("model-card.json", "{}", "model-card.json: seed: missing"),
        ("data/images.npz", "no archive", "data/images.npz: contains no images; delete it"),
    ],
)
def test_damaged_files_are_named(model, card, data, file, content, message):
    Path(file).unlink()
    if content is not None:
        Path(file).write_text(content)
    missing = json.loads(info("--json"))["missing"]
    assert [line.startswith(message) for line in missing if line.startswith(file)] == [True]
    assert "versions" in rows(info())


def test_a_package_that_is_not_installed_is_listed(here, monkeypatch):
    monkeypatch.setattr("iic.serving.info._PACKAGES", {"Keras": "no-such-package"})
    assert rows(info())["versions"]["Keras"] == "not installed"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"normalize_logits": False, "head_widths": []},
        {"widths": [5], "head_widths": [7, 6], "clusters": 3},
        {"input_shape": (64, 64, 3)},
    ],
)
def test_count_parameters_matches_keras(tiny_params, values):
    params = SavedParams.model_validate(tiny_params.model.model_dump() | values)
    assert count_parameters(params) == build_network(params, params.input_shape).count_params()


@pytest.mark.parametrize(
    "arrays",
    [
        {"train_images": np.array(1), "test_images": np.array(1)},
        {"train_images": np.zeros((2, 28, 28))},
    ],
    ids=["no length", "no test images"],
)
def test_other_arrays_are_not_images(here, arrays):
    write_arrays(here / "a.npz", arrays)
    with pytest.raises(InputError, match=r"a\.npz: contains no images; delete it"):
        count_images(here / "a.npz")


def test_info_imports_no_heavy_packages(model, card):
    code = (
        "import sys; sys.argv = ['iic', 'info']\n"
        "from iic.cli.main import main; main()\n"
        "print([n for n in ('tensorflow', 'keras', 'dvc', 'scipy', 'h5py') if n in sys.modules])"
    )
    done = run(sys.executable, "-c", code, cwd=model.parent, env={"PYTHONPATH": str(ROOT)})
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Traceback" not in done.stderr
