"""Generated parts of README and docs/; recipes, and runs over several seeds."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, environment, exit_code_of, override

from iic.core.errors import InputError
from iic.core.params import Params, parse_params
from iic.experiments.recipes import main as main_of_recipes
from iic.experiments.recipes import recipe_names, recipe_options, recipe_params
from iic.experiments.seeds import (
    main,
    read_rows,
    recipe_of,
    rows_of,
    run_seed,
    table_of,
    write_rows,
)
from iic.pipeline.costs import COSTS, Cost, read_costs
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
    for broken in (text.replace("<!-- end graph -->\n", ""), text + "<!-- begin graph -->\n"):
        with pytest.raises(InputError, match="README.md: expected one pair of markers for 'graph'"):
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


def test_rows_of_another_recipe_do_not_mix(tmp_path):
    path = tmp_path / "seeds.csv"
    write_rows(path, "r", {3: row(3, 0.5), 1: row(1, 0.25)})
    other = row(1, 0.75) | {"recipe": "s"}
    write_rows(path, "s", {1: other})
    write_rows(path, "r", {1: row(1, 0.125), 3: row(3, 0.5)})
    assert list(read_rows(path, "r")) == [1, 3]
    assert read_rows(path, "r")[1] == row(1, 0.125)
    assert read_rows(path, "s") == {1: other}
    assert read_rows(path, "other") == {}
    assert read_rows(tmp_path / "none.csv", "r") == {}
    unlabelled = {"recipe": "u", "seed": "0", "confidence": "0.9", "seconds": "1.5"}
    write_rows(path, "u", {0: unlabelled})
    assert read_rows(path, "u")[0].items() >= unlabelled.items()
    assert read_rows(path, "u")[0]["acc"] == ""
    assert read_rows(path, "s")[1].items() >= other.items()


def test_the_recipe_is_all_but_the_seed(params_text):
    def recipe(**values: object) -> str:
        settings = {key.replace("__", "."): value for key, value in values.items()}
        return recipe_of(parse_params(override(params_text, settings), "p"))

    assert recipe() == recipe(recipe="mine", seed=5, report__label=3, data__local_dir="x")
    assert recipe(loss__alpha=2) == recipe(loss__alpha=2.0) != recipe()
    assert recipe(loss__alpha_final=None) != recipe() != recipe(augment__neighbors=0)
    assert recipe(augment__both_views=False) != recipe()


@pytest.fixture
def folder(tmp_path, monkeypatch, params_text):
    """A folder with the committed parameters and recipes, to work in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(params_text)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    return tmp_path


def test_every_recipe_is_valid_and_says_what_differs(folder, params):
    names = recipe_names()
    assert names[0] == "default"
    assert {"article", "fast"} <= set(names)
    assert recipe_params("default") == params
    for name in names[1:]:
        assert recipe_of(recipe_params(name)) != recipe_of(params)
        assert recipe_params(name).recipe == name
        assert (folder / f"recipes/{name}.yaml").read_text().startswith("# ")


def test_options_are_what_dvc_would_set(folder, params_text):
    (folder / "recipes/mine.yaml").write_text(
        # As params.yaml has it: no option. Other order and type of number: the same as DVC knows.
        "augment:\n  views: 12\n  ops: [noise, rotation]\n  both_views: false\n"
        "model:\n  widths: [4, 8]\nloss:\n  alpha_final: null\n  alpha: 2\n"
    )
    options = recipe_options("mine")
    assert options == [
        "-S", "recipe=mine", "-S", "augment.ops=[rotation,noise]", "-S", "augment.both_views=false",
        "-S", "model.widths=[4,8]", "-S", "loss.alpha=2.0", "-S", "loss.alpha_final=null",
    ]  # fmt: skip
    changed = dict(option.split("=") for option in options[1::2])
    values = {key: yaml.safe_load(value) for key, value in changed.items()}
    assert recipe_params("mine") == parse_params(override(params_text, values), "p")
    assert recipe_options("default") == []


def test_numbers_are_read_as_dvc_reads_them(folder):
    (folder / "recipes/mine.yaml").write_text("train:\n  learning_rate: 1e-4\n")
    assert recipe_params("mine").train.learning_rate == 1e-4
    assert recipe_options("mine") == ["-S", "recipe=mine", "-S", "train.learning_rate=0.0001"]


def test_settings_after_a_recipe_are_spelled_as_params_yaml_spells_them(folder, capsys):
    main_of_recipes(["fast", "loss.alpha=1", "augment.ops=[noise, rotation]", "seed=3"])
    expected = [
        *recipe_options("fast"),
        "-S",
        "loss.alpha=1.0",
        "-S",
        "augment.ops=[rotation,noise]",
    ]
    assert sorted(capsys.readouterr().out.split()) == sorted([*expected, "-S", "seed=3"])
    main_of_recipes(
        ["default", "loss.alpha=5", "augment.ops=[noise,binarization,distortion,rotation]"]
    )
    assert capsys.readouterr().out == "\n"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("loss.alpha", "loss.alpha: expected key=value"),
        ("loss.=1", "loss.=1: expected key=value"),
        ("seed.x=1", "seed"),
        ("loss.alhpa=1", "loss.alhpa: unknown key"),
        ("loss.alpha=1.0,2.0", "loss.alpha"),
        ("loss.alpha=[", "loss.alpha=[: not valid YAML"),
    ],
)
def test_a_setting_that_is_none_is_named(folder, word, message):
    with pytest.raises(InputError) as raised:
        main_of_recipes(["default", "seed=1", word])
    assert message in str(raised.value)


def test_the_recipes_that_show_one_thing_differ_in_it_alone(folder):
    def settings(name: str) -> Params:
        return recipe_params(name).model_copy(update={"recipe": "any"})

    fast = settings("fast")
    assert fast.augment.neighbors > 0
    assert fast.loss.teaching_weight > 0
    neighbors = fast.with_values(loss={"teaching_weight": 0.0})
    assert settings("neighbors") == neighbors
    assert settings("moves") == fast.with_values(augment={"neighbor_share": 0.0})
    assert settings("views-alone") == neighbors.with_values(augment={"neighbors": 0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  epohcs: 3\n", "recipes/mine.yaml: train.epohcs: unknown key; did you mean"),
        ("trian:\n  epochs: 3\n", "recipes/mine.yaml: trian: unknown key; did you mean 'train'"),
        ("train:\n  epochs: few\n", "recipes/mine.yaml: train.epochs: 'few' should be"),
        ("epochs: 3\n", "recipes/mine.yaml: expected sections"),
        ("", "recipes/mine.yaml: expected sections"),
        ("train: {epochs: 3\n", "recipes/mine.yaml: not valid YAML"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(folder, text, message):
    (folder / "recipes/mine.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        recipe_options("mine")


def test_a_recipe_in_another_encoding_is_named(folder):
    (folder / "recipes/mine.yaml").write_bytes("# für uns\n".encode("latin-1"))
    with pytest.raises(InputError, match="recipes/mine.yaml: not UTF-8 text"):
        recipe_options("mine")


def test_a_mistake_in_the_parameters_is_not_blamed_on_a_recipe(folder):
    file = folder / "params.yaml"
    file.write_text(file.read_text().replace("epochs: 6", "epochs: six"))
    with pytest.raises(InputError, match="^params.yaml: train.epochs: 'six' should be"):
        recipe_options("fast")


@pytest.mark.parametrize(
    "words",
    [
        "iic.experiments.recipes",
        "iic.experiments.seeds --recipe fasst",
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


def test_an_unknown_recipe_names_the_known_ones(folder):
    with pytest.raises(
        InputError,
        match="fasst: no such .* of default, article, best, fast, moves, neighbors, tour",
    ):
        recipe_options("fasst")


def test_a_finished_seed_is_not_run_again_and_a_failure_keeps_the_rows(folder, monkeypatch, capsys):
    ran: list[tuple[str, int]] = []

    def run_seed(recipe: str, seed: int) -> dict[str, str]:
        ran.append((recipe, seed))
        if seed == 2:
            raise KeyboardInterrupt
        return dict.fromkeys(COLUMNS, "0.5")

    monkeypatch.setattr("iic.experiments.seeds.run_seed", run_seed)
    with pytest.raises(KeyboardInterrupt):
        main(["--first", "0", "--count", "3"])
    assert list(rows_of("default")) == [0, 1]
    ran.clear()
    main(["--count", "2"])
    assert ran == []
    assert "seed 0 is in reports/seeds/default.csv" in capsys.readouterr().err
    main(["--count", "2", "--again"])
    assert ran == [("default", 0), ("default", 1)]
    ran.clear()
    main(["--recipe", "fast", "--count", "1", "--first", "1"])
    assert ran == [("fast", 1)]
    assert list(rows_of("fast")) == [1]


def test_a_seed_is_an_experiment_with_metrics_and_training_time(folder, monkeypatch):
    commands = []

    def called(command: list[str], env: dict[str, str] | None = None, **_: object):
        commands.append(command)
        if env is not None:
            Path(env[COSTS]).write_text("augment 0.10 99\ntrain 81.25 900\n")
        return subprocess.CompletedProcess(command, 0)

    metrics = dict.fromkeys(METRICS, 0.123456789)
    monkeypatch.setattr("iic.experiments.seeds.subprocess.run", called)
    monkeypatch.setattr("iic.experiments.seeds.metrics_of", lambda name: metrics)
    values = run_seed("fast", 3)
    assert values == dict.fromkeys(METRICS, "0.123457") | {"seconds": "81.2"}
    assert commands[-1][:6] == ["dvc", "exp", "run", "--temp", "--name", "fast-seed-3"]
    assert commands[-1][6:] == [*recipe_options("fast"), "-S", "seed=3"]


def test_stages_that_did_not_run_have_no_cost(tmp_path):
    assert read_costs(tmp_path / "none") == {}
    (tmp_path / "costs").write_text("augment 0.25 99\n")
    assert read_costs(tmp_path / "costs") == {"augment": Cost(0.25, 99.0)}


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
    assert "|  | training, two cores | 81 ± 1 s | 80 s | 82 s |" in text
    assert accuracy_of("default") == "95.00 ± 5.00 % over 3 seeds"
    assert accuracy_of("article") is None
    assert "article" not in text
    assert readme.recipes().splitlines()[2:] == [
        "| `default` | 95.00 ± 5.00 % | 90.00 % | 3 | – | 1.4 |",
        "| `fast` | 50.00 % | 50.00 % | 1 | – | – |",
    ]


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
        "| `article` | 97.50 % | 97.50 % | 1 | 1 | 111 |",
    ]


def test_targets_table_compares_targets_with_measurements(folder, monkeypatch):
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
        "| `fast` | training time, share of the article's | at most 1/80 | 1/20.0 | **missed** |",
        "| `default` | mean accuracy | at least 98.90 % | 98.90 %, 2 seeds | met |",
        "| `default` | lowest accuracy | at least 98.50 % | 98.78 %, 2 seeds | met |",
        "| `default` | training time, share of the article's | at most 1/20 | 1/20.0 | met |",
        "| `default` | step, share of the float32 peak | at least 75 % | 74.2 % | **missed** |",
        "| `default` | augmentation, share of a step | at most 5 % | 5.0 % | met |",
        "| `default` | snapshots, share of the training | at most 3 % | 3.2 % | **missed** |",
        "| `best` | mean accuracy | at least 99.40 % | 99.30 %, 2 seeds | **missed** |",
        "| `best` | lowest accuracy | at least 99.20 % | 99.19 %, 2 seeds | **missed** |",
    ]
