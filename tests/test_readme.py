"""The generated parts of the README, and runs over several seeds."""

import re

import pytest
from conftest import ROOT, environment, override

from benchmarks import readme
from benchmarks.seeds import COLUMNS, main, read_rows, recipe_of, write_rows
from iic.params import parse_params


def test_the_generated_parts_are_current(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", environment()["PATH"])
    text = (ROOT / "README.md").read_text("utf-8")
    assert readme.render(text) == text


def test_every_file_and_target_that_is_named_exists():
    text = (ROOT / "README.md").read_text("utf-8") + (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"`make ([a-z]+)", text)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in set(re.findall(r"\]\((?!https?:)([^)#]+)\)", text)):
        assert (ROOT / path).exists(), path
    parameters = (ROOT / "params.yaml").read_text("utf-8")
    for section, key in re.findall(r"-S '?([a-z]+)\.([a-z_]+)=", text):
        assert re.search(rf"^{section}:$", parameters, re.MULTILINE)
        assert re.search(rf"^  {key}:", parameters, re.MULTILINE), key


def row(seed: int, value: float) -> dict[str, str]:
    return {"recipe": "r", "seed": str(seed)} | dict.fromkeys(COLUMNS, f"{value}")


def test_rows_of_another_recipe_do_not_mix(tmp_path):
    path = tmp_path / "seeds.csv"
    write_rows(path, {3: row(3, 0.5), 1: row(1, 0.25)})
    assert list(read_rows(path, "r")) == [1, 3]
    assert read_rows(path, "other") == {}
    assert read_rows(tmp_path / "none.csv", "r") == {}


def test_the_recipe_is_all_but_the_seed(params_text):
    def recipe(**values: object) -> str:
        settings = {key.replace("__", "."): value for key, value in values.items()}
        return recipe_of(parse_params(override(params_text, settings), "p"))

    assert recipe() == recipe(seed=5, report__digit=3, data__local_dir="x")
    assert recipe(loss__alpha=2) == recipe(loss__alpha=2.0) != recipe()


def test_a_finished_seed_is_not_run_again_and_a_failure_keeps_the_rows(
    tmp_path, monkeypatch, params
):
    ran: list[int] = []

    def run_seed(seed: int) -> dict[str, float]:
        ran.append(seed)
        if seed == 2:
            raise KeyboardInterrupt
        return dict.fromkeys(COLUMNS, 0.5)

    table = tmp_path / "seeds.csv"
    monkeypatch.setattr("benchmarks.seeds.TABLE", table)
    monkeypatch.setattr("benchmarks.seeds.PARAMS", ROOT / "params.yaml")
    monkeypatch.setattr("benchmarks.seeds.run_seed", run_seed)
    with pytest.raises(KeyboardInterrupt):
        main(["--first", "0", "--count", "3"])
    assert list(read_rows(table, recipe_of(params))) == [0, 1]
    ran.clear()
    main(["--count", "2"])
    assert ran == []


def test_the_table_shows_every_seed(tmp_path, monkeypatch, params):
    table = tmp_path / "seeds.csv"
    recipe = recipe_of(params)
    rows = {s: row(s, v) | {"recipe": recipe} for s, v in ((0, 0.9), (1, 0.95), (4, 1.0))}
    write_rows(table, rows)
    monkeypatch.setattr("benchmarks.readme.TABLE", table)
    monkeypatch.setattr("benchmarks.readme.PARAMS", ROOT / "params.yaml")
    text = readme.results()
    assert "3 seeds (0, 1, 4)" in text
    assert "| accuracy, clustering head, test | 95.00 ± 5.00 % | 90.00 % | 100.00 % |" in text
