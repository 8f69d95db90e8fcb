"""Runs of a recipe with several seeds, their table, and the command `iic seeds`."""

import os
import re
import subprocess
from pathlib import Path
from typing import get_args

import pytest
import yaml
from click import Abort
from conftest import override

from iic.cli.main import cli
from iic.core.errors import InputError
from iic.core.params import Params, Section, parse_params
from iic.experiments import commands, seeds
from iic.experiments.git import current_commit, git
from iic.experiments.recipes import recipe_options, recipe_params
from iic.experiments.seeds import (
    fingerprint_of,
    read_rows,
    recipe_of,
    rows_of,
    run_seed,
    table_of,
    write_rows,
)
from iic.pipeline.costs import COSTS, Cost, read_costs
from tools.docs import results

METRICS = ("acc", "nmi", "ari", "over_acc", "train_acc", "loss")
COLUMNS = (*METRICS, "seconds")


@pytest.fixture
def hash_of(params_text):
    """Return the hash of the committed parameters with changes, by the dotted name of a key."""

    def recipe(changes: dict[str, object]) -> str:
        return recipe_of(parse_params(override(params_text, changes), "p"))

    return recipe


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


def nullable_keys() -> list[str]:
    """Return the dotted keys of parameters that may be null."""
    sections = {name: field.annotation for name, field in Params.model_fields.items()}
    return [
        f"{section}.{key}"
        for section, kind in sections.items()
        if isinstance(kind, type) and issubclass(kind, Section)
        for key, field in kind.model_fields.items()
        if type(None) in get_args(field.annotation)
    ]


def test_zero_and_null_of_a_key_are_different_recipes(hash_of):
    assert {"model.poolings", "train.second_seed"} <= set(nullable_keys())
    compared = []
    for key in nullable_keys():
        try:
            zero = hash_of({"seed": 5, key: 0})
        except InputError:
            continue  # 0 is no value of this key.
        compared.append(key)
        assert zero != hash_of({key: None}), key
    assert compared == ["model.poolings", "train.second_seed"]


def custom(path: Path) -> dict[str, object]:
    return {"data.name": "custom", "data.path": str(path)}


def test_the_fingerprint_is_that_of_the_contents_of_your_images(params_text, tmp_path):
    def fingerprint(changes: dict[str, object]) -> str:
        return fingerprint_of(parse_params(override(params_text, changes), "p").data)

    image = tmp_path / "scans/a.png"
    image.parent.mkdir()
    image.write_bytes(b"one")
    assert fingerprint({"data.path": str(image.parent)}) == ""
    assert fingerprint(custom(tmp_path / "elsewhere")) == ""
    first = fingerprint(custom(image.parent))
    assert re.fullmatch("-[0-9a-f]{8}", first)
    # As after `git clone`, which gives files other times, and in another folder.
    os.utime(image, (0, 0))
    image.parent.rename(tmp_path / "moved")
    assert fingerprint(custom(tmp_path / "moved")) == first
    image = tmp_path / "moved/a.png"
    image.write_bytes(b"two")
    changed = fingerprint(custom(image.parent))
    alone = fingerprint(custom(image))
    image.rename(image.with_name("b.png"))
    assert len({first, changed, alone, fingerprint(custom(image.parent))}) == 4


def test_rows_of_other_images_at_the_same_path_do_not_count(folder, params_text, monkeypatch):
    scans = folder / "scans"
    scans.mkdir()
    (scans / "a.png").write_bytes(b"one")
    (folder / "params.yaml").write_text(override(params_text, custom(scans)))
    monkeypatch.setattr(seeds, "run_seed", lambda *_: {"confidence": "0.5"})
    monkeypatch.setattr(seeds, "current_commit", lambda: "1a2b3c4")
    seeds.run_seeds("default", 0, 2)
    assert list(rows_of("default")) == [0, 1]
    (scans / "b.png").write_bytes(b"two")
    assert rows_of("default") == {}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("\n", "\n<<<<<<< HEAD\n", 1),
        lambda text: text.replace("seed", "sead", 1),
        lambda text: text.replace("recipe", "receipt", 1),
        lambda text: text.replace("r,1,", "r,one,"),
        lambda text: text.replace("0.25", "much", 1),
    ],
)
def test_a_damaged_table_is_refused_and_stays_as_it_is(tmp_path, damage):
    path = tmp_path / "seeds.csv"
    write_rows(path, "r", {3: row(3, 0.5), 1: row(1, 0.25)})
    content = damage(path.read_text())
    assert content != path.read_text()
    path.write_text(content)
    refused = rf"^{re.escape(str(path))}: damaged; run `git restore .*seeds\.csv`$"
    with pytest.raises(InputError, match=refused):
        read_rows(path, "other")
    with pytest.raises(InputError, match=refused):
        write_rows(path, "other", {})
    assert path.read_text() == content


def test_a_small_negative_metric_is_stored_as_a_number(folder, monkeypatch):
    metrics = {"ari": -3.21234567e-05, "loss": -2.5, "count": 10, "large": 1234567.0}
    monkeypatch.setattr(seeds, "run_experiment", lambda *_: None)
    monkeypatch.setattr(seeds, "metrics_of", lambda name: metrics)
    monkeypatch.setattr(seeds, "current_commit", lambda: "1a2b3c4")
    seeds.run_seeds("default", 0, 1)
    assert "'" not in table_of("default").read_text()
    stored = rows_of("default")[0]
    assert {name: stored[name] for name in metrics} == {
        "ari": "-0.0000321235", "loss": "-2.5", "count": "10", "large": "1234570"
    }  # fmt: skip


def test_a_number_with_an_apostrophe_in_an_older_table_is_a_number(tmp_path):
    path = tmp_path / "seeds.csv"
    path.write_text("recipe,seed,ari\nr,0,'-3.2e-05\n")
    assert read_rows(path, "r") == {0: {"recipe": "r", "seed": "0", "ari": "-3.2e-05"}}


def test_committed_tables_belong_to_the_current_recipes():
    """A new parameter, off by default, must not make older results unknown."""
    for table in sorted(Path("reports/seeds").glob("*.csv")):
        assert rows_of(table.stem), table


def test_the_rows_of_a_recipe_in_the_pages_are_of_one_code():
    for table in sorted(Path("reports/seeds").glob("*.csv")):
        commits = {row.get("commit", "") for row in rows_of(table.stem).values()}
        assert len(commits) == 1, f"{table}: rows of different commits; `iic seeds --again`"
        (commit,) = commits
        assert commit, f"{table}: rows without a commit; `iic seeds --again`"
        assert not commit.endswith("+"), f"{table}: edited code"


# What decides the results of a seed; dvc.yaml names them as dependencies of these stages.
DECIDING = ("augment", "neighbors", "train", "evaluate")


def test_all_rows_of_the_overview_in_the_readme_are_of_one_code():
    stages = yaml.safe_load(Path("dvc.yaml").read_text("utf-8"))["stages"]
    deps = {dep for stage in DECIDING for dep in stages[stage]["deps"] if isinstance(dep, str)}
    code = sorted(dep for dep in deps if dep.startswith(("iic/", "stages/")))
    seen: dict[str, list[str]] = {}
    lacking: set[str] = set()
    for recipe in results.OVERVIEW:
        for commit in {row["commit"] for row in rows_of(recipe).values()}:
            if git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
                lacking.add(commit)
                continue
            # A file that the commit lacks, too, makes its code different.
            trees = git("rev-parse", *(f"{commit}:{path}" for path in code)).stdout
            seen.setdefault(trees, []).append(f"{recipe} at {commit}")
    assert len(seen) <= 1, f"different code: {list(seen.values())}; `iic seeds RECIPE --again`"
    if lacking:
        # A shallow clone or a download without history has nothing to compare.
        pytest.skip(f"this copy of the repository lacks {', '.join(sorted(lacking))}")
    assert len(seen) == 1


def test_finished_seeds_are_skipped_and_a_failure_keeps_the_rows(folder, monkeypatch, capsys):
    ran: list[tuple[str, int]] = []

    def run_seed(recipe: str, params: Params, seed: int) -> dict[str, str]:
        assert params == recipe_params(recipe)
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


def test_an_edit_during_the_run_does_not_reach_the_seeds_of_the_old_hash(
    folder, params_text, monkeypatch
):
    ran = []

    def run_experiment(name: str, params: Params, variables: dict[str, str]) -> None:
        ran.append((name, params.loss.alpha, params.seed))
        # Both files of the recipe are edited while the first seed runs.
        (folder / "params.yaml").write_text(override(params_text, {"loss.alpha": 9.0}))
        (folder / "recipes/mine.yaml").write_text("loss: {alpha: 8.0}\n")

    (folder / "recipes/mine.yaml").write_text("loss: {alpha: 7.0}\n")
    key = recipe_of(recipe_params("mine"))
    monkeypatch.setattr(seeds, "run_experiment", run_experiment)
    monkeypatch.setattr(seeds, "metrics_of", lambda name: {"acc": 0.5})
    monkeypatch.setattr(seeds, "current_commit", lambda: "1a2b3c4")
    seeds.run_seeds("mine", 0, 2)
    assert ran == [("mine-seed-0", 7.0, 0), ("mine-seed-1", 7.0, 1)]
    assert list(read_rows(table_of("mine"), key)) == [0, 1]
    assert rows_of("mine") == {}


def test_a_seed_is_an_experiment_with_metrics_and_training_time(folder, monkeypatch):
    ran = []

    def run(command: list[str], env: dict[str, str], **_: object):
        ran.append(list(command))
        if COSTS in env:
            Path(env[COSTS]).write_text("augment 0.10 99\ntrain 81.25 900\n")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(commands, "experiment_references", dict)

    metrics = dict.fromkeys(METRICS, 0.123456789)
    monkeypatch.setattr(commands, "check_ready", lambda settings: None)
    monkeypatch.setattr(commands.subprocess, "run", run)
    monkeypatch.setattr(seeds, "metrics_of", lambda name: metrics)
    values = run_seed("fast", recipe_params("fast"), 3)
    assert values == dict.fromkeys(METRICS, "0.123457") | {"seconds": "81.2"}
    (command,) = ran
    assert command[:6] == ["dvc", "exp", "run", "--temp", "--name", "fast-seed-3"]
    assert sorted(command[6:]) == sorted([*recipe_options("fast"), "-S", "seed=3"])


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
