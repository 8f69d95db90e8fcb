"""Recipes: files of overrides, their options of `dvc exp run`, and the command `iic recipe`."""

import shlex

import pytest
import yaml
from click import UsageError
from conftest import ROOT, override
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from hypothesis import example, given, settings
from hypothesis import strategies as st

from iic.cli.main import cli
from iic.core.errors import InputError
from iic.core.params import Params, parse_params, text_keys
from iic.experiments import commands
from iic.experiments.recipes import (
    options_of,
    read_settings,
    recipe_names,
    recipe_options,
    recipe_params,
    with_overrides,
)
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
        ("loss.alpha=2.0 #x", "loss.alpha=2.0 #x: expected one value without # and line breaks"),
        ("seed=1\nrecipe: x", "seed=1 recipe: x: expected one value without #"),
        ("data.path=a\nb", "data.path: 'a\\nb' should be one line without control characters"),
        ("data.path=\udcff", "data.path"),
    ],
)
def test_an_invalid_setting_is_named(folder, word, message):
    with pytest.raises(InputError) as raised:
        recipe("default", "-S", "seed=1", "-S", word)
    assert message in str(raised.value)


# Names that YAML, Hydra or a shell would read in another way.
NAMES = [
    *(
        "/x/New folder (2)",
        "/x/scans #2",
        "/x/jörg",
        "/x/数字",
        "/x/a,b",
        "/x/a=b",
        "~/x",
        "/x/it's",
    ),
    *("~/x", "[draft]", "a: b", "0012", "null", "~", "yes", " lead", "trail ", "a\\", "'quoted'"),
    *('"', "\\'", "{a: b}", "*", "&a", "!x", "%x", "@x", "`x`", "- x", "????", "$HOME", "a;b", "|"),
]
printable = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)
# Characters with a meaning, more often than chance gives them.
awkward = st.text("\\'\"${}?#:,[]()= ~a0.!&*%@`|>-", min_size=1, max_size=12)


def examples_of(names):
    def decorate(function):
        for name in names:
            function = example(name)(function)
        return function

    return decorate


@pytest.mark.long
@examples_of(NAMES)
@settings(max_examples=150, deadline=None)
@given((printable | awkward).filter(lambda text: "${" not in text and text != "???"))
def test_text_arrives_in_the_settings_and_in_an_experiment_as_written(tmp_path_factory, text):
    read = read_settings([f"data.path={text}"])
    assert read == {"data": {"path": text}}
    file = tmp_path_factory.getbasetemp() / "written.yaml"
    committed = (ROOT / "params.yaml").read_text("utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        params = with_overrides(recipe_params("default"), read, "settings")
        options = options_of(params)[1::2]
    file.write_text(committed, "utf-8")
    apply_overrides(file, options)
    assert parse_params(file.read_text("utf-8"), "p").data.path == text
    # A grid of values in the same command writes all options anew.
    file.write_text(committed, "utf-8")
    apply_overrides(file, get_hydra_sweeps({"p": [*options, "seed=1,2"]})[0]["p"])
    assert parse_params(file.read_text("utf-8"), "p").data.path == text


def test_all_keys_that_hold_text_are_read_as_text():
    keys = text_keys()
    assert keys.keys() >= {"recipe", "data.name", "data.path", "data.local_dir", "report.label"}
    assert "augment.ops" not in keys
    assert "seed" not in keys
    for key in keys:
        section, _, name = key.rpartition(".")
        for text in ("x #2", "[a]", "0012", "~"):
            expected = {name: text}
            assert read_settings([f"{key}={text}"]) == (
                {section: expected} if section else expected
            )


def test_null_means_none_for_the_keys_that_may_be_null_and_text_for_others():
    words = ["data.local_dir=null", "data.path=null", "train.second_seed=null"]
    assert read_settings(words) == {
        "data": {"local_dir": None, "path": "null"},
        "train": {"second_seed": None},
    }
    assert read_settings(["data.local_dir=~"]) == {"data": {"local_dir": "~"}}


@pytest.mark.parametrize("path", ["/x/${y}", "???"])
def test_a_path_that_dvc_would_replace_is_refused(folder, path):
    with pytest.raises(InputError) as raised:
        recipe("default", "-S", f"data.path={path}")
    assert str(raised.value) == f"data.path: {path!r} has another meaning to DVC; rename it"


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("/x/New folder (2)", "\"data.path='/x/New folder (2)'\""),
        ("/x/a $b", "'data.path='\"'\"'/x/a $b'\"'\"''"),
    ],
)
def test_a_value_that_the_shell_would_split_is_refused_with_the_quoted_option(folder, path, quoted):
    with pytest.raises(InputError) as raised:
        recipe("default", "-S", f"data.path={path}")
    message = str(raised.value)
    assert message.startswith(
        "data.path: the shell would split this value at its blanks; add --run"
    )
    assert message.endswith(f"dvc exp run $(iic recipe NAME) -S {quoted}")
    assert shlex.split(quoted) == [f"data.path='{path}'"]


def test_a_value_without_blanks_is_printed_for_the_shell(folder, capsys):
    recipe("default", "-S", "data.path=/x/[a],b")
    assert capsys.readouterr().out == "-S data.path='/x/[a],b'\n"


@pytest.mark.parametrize("arguments", [["--run"], ["-S", "seed=1"]])
def test_options_without_a_recipe_are_refused(arguments):
    with pytest.raises(UsageError, match="--set and --run need the NAME of a recipe"):
        recipe(*arguments)


EARLIER = [f"refs/exps/{digit * 2}/{digit * 38}/fast" for digit in "ab"]


@pytest.fixture
def dvc_ran(folder, monkeypatch):
    """Return the commands of DVC and their exit status; `fast` has results of two commits."""
    ran: list[list[str]] = []
    status = {"run": 0}

    def run(command, **_):
        ran.append(list(command))
        return commands.subprocess.CompletedProcess(command, status["run"])

    monkeypatch.setattr(commands, "check_ready", lambda settings: None)
    monkeypatch.setattr(commands, "experiment_references", lambda: {"fast": EARLIER})
    monkeypatch.setattr(commands.subprocess, "run", run)
    return ran, status


def test_a_recipe_runs_as_the_experiment_of_its_name(dvc_ran, capsys):
    ran, _ = dvc_ran
    recipe("tour", "-S", "seed=3", "--run")
    (command,) = ran
    assert command[:6] == ["dvc", "exp", "run", "--temp", "--name", "tour"]
    assert sorted(command[6:]) == sorted([*recipe_options("tour"), "-S", "seed=3"])
    assert capsys.readouterr().out == ""


def test_a_recipe_replaces_earlier_experiments_once_it_has_results(dvc_ran, capsys):
    ran, _ = dvc_ran
    recipe("fast", "--run")
    (*words, used), *rest = [command[:6] for command in ran]
    assert words == ["dvc", "exp", "run", "--temp", "--name"]
    assert used.startswith("fast-")
    assert rest == [["dvc", "exp", "remove", *EARLIER], ["dvc", "exp", "rename", used, "fast"]]
    assert capsys.readouterr().err == f"{used} is now fast, in place of the earlier one\n"


@pytest.mark.parametrize("name", ["default", "fast"])
def test_a_failed_run_is_named_and_keeps_earlier_results(dvc_ran, name):
    ran, status = dvc_ran
    status["run"] = 1
    with pytest.raises(InputError, match=f"^dvc exp run --temp --name {name}.*: failed, see abo"):
        recipe(name, "--run")
    assert [command[2] for command in ran] == ["run"]


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
        match="fasst: no such .* of default, article, authors, best, fast, moves, neighbors, tour",
    ):
        recipe_options("fasst")
