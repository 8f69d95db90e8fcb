"""Runs of a recipe with several seeds, their table, and the command `iic seeds`."""

import subprocess
from pathlib import Path

import pytest
import yaml
from click import Abort
from conftest import override

from iic.cli.main import cli
from iic.core.params import parse_params
from iic.experiments import commands, seeds
from iic.experiments.git import current_commit, git
from iic.experiments.recipes import recipe_options
from iic.experiments.seeds import read_rows, recipe_of, rows_of, run_seed, write_rows
from iic.pipeline.costs import COSTS, Cost, read_costs
from tools.docs import results

METRICS = ("acc", "nmi", "ari", "over_acc", "train_acc", "loss")
COLUMNS = (*METRICS, "seconds")


def row(seed: int, value: float) -> dict[str, str]:
    return {"recipe": "r", "seed": str(seed)} | dict.fromkeys(COLUMNS, f"{value}")


def test_rows_of_different_recipes_do_not_mix(tmp_path):
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


def test_the_hash_has_the_precision_of_this_machine(params_text, monkeypatch):
    def recipe(precision: str) -> str:
        return recipe_of(parse_params(override(params_text, {"train.precision": precision}), "p"))

    for found, precision in ((True, "mixed_bfloat16"), (False, "float32")):
        monkeypatch.setattr("iic.core.params.has_bfloat16", lambda found=found: found)
        assert recipe("auto") == recipe(precision)
    assert recipe("float32") != recipe("mixed_bfloat16")


def test_the_hash_covers_all_parameters_that_decide_a_result(params_text):
    def recipe(**values: object) -> str:
        settings = {key.replace("__", "."): value for key, value in values.items()}
        return recipe_of(parse_params(override(params_text, settings), "p"))

    assert recipe() == recipe(recipe="mine", seed=5, report__label=3, data__local_dir="x")
    assert recipe(loss__alpha=2) == recipe(loss__alpha=2.0) != recipe()
    assert recipe(loss__alpha_final=None) != recipe() != recipe(augment__neighbors=0)
    assert recipe(augment__both_views=False) != recipe()
    operations = ["noise", "flip", "color"]
    for name in ("flip", "brightness", "contrast", "saturation", "hue"):
        changed = {f"augment__{name}": 0.1}
        assert recipe(**changed) == recipe()
        assert recipe(augment__ops=operations, **changed) != recipe(augment__ops=operations)
    custom = {"data__name": "custom"}
    assert recipe(data__image_size=28) == recipe()
    for changed in ({"data__image_size": 64}, {"data__channels": 3}):
        assert recipe(**custom, **changed) != recipe(**custom)


def test_committed_tables_belong_to_the_current_recipes():
    """A new parameter, off by default, must not make older results unknown."""
    for table in sorted(Path("reports/seeds").glob("*.csv")):
        assert rows_of(table.stem), table


def test_the_rows_of_a_recipe_in_the_pages_are_of_one_code():
    for table in sorted(Path("reports/seeds").glob("*.csv")):
        commits = {row.get("commit", "") for row in rows_of(table.stem).values()}
        assert len(commits) == 1, f"{table}: rows of different commits; `iic seeds --again`"
        assert not any(commit.endswith("+") for commit in commits), f"{table}: edited code"


# What decides the results of a seed; dvc.yaml names them as dependencies of these stages.
DECIDING = ("augment", "neighbors", "train", "evaluate")


def test_all_rows_of_the_overview_in_the_readme_are_of_one_code():
    stages = yaml.safe_load(Path("dvc.yaml").read_text("utf-8"))["stages"]
    deps = {dep for stage in DECIDING for dep in stages[stage]["deps"] if isinstance(dep, str)}
    code = sorted(dep for dep in deps if dep.startswith(("iic/", "stages/")))
    seen: dict[tuple[str, ...], list[str]] = {}
    for recipe in results.OVERVIEW:
        for commit in {row["commit"] for row in rows_of(recipe).values()}:
            found = git("rev-parse", *(f"{commit}:{path}" for path in code))
            if found.returncode:
                # A shallow clone or a download without history has nothing to compare.
                pytest.skip(f"{commit}: this copy of the repository lacks the commit")
            seen.setdefault(tuple(found.stdout.split()), []).append(f"{recipe} at {commit}")
    assert len(seen) == 1, f"different code: {list(seen.values())}; `iic seeds RECIPE --again`"


def test_finished_seeds_are_skipped_and_a_failure_keeps_the_rows(folder, monkeypatch, capsys):
    ran: list[tuple[str, int]] = []

    def run_seed(recipe: str, seed: int) -> dict[str, str]:
        ran.append((recipe, seed))
        if seed == 2:
            raise KeyboardInterrupt
        return dict.fromkeys(COLUMNS, "0.5")

    def run(*arguments: str) -> None:
        ran.clear()
        cli.main(["seeds", *arguments], standalone_mode=False)

    monkeypatch.setattr(seeds, "run_seed", run_seed)
    monkeypatch.setattr(seeds, "current_commit", lambda: "1a2b3c4+")
    with pytest.raises(Abort):
        run("--first", "0", "--count", "3")
    assert list(rows_of("default")) == [0, 1]
    assert rows_of("default")[1]["commit"] == "1a2b3c4+"
    run("--count", "2")
    assert ran == []
    assert "seed 0 is already in reports/seeds/default.csv; --again" in capsys.readouterr().err
    run("--count", "2", "--again")
    assert ran == [("default", 0), ("default", 1)]
    run("fast", "--count", "1", "--first", "1")
    assert ran == [("fast", 1)]
    assert list(rows_of("fast")) == [1]


def test_a_seed_is_an_experiment_with_metrics_and_training_time(folder, monkeypatch):
    ran = []

    def run(command: list[str], env: dict[str, str], **_: object):
        ran.append(list(command))
        if COSTS in env:
            Path(env[COSTS]).write_text("augment 0.10 99\ntrain 81.25 900\n")
        return subprocess.CompletedProcess(command, 0)

    metrics = dict.fromkeys(METRICS, 0.123456789)
    monkeypatch.setattr(commands, "check_ready", lambda settings: None)
    monkeypatch.setattr(commands.subprocess, "run", run)
    monkeypatch.setattr(seeds, "metrics_of", lambda name: metrics)
    values = run_seed("fast", 3)
    assert values == dict.fromkeys(METRICS, "0.123457") | {"seconds": "81.2"}
    assert ran[0] == ["dvc", "exp", "remove", "--quiet", "fast-seed-3"]
    assert ran[1][:6] == ["dvc", "exp", "run", "--temp", "--name", "fast-seed-3"]
    assert sorted(ran[1][6:]) == sorted([*recipe_options("fast"), "-S", "seed=3"])


def test_stages_that_did_not_run_have_no_cost(tmp_path):
    assert read_costs(tmp_path / "none") == {}
    (tmp_path / "costs").write_text("augment 0.25 99\n")
    assert read_costs(tmp_path / "costs") == {"augment": Cost(0.25, 99.0)}


def test_a_row_names_the_commit_of_its_code_and_whether_the_code_was_edited(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = ("code.py", "reports/table.csv")
    for name in (*own, *(f"project/{name}" for name in own)):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("1")
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.com")
    for words in (("init", "--quiet"), ("add", "."), (*identity, "commit", "--quiet", "-m", "m")):
        assert git(*words).returncode == 0
    commit = current_commit()
    assert git("rev-parse", "HEAD").stdout.startswith(commit)
    # The table itself grows while seeds run, and new files are not code of the commit.
    (tmp_path / "reports/table.csv").write_text("2")
    (tmp_path / "new.txt").write_text("2")
    assert current_commit() == commit
    (tmp_path / "code.py").write_text("2")
    assert current_commit() == f"{commit}+"
    # In a project below another repository, only its own files count.
    monkeypatch.chdir(tmp_path / "project")
    assert current_commit() == commit
    (tmp_path / "project/reports/table.csv").write_text("2")
    assert current_commit() == commit
    (tmp_path / "project/code.py").write_text("2")
    assert current_commit() == f"{commit}+"
