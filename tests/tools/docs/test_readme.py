"""The generated parts of the README and of the recipes' comments."""

import json

import pytest
from conftest import ROOT, environment, exit_code_of

from iic.experiments.recipes import recipe_names, recipe_params
from iic.experiments.seeds import (
    recipe_of,
    table_of,
    write_rows,
)
from tools.bench import results
from tools.docs import readme


@pytest.mark.parametrize("page", readme.PAGES, ids=str)
def test_the_generated_parts_are_current(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", environment()["PATH"])
    text = page.read_text("utf-8")
    assert readme.render(page, text) == text


def test_recipes_tell_what_to_expect(monkeypatch):
    """Their comments hold the mean and spread of the committed seed tables."""
    monkeypatch.chdir(ROOT)
    for recipe in recipe_names():
        expected = readme.accuracy_of(recipe)
        if expected is not None:
            file = "params.yaml" if recipe == "default" else f"recipes/{recipe}.yaml"
            comments = [
                line for line in (ROOT / file).read_text("utf-8").splitlines() if "#" in line
            ]
            assert expected in " ".join(line.partition("#")[2].strip() for line in comments), file


METRICS = ("acc", "nmi", "ari", "over_acc", "train_acc", "loss")
COLUMNS = (*METRICS, "seconds")


def row(seed: int, value: float) -> dict[str, str]:
    return {"recipe": "r", "seed": str(seed)} | dict.fromkeys(COLUMNS, f"{value}")


@pytest.mark.parametrize(
    "words",
    [
        "tools.docs.readme x",
        "tools.bench.steps",
        "tools.bench.alternatives",
        "tools.bench.bench x",
        "tools.bench.memory x",
    ],
)
def test_commands_end_in_one_line_without_a_traceback(tmp_path, monkeypatch, words):
    module, *arguments = words.split()
    script = f"{module.replace('.', '/')}.py"
    code = exit_code_of(script, *arguments, cwd=tmp_path, monkeypatch=monkeypatch)
    assert code.startswith("error: ")
    assert len(code.splitlines()) == 1


def test_the_table_shows_every_seed_of_every_recipe(folder):
    for name, values in {
        "fast": {2: 0.5},
        "default": {0: 0.9, 1: 0.95, 4: 1.0},
    }.items():
        recipe = recipe_of(recipe_params(name))
        rows = {seed: row(seed, value) | {"recipe": recipe} for seed, value in values.items()}
        for index, values_of_seed in enumerate(rows.values()):
            # The second came from the run-cache.
            values_of_seed["seconds"] = ["80", "", "82"][index] if name == "default" else ""
        write_rows(table_of(name), recipe, rows)
    text = readme.results()
    assert (
        "| `default`, 3 seeds (0-1, 4) | accuracy, clustering head, test "
        "| 95.00 ± 5.00 % | 90.00 % | 100.00 % |"
    ) in text
    assert "| `fast`, 1 seed (2) | accuracy, clustering head, test | 50.00" in text
    assert "|  | training, two cores | 81 ± 1 s | 80 s | 82 s |" in text
    assert readme.accuracy_of("default") == "95.00 ± 5.00 % over 3 seeds"
    assert readme.accuracy_of("article") is None
    assert "article" not in text


def test_targets_are_held_against_what_was_reached(folder, monkeypatch):
    for name, values in {"default": [0.9878, 0.9902], "best": [0.9941, 0.9919]}.items():
        recipe = recipe_of(recipe_params(name))
        rows = {seed: row(seed, value) | {"recipe": recipe} for seed, value in enumerate(values)}
        write_rows(table_of(name), recipe, rows)
    benchmark = folder / "benchmark.json"
    monkeypatch.setattr(results, "BENCHMARK", benchmark)
    step = {"share_of_float32_peak": 0.742, "augmentation_share": 0.05}
    training = {"times_faster_than_the_article": 20.0, "seconds": 300.0}
    measured = {
        "steps": {"snapshot_seconds": 1.6, "recipes": {"default": step}},
        "trainings": {"default": training, "fast": training},
    }
    benchmark.write_text(json.dumps(measured))
    assert readme.targets().splitlines()[2:] == [
        "| `fast` | training, of the article's time | at most 1/80 | 1/20.0 | **missed** |",
        "| `default` | mean accuracy | at least 98.90 % | 98.90 %, 2 seeds | met |",
        "| `default` | lowest accuracy | at least 98.50 % | 98.78 %, 2 seeds | met |",
        "| `default` | training, of the article's time | at most 1/20 | 1/20.0 | met |",
        "| `default` | step, of the float32 peak | at least 75 % | 74.2 % | **missed** |",
        "| `default` | augmentation, of a step | at most 5 % | 5.0 % | met |",
        "| `default` | snapshots, of the training | at most 3 % | 3.2 % | **missed** |",
        "| `best` | mean accuracy | at least 99.40 % | 99.30 %, 2 seeds | **missed** |",
        "| `best` | lowest accuracy | at least 99.20 % | 99.19 %, 2 seeds | **missed** |",
    ]
