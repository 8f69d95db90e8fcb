"""Generated parts of README, docs/ and the recipes' comments."""

import json
import re
from pathlib import Path

import pytest
from conftest import ROOT, environment, exit_code_of

from iic.core.errors import InputError
from iic.experiments.recipes import recipe_names, recipe_params
from iic.experiments.seeds import (
    recipe_of,
    table_of,
    write_rows,
)
from tools.bench import results
from tools.docs import readme
from tools.docs.results import accuracy_of


@pytest.mark.parametrize("page", readme.PAGES, ids=str)
def test_generated_parts_are_current(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", environment()["PATH"])
    text = page.read_text("utf-8")
    assert readme.render(page, text) == text


def test_every_marker_belongs_to_a_generated_part():
    pages = [Path("README.md"), *sorted(path.relative_to(ROOT) for path in ROOT.glob("docs/*.md"))]
    for page in pages:
        marked = re.findall(
            r"^<!-- begin (.+) -->$", (ROOT / page).read_text("utf-8"), re.MULTILINE
        )
        assert sorted(marked) == sorted(part.name for part in readme.PARTS if part.page == page)


def test_missing_or_repeated_markers_are_refused():
    page = Path("README.md")
    text = (ROOT / page).read_text("utf-8")
    for broken in (text.replace("<!-- end recipes -->\n", ""), text + "<!-- begin recipes -->\n"):
        with pytest.raises(InputError, match="expected one pair of markers for 'recipes'"):
            readme.render(page, broken)


def test_readme_states_every_missed_target(monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "README.md").read_text("utf-8")
    for line in readme.targets().splitlines():
        if "**missed**" in line:
            _, wanted, reached = re.split(r" \| (?:at least )?", line.strip("| "))[1:4]
            assert wanted in text
            assert reached.partition(",")[0] in text


def test_recipe_comments_quote_the_accuracy_of_the_seed_tables(monkeypatch):
    monkeypatch.chdir(ROOT)
    for recipe in recipe_names():
        expected = accuracy_of(recipe)
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


def test_results_table_has_every_seed_of_every_recipe(folder):
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
    # The time of two of three seeds, so the row says how many.
    assert "|  | training, two cores, 2 seeds | 81 ± 1 s | 80 s | 82 s |" in text
    assert accuracy_of("default") == "95.00 ± 5.00 % over 3 seeds"
    assert accuracy_of("article") is None
    assert "article" not in text
    assert readme.recipes().splitlines()[2:] == [
        "| `default` | 95.00 ± 5.00 % | 90.00 % | 3 | – | 1.4 |",
        "| `fast` | 50.00 % | 50.00 % | 1 | – | – |",
    ]
    # Recipes that leave parts of `fast` out are in the table of all metrics only.
    recipe = recipe_of(recipe_params("moves"))
    write_rows(table_of("moves"), recipe, {0: row(0, 0.5) | {"recipe": recipe}})
    assert "moves" in readme.results()
    assert "moves" not in readme.recipes()


def test_recipes_table_has_shares_of_the_articles_time(folder, monkeypatch):
    recipe = recipe_of(recipe_params("fast"))
    write_rows(table_of("fast"), recipe, {0: row(0, 0.5) | {"recipe": recipe, "seconds": "90"}})
    training = {"times_faster_than_the_article": 92.94, "article_seconds": 6666}
    benchmark = folder / "benchmark.json"
    monkeypatch.setattr(results, "BENCHMARK", benchmark)
    benchmark.write_text(json.dumps({"trainings": {"fast": training}}))
    table = folder / "reports/studies/article-recipe.csv"
    table.parent.mkdir(parents=True)
    table.write_text("variant,seed,acc,acc_100\nalpha-10,0,0.98,0.975\n")
    assert readme.recipes().splitlines()[2:] == [
        "| `fast` | 50.00 % | 50.00 % | 1 | 1/92.9 | 1.5 |",
        "",
        "Shares are measured side by side, minutes are the median of the seeds that were timed. "
        "The article's time is computed",
        "from its step: 111 minutes. Its recipe, `article`, had 97.50 % after 100 epochs (one run "
        "of an [earlier",
        "version](reports/studies/article-recipe.md)).",
    ]


def test_targets_table_compares_targets_with_measurements(folder, monkeypatch):
    for name, values in {"default": [0.9902, 0.9920], "best": [0.9941, 0.9919]}.items():
        recipe = recipe_of(recipe_params(name))
        rows = {seed: row(seed, value) | {"recipe": recipe} for seed, value in enumerate(values)}
        write_rows(table_of(name), recipe, rows)
    benchmark = folder / "benchmark.json"
    monkeypatch.setattr(results, "BENCHMARK", benchmark)
    step = {"share_of_float32_peak": 0.742, "augmentation_share": 0.05}
    training = {"times_faster_than_the_article": 24.0, "seconds": 300.0}
    measured = {
        "steps": {"snapshot_seconds": 1.6, "recipes": {"default": step}},
        "trainings": {"default": training, "fast": training},
        "predict": {"one": 2.04},
    }
    benchmark.write_text(json.dumps(measured))
    assert readme.targets().splitlines()[2:] == [
        "| `fast` | training time, share of the article's | at most 1/150 | 1/24.0 | **missed** |",
        "| `default` | mean accuracy | at least 99.10 % | 99.11 %, 2 seeds | met |",
        "| `default` | lowest accuracy | at least 98.90 % | 99.02 %, 2 seeds | met |",
        "| `default` | training time, share of the article's | at most 1/22 | 1/24.0 | met |",
        "| `default` | step, share of the float32 peak | at least 75 % | 74.2 % | **missed** |",
        "| `default` | augmentation, share of a step | at most 5 % | 5.0 % | met |",
        "| `default` | snapshots, share of the training | at most 3 % | 3.2 % | **missed** |",
        "| `best` | mean accuracy | at least 99.40 % | 99.30 %, 2 seeds | **missed** |",
        "| `best` | lowest accuracy | at least 99.20 % | 99.19 %, 2 seeds | **missed** |",
        "| `iic predict` | time for one image | at most 2.0 s | 2.0 s | **missed** |",
    ]
