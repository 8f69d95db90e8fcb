"""Recipes: files of overrides, their options of `dvc exp run`, and the command `iic recipe`."""

import pytest
import yaml
from click import UsageError
from conftest import override

from iic.cli.main import cli
from iic.core.errors import InputError
from iic.core.params import Params, parse_params
from iic.experiments import commands
from iic.experiments.recipes import recipe_names, recipe_options, recipe_params
from iic.experiments.seeds import recipe_of


def recipe(*arguments: str) -> None:
    cli.main(["recipe", *arguments], standalone_mode=False)


def test_every_recipe_is_valid_and_differs_from_the_default(folder, params):
    names = recipe_names()
    assert names[0] == "default"
    assert {"article", "fast"} <= set(names)
    assert recipe_params("default") == params
    for name in names[1:]:
        assert recipe_of(recipe_params(name)) != recipe_of(params)
        assert recipe_params(name).recipe == name


def test_without_a_name_all_recipes_are_listed_with_a_sentence(folder, capsys):
    recipe()
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == recipe_names()
    assert lines["default"] == "The parameters in params.yaml as they are."
    for name in recipe_names()[1:]:
        first = (folder / f"recipes/{name}.yaml").read_text().splitlines()[0]
        assert first == f"# {lines[name]}"
        assert first.endswith(".")


def test_listing_outside_of_the_repository_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"params\.yaml: not found; run from the repository's top"):
        recipe()


def test_options_are_written_as_dvc_writes_values(folder, params_text):
    (folder / "recipes/mine.yaml").write_text(
        # Values equal to those in params.yaml give no option.
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


def test_settings_are_written_as_params_yaml_writes_them(folder, capsys):
    recipe("fast", "-S", "loss.alpha=1", "--set", "augment.ops=[noise, rotation]", "-S", "seed=3")
    added = ["loss.alpha=1.0", "augment.ops=[rotation,noise]", "seed=3"]
    expected = [*recipe_options("fast"), *(word for value in added for word in ("-S", value))]
    assert sorted(capsys.readouterr().out.split()) == sorted(expected)
    same = ["loss.alpha=5", "augment.ops=[noise,binarization,distortion,rotation]"]
    recipe("default", *(word for value in same for word in ("-S", value)))
    assert capsys.readouterr().out == "\n"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("loss.alpha", "loss.alpha: expected KEY=VALUE"),
        ("loss.=1", "loss.=1: expected KEY=VALUE"),
        ("seed.x=1", "seed"),
        ("loss.alhpa=1", "loss.alhpa: unknown key"),
        ("loss.alpha=1.0,2.0", "loss.alpha"),
        ("loss.alpha=[", "loss.alpha=[: not valid YAML"),
    ],
)
def test_an_invalid_setting_is_named(folder, word, message):
    with pytest.raises(InputError) as raised:
        recipe("default", "-S", "seed=1", "-S", word)
    assert message in str(raised.value)


@pytest.mark.parametrize("arguments", [["--run"], ["-S", "seed=1"]])
def test_options_without_a_recipe_are_refused(arguments):
    with pytest.raises(UsageError, match="--set and --run need the NAME of a recipe"):
        recipe(*arguments)


def test_a_recipe_runs_as_the_experiment_of_its_name(folder, monkeypatch, capsys):
    ran = []

    def run(command, **_):
        ran.append(list(command))
        # An earlier experiment need not exist, so DVC's failure to remove it is ignored.
        return commands.subprocess.CompletedProcess(command, 1 if "remove" in command else 0)

    monkeypatch.setattr(commands.subprocess, "run", run)
    recipe("fast", "-S", "seed=3", "--run")
    options = [*recipe_options("fast"), "-S", "seed=3"]
    assert ran[0] == ["dvc", "exp", "remove", "--quiet", "fast"]
    assert ran[1][:6] == ["dvc", "exp", "run", "--temp", "--name", "fast"]
    assert sorted(ran[1][6:]) == sorted(options)
    assert capsys.readouterr().out == ""


def test_a_failed_run_is_named(folder, monkeypatch):
    def run(command, **_):
        return commands.subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(commands.subprocess, "run", run)
    with pytest.raises(InputError, match="^dvc exp run --temp --name default: failed, see above; "):
        recipe("default", "--run")


def test_recipes_that_isolate_one_part_differ_only_in_it(folder):
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


def test_the_error_for_an_unknown_recipe_lists_the_known_ones(folder):
    with pytest.raises(
        InputError,
        match="fasst: no such .* of default, article, best, fast, moves, neighbors, tour",
    ):
        recipe_options("fasst")
