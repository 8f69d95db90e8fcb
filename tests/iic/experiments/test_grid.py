"""Grids: what a file in studies/ may hold, and the experiments that it gives."""

from pathlib import Path

import pytest
from conftest import ROOT

from iic.core.errors import InputError
from iic.core.params import DataParams
from iic.experiments.grid import experiments_of, read_grid
from iic.experiments.recipes import recipe_params
from iic.experiments.seeds import fingerprint_of
from iic.pairs.schedule import Schedule

GRID = Path("studies/article.yaml")


@pytest.fixture
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def write_grid(tmp_path, at_root):
    def write(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return write


def test_the_articles_grid_has_the_variants_that_its_comments_describe(at_root):
    grid = read_grid(GRID)
    experiments = experiments_of(grid, GRID)
    assert len(experiments) == len(grid.variants) * 5
    assert len({experiment.name for experiment in experiments}) == len(experiments)
    plain = recipe_params("views-alone")
    assert [(e.variant, e.seed) for e in experiments[:6]] == [
        *(("rotation", seed) for seed in range(5)),
        ("distortion", 0),
    ]
    for experiment in experiments:
        params = experiment.params
        assert params.seed == experiment.seed
        assert params.augment.neighbors == params.loss.teaching_weight == 0
        assert params.augment.strength_final == 1
        assert params.train == plain.train
        assert params.model == plain.model
    singles = {e.variant: e.params for e in experiments if len(e.params.augment.ops) == 1}
    assert {(name,) for name in singles} == {tuple(p.augment.ops) for p in singles.values()}
    assert all(params.loss.alpha == 1 for params in singles.values())
    alphas = {e.variant: e.params.loss for e in experiments if len(e.params.augment.ops) == 4}
    assert {name: (loss.alpha, loss.alpha_final) for name, loss in alphas.items()} == {
        "all": (1, None), "alpha-2": (2, None), "alpha-5": (5, None), "alpha-10": (10, None),
        "alpha-10-to-1": (10, 1),
    }  # fmt: skip


def test_the_articles_recipe_is_only_changed_in_the_number_of_epochs(at_root):
    path = Path("studies/article-recipe.yaml")
    recipe = recipe_params("article")
    for experiment in experiments_of(read_grid(path), path):
        params = experiment.params
        assert params.train.epochs > 100
        assert params.with_values(train={"epochs": recipe.train.epochs}) == recipe
        # The schedule is constant.
        schedule = Schedule(params, steps=100)
        assert {schedule.at(step) for step in range(100)} == {schedule.at(0)}
        assert params.train.learning_rate == params.train.learning_rate_final


def test_pairs_in_the_grid_of_moves_differ_only_in_moves(at_root):
    path = Path("studies/moves.yaml")
    experiments = {(e.variant, e.seed): e.params for e in experiments_of(read_grid(path), path)}
    assert len(experiments) == 24
    for (variant, seed), params in experiments.items():
        if variant.endswith("-without"):
            pair = experiments[variant.removesuffix("-without"), seed]
            assert params.with_values(loss={"teaching_weight": 1.0}) == pair


def test_names_and_options_depend_on_values_and_not_on_their_spelling(write_grid):
    variants = [
        "  a:\n    augment: {ops: [rotation, noise]}\n    loss: {alpha: 2}\n",
        "  a:\n    loss: {alpha: 2.0}\n    augment: {ops: [noise, rotation]}\n",
    ]
    found = []
    for variant in variants:
        path = write_grid(f"recipe: fast\nseeds: [3]\nvariants:\n{variant}")
        (experiment,) = experiments_of(read_grid(path), path)
        found.append((experiment.name, experiment.options))
    assert found[0] == found[1]
    name, options = found[0]
    assert name.startswith("mine-a-seed-3-")
    assert options[-2:] != ["-S", "loss.alpha=2"]
    assert "loss.alpha=2.0" in options
    assert "augment.ops=[rotation,noise]" in options
    assert "seed=3" in options


def test_other_images_at_the_same_path_are_other_experiments(write_grid, tmp_path, monkeypatch):
    read = []

    def fingerprint(data: DataParams) -> str:
        read.append(data)
        return fingerprint_of(data)

    monkeypatch.setattr("iic.experiments.grid.fingerprint_of", fingerprint)
    (tmp_path / "scans").mkdir()
    path = write_grid(
        f"recipe: fast\nseeds: [0, 1]\n"
        f"settings: {{data: {{name: custom, path: {tmp_path}/scans}}}}\n"
        "variants: {a: {}, b: {loss: {alpha: 2.0}}, mnist: {data: {name: mnist}}}\n"
    )

    def names() -> list[str]:
        return [experiment.name for experiment in experiments_of(read_grid(path), path)]

    (tmp_path / "scans/a.png").write_bytes(b"one")
    first = names()
    # Once for both variants with the same images.
    assert len(read) == 2
    assert names() == first
    (tmp_path / "scans/a.png").write_bytes(b"two")
    second = names()
    assert first[4:] == second[4:]
    assert not set(first[:4]) & set(second)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe: fast\nseeds: [0]\nvariants:\n  a: {loss: {alhpa: 1}}\n", "alhpa: unknown key"),
        ("recipe: fasst\nseeds: [0]\nvariants:\n  a: {}\n", "fasst: no such recipe"),
        ("recipe: fast\nseeds: [0, 0]\nvariants:\n  a: {}\n", "seeds: a seed is listed twice"),
        ("recipe: fast\nseeds: [-1]\nvariants:\n  a: {}\n", "seeds: seed: -1"),
        ("recipe: fast\nseeds: []\nvariants:\n  a: {}\n", "should have at least 1 item"),
        ("recipe: fast\nseeds: [0]\nvariants:\n  A b: {}\n", "'A b' should match pattern"),
        (
            'recipe: fast\nseeds: [0]\nvariants:\n  "\\e[2J": {}\n',
            r"'\x1b[2J' should match pattern",
        ),
        ("recipe: fast\nseeds: [0]\nvariant:\n  a: {}\n", "mine.yaml: variant"),
        (
            "recipe: fast\nseeds: [0]\nvariants:\n  a: {loss: {alpha: 2}}\n"
            "  b: {loss: {alpha: 2.0}}\n",
            "variants.b: the same settings as a; keep one of them",
        ),
        (
            "recipe: fast\nseeds: [0, 1]\nvariants: {a: {}}\n"
            "claims: [{says: s, variant: b, column: acc, reaches: 0.5}]\n",
            "claims: 'b' is not a variant",
        ),
        (
            "recipe: fast\nseeds: [0]\nvariants: {a: {}}\nfigures: {both: [a, b]}\n",
            "figures.both: 'b' is not a variant",
        ),
        (
            "recipe: fast\nseeds: [0]\nvariants: {a: {}}\n"
            "claims: [{says: s, variant: a, column: acc, about: 0.5, reaches: 0.5}]\n",
            "needs exactly one of higher_than, about, reaches and within",
        ),
        (
            "recipe: fast\nseeds: [0]\nvariants: {a: {}}\n"
            "claims: [{says: s, variant: a, column: accu, reaches: 0.5}]\n",
            "'accu' is not a column (one of acc, ",
        ),
        (
            "recipe: fast\nseeds: [0]\nvariants: {a: {}}\n"
            "claims: [{says: s, variant: a, column: acc, about: 0.5, give: 0.1}]\n",
            "seeds: the claim 's' needs at least two",
        ),
        (
            "recipe: fast\nseeds: [0]\nsettings: {seed: 5}\nvariants: {a: {}}\n",
            "settings.seed: `seeds` sets it for each run; remove it here",
        ),
        (
            "recipe: fast\nseeds: [0]\nvariants: {a: {}, b: {seed: 5}}\n",
            "variants.b.seed: `seeds` sets it for each run; remove it here",
        ),
        ("[1, 2]\n", "expected sections"),
    ],
)
def test_a_mistake_in_a_grid_is_named(write_grid, text, message):
    path = write_grid(text)
    with pytest.raises(InputError) as caught:
        experiments_of(read_grid(path), path)
    assert message in str(caught.value)
    assert "mine.yaml" in str(caught.value) or "recipe" in message


def test_a_missing_grid_is_named(at_root):
    with pytest.raises(InputError, match=r"studies/none\.yaml: not found"):
        read_grid(Path("studies/none.yaml"))


def test_a_claim_about_each_seed_needs_only_one_seed(write_grid):
    path = write_grid(
        "recipe: fast\nseeds: [0]\nvariants: {a: {}}\n"
        "claims: [{says: s, variant: a, column: change_after_100, within: 0.005}]\n"
    )
    assert len(read_grid(path).claims) == 1
