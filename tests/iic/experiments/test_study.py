"""Grids, the statistics of claims, DVC's queue, and a tiny study from the queue to its page."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, TINY, environment, run

from iic.core.errors import InputError
from iic.experiments import commands, queue
from iic.experiments.claims import (
    COLUMNS,
    FAILS,
    HOLDS,
    OPEN,
    UNMEASURED,
    Claim,
    format_value,
    interval,
    judge,
    paired,
    summary,
)
from iic.experiments.grid import Experiment, experiments_of, read_grid
from iic.experiments.measures import Result, accuracies, measure_crossed_sevens, ownership
from iic.experiments.recipes import recipe_params
from iic.experiments.study import PANELS, files_of_study, run_study
from iic.experiments.tables import read_results, write_results
from iic.pairs.schedule import Schedule
from iic.report.sevens import bar_width, crossed

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
        ("[1, 2]\n", "expected sections"),
    ],
)
def test_a_mistake_in_a_grid_is_named(write_grid, text, message):
    path = write_grid(text)
    with pytest.raises(InputError) as caught:
        experiments_of(read_grid(path), path)
    assert message in str(caught.value)
    assert "mine.yaml" in str(caught.value) or "recipe" in message


def test_each_grid_has_its_own_files(write_grid):
    article = files_of_study(read_grid(GRID), GRID)
    assert article.table == Path("reports/studies/article.csv")
    assert article.page == Path("reports/studies/article.md")
    mine = write_grid("recipe: fast\nseeds: [0]\nvariants:\n  history: {}\n")
    paths = files_of_study(read_grid(mine), mine)
    assert paths.curves == Path("reports/studies/mine-curves.csv")
    assert paths.figures == {"curves": Path("reports/studies/mine-curves.png")}
    assert set(article.figures) == {"operations", "alphas"}
    assert len({*article[:3], *article.figures.values()}) == 5


def test_pairs_in_the_grid_of_moves_differ_only_in_moves(at_root):
    path = Path("studies/moves.yaml")
    experiments = {(e.variant, e.seed): e.params for e in experiments_of(read_grid(path), path)}
    assert len(experiments) == 24
    for (variant, seed), params in experiments.items():
        if variant.endswith("-without"):
            pair = experiments[variant.removesuffix("-without"), seed]
            assert params.with_values(loss={"teaching_weight": 1.0}) == pair


def test_a_column_with_a_missing_value_is_a_dash():
    assert summary("crossed_held", [float("nan"), 0.5]) == "-"


def test_a_missing_grid_is_named(at_root):
    with pytest.raises(InputError, match=r"studies/none\.yaml: not found"):
        read_grid(Path("studies/none.yaml"))


def test_an_interval_equals_one_computed_by_hand():
    # Mean 3, standard deviation sqrt(2.5), 4 degrees of freedom: t = 2.776.
    half = 2.776445 * np.sqrt(2.5 / 5)
    assert interval([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx((3 - half, 3 + half), abs=1e-5)
    assert interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_differences_are_taken_seed_by_seed():
    assert paired({0: 3.0, 2: 5.0, 7: 1.0}, {7: 0.5, 2: 1.0, 9: 4.0}) == [4.0, 0.5]


def test_values_are_formatted_with_their_unit():
    assert format_value("acc", 0.98765) == "98.77 %"
    assert format_value("acc", 0.01, "+") == "+1.00 %"
    assert format_value("merged", 1.2) == "1.2"
    assert summary("acc", [0.9, 0.8]) == "85.00 % ± 7.07 %, from 80.00 % to 90.00 %"
    assert summary("acc", [0.9, 0.8], "<br>") == "85.00 % ± 7.07 %<br>80.00 % to 90.00 %"
    assert summary("merged", [2.0]) == "2"
    assert format_value("nmi", 0.98765) == "0.9877"


TABLE = {
    "high": {0: 0.9, 1: 0.92, 2: 0.91},
    "low": {0: 0.5, 1: 0.53, 2: 0.51},
    "same": {0: 0.93, 1: 0.89, 2: 0.905},
}


def claim(**values: object) -> Claim:
    return Claim.model_validate({"says": "s", "variant": "high", "column": "acc"} | values)


def test_a_difference_is_judged_by_its_interval():
    findings = judge(claim(higher_than=["low", "same"]), TABLE)
    assert [finding.verdict for finding in findings] == [HOLDS, OPEN]
    low, high = interval([0.4, 0.39, 0.4])
    expected = f"`high` - `low`: +39.67 %, in {100 * low:+.2f} % to {100 * high:+.2f} %"
    assert findings[0].measured == expected
    (reverse,) = judge(claim(variant="low", higher_than=["high"]), TABLE)
    assert reverse.verdict == FAILS


@pytest.mark.parametrize(
    ("value", "give", "verdict"),
    [
        # The interval is 0.885 to 0.935.
        *((0.91, 0.03, HOLDS), (0.91, 0.02, OPEN), (0.94, 0.02, OPEN)),
        *((0.85, 0.03, FAILS), (0.97, 0.03, FAILS)),
    ],
)
def test_a_level_is_judged_by_the_interval_of_the_mean(value, give, verdict):
    (finding,) = judge(claim(about=value, give=give), TABLE)
    assert finding.verdict == verdict
    assert finding.measured.startswith("`high`: 91.00 % ± 1.00 %, from 90.00 % to 92.00 %")


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.9, f"{HOLDS}: 3 of 3 seeds"), (0.915, f"{OPEN}: 1 of 3 seeds"), (0.95, f"{FAILS}: 0 of 3")],
)
def test_a_threshold_counts_seeds(value, verdict):
    (finding,) = judge(claim(reaches=value), TABLE)
    assert finding.verdict.startswith(verdict)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.03, f"{HOLDS}: 3 of 3 seeds"), (0.02, f"{OPEN}: 2 of 3 seeds"), (0.005, f"{FAILS}: 0 of")],
)
def test_a_bound_applies_to_both_signs(value, verdict):
    changes = {"high": {0: 0.01, 1: -0.025, 2: -0.01}}
    (finding,) = judge(claim(within=value), changes)
    assert finding.verdict.startswith(verdict)


def test_best_and_last_epoch_of_the_article_are_measured():
    by_epoch = np.linspace(0.5, 0.7, 120)
    by_epoch[[29, 110]] = 0.8, 0.9
    found = accuracies(by_epoch)
    assert found["acc"] == by_epoch[119]
    assert (found["best_acc"], found["best_epoch"]) == (0.8, 30)
    assert found["acc_100"] == by_epoch[99]
    assert found["change_after_100"] == pytest.approx(by_epoch[119] - by_epoch[99])


def test_epochs_beyond_a_short_training_are_not_measured():
    short, exact = accuracies(np.linspace(0.5, 0.7, 4)), accuracies(np.linspace(0.5, 0.7, 100))
    assert np.isnan([short["acc_100"], short["change_after_100"], exact["change_after_100"]]).all()
    assert exact["acc_100"] == exact["acc"] == exact["best_acc"] == 0.7
    assert short["best_epoch"] == 4


def test_merged_and_split_digits_equal_counts_by_hand():
    # Digit 0 is the majority of two clusters, 1 of one, 2 of none; the last cluster is empty.
    clusters = np.array([[9, 8, 0, 0], [0, 1, 9, 0], [2, 0, 8, 0]])
    assert ownership(clusters) == {"merged": 1, "split": 1}
    assert ownership(np.diag([5, 5, 5])) == {"merged": 0, "split": 0}


def test_crossed_sevens_are_measured_in_one_overcluster():
    images = np.stack([seven(bar) for bar in (True, True, True, False, False, True)])
    predictions = {
        "label": np.array(["7", "7", "7", "7", "7", "1"]),
        "overcluster": np.array([4, 4, 2, 4, 0, 2]),
    }
    found = measure_crossed_sevens(predictions, images)
    assert found["crossed_held"] == pytest.approx(2 / 3)
    assert found["crossed_pure"] == pytest.approx(2 / 3)
    nothing = measure_crossed_sevens(predictions, np.stack([seven(False)] * 6))
    assert nothing == {"crossed_held": 0.0, "crossed_pure": 0.0}


def test_a_claim_about_each_seed_needs_only_one_seed(write_grid):
    path = write_grid(
        "recipe: fast\nseeds: [0]\nvariants: {a: {}}\n"
        "claims: [{says: s, variant: a, column: change_after_100, within: 0.005}]\n"
    )
    assert len(read_grid(path).claims) == 1


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


@pytest.mark.parametrize("kind", [{"reaches": 0.5}, {"within": 0.5}, {"higher_than": ["low"]}])
def test_a_missing_value_gives_no_verdict(kind):
    table = {"high": {0: float("nan"), 1: 0.9}, "low": {0: 0.1, 1: 0.2}}
    assert judge(claim(**kind), table) == [("-", UNMEASURED)]


def result(name: str, variant: str, value: float) -> Result:
    curves = {"loss": np.array([value, -1.25]), "acc": np.array([0.5, 0.75])}
    return Result(name, variant, 3, dict.fromkeys(COLUMNS, value), curves)


@pytest.fixture
def stored(tmp_path):
    """Return the paths of both tables, and the two results in them."""
    paths = tmp_path / "runs.csv", tmp_path / "epochs.csv"
    results = [result("one", "a", 0.25), result("two", "b", float("nan"))]
    write_results(results, *paths)
    return paths, results


def test_tables_are_read_back_as_written(stored):
    paths, results = stored
    found = read_results(*paths)
    assert list(found) == ["one", "two"]
    for wanted in results:
        got = found[wanted.experiment]
        assert got[:3] == wanted[:3]
        assert got.columns == pytest.approx(wanted.columns, nan_ok=True)
        assert list(got.curves) == list(wanted.curves)
        for name, curve in wanted.curves.items():
            np.testing.assert_array_equal(got.curves[name], curve)


def test_missing_tables_have_no_results(tmp_path):
    assert read_results(tmp_path / "runs.csv", tmp_path / "epochs.csv") == {}


def test_runs_without_epochs_or_a_column_are_left_out(stored):
    (runs, epochs), _ = stored
    whole = epochs.read_text()
    epochs.write_text("".join(line for line in whole.splitlines(True) if not line.startswith("b,")))
    assert list(read_results(runs, epochs)) == ["one"]
    epochs.write_text(whole)
    runs.write_text(runs.read_text().replace("best_epoch", "another"))
    assert read_results(runs, epochs) == {}


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        ("runs.csv", lambda text: text.replace(b"0.25", b"much")),
        ("epochs.csv", lambda text: text[:-5]),
        ("epochs.csv", lambda text: text.replace(b"epoch", b"time")),
        ("epochs.csv", lambda text: text + b"\xff"),
    ],
)
def test_a_damaged_table_is_named_with_its_remedy(stored, table, damage):
    (runs, epochs), _ = stored
    path = runs.with_name(table)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"{table}: .*`git restore .*{table}` brings"):
        read_results(runs, epochs)


def seven(bar: bool) -> np.ndarray:
    """Draw a seven with a slanted stem, with or without a bar through it."""
    image = np.zeros((28, 28), np.uint8)
    image[4:6, 8:20] = 255
    for row in range(6, 24):
        image[row, 18 - row // 3 : 20 - row // 3] = 255
    if bar:
        image[13:15, 9:20] = 255
    return image


def test_a_seven_is_crossed_only_if_a_bar_goes_through_its_stem():
    np.testing.assert_array_equal(crossed(np.stack([seven(True), seven(False)])), [True, False])
    assert bar_width(seven(False) / 255) < 2
    assert bar_width(np.zeros((28, 28))) == 0


SMALL = """\
recipe: default
seeds: [0]
variants:
  all: {}
  noise:
    augment: {ops: [noise]}
"""
CLAIM = """\
claims:
  - {says: Four operations beat noise., variant: all, column: acc, higher_than: [noise]}
"""


def results(folder: Path) -> dict[str, str]:
    """Return the commit of each finished experiment by its name."""
    lines = run("git", "for-each-ref", "refs/exps", cwd=folder).stdout.splitlines()
    return {ref.split("/")[-1]: commit for commit, _, ref in map(str.split, lines) if "seed" in ref}


QUEUED = """\
Task     Name    Created    Status
abc      wanted  09:00 AM   {status}

Worker status: {workers}
"""


@pytest.fixture
def queue_says(monkeypatch):
    """Make the queue's status one text after another; the last one is repeated."""

    def says(*answers: str) -> None:
        left = list(answers)
        monkeypatch.setattr(queue, "_POLL_SECONDS", 0.0)
        monkeypatch.setattr(queue, "_finished", set)
        monkeypatch.setattr(queue, "_add_to_queue", lambda waiting: None)
        monkeypatch.setattr(queue, "_start_worker", lambda jobs: None)
        monkeypatch.setattr(queue, "_status", lambda: left.pop(0) if len(left) > 1 else left[0])

    return says


@pytest.fixture
def wanted(params):
    return Experiment("wanted", "a", 0, params, [])


def said(status: str, workers: str = "1 active, 0 idle") -> str:
    return QUEUED.format(status=status, workers=workers)


def test_a_result_is_waited_for(queue_says, wanted):
    nobody_yet = said("Queued", "0 active, 0 idle")
    queue_says(nobody_yet, nobody_yet, said("Running"), said("Success", "0 active, 0 idle"))
    assert list(queue.run_missing([wanted])) == [wanted]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([said("Running"), said("Failed")], "failed: wanted; `dvc queue logs NAME` shows why"),
        ([said("Running"), "No experiment tasks"], "no longer in DVC's queue: wanted; finished"),
        ([said("Running"), said("Running", "0 active, 0 idle")], "DVC's worker has died; finished"),
    ],
)
def test_waiting_ends_if_no_result_can_come(queue_says, wanted, answers, message):
    queue_says(*answers)
    with pytest.raises(InputError, match=message):
        list(queue.run_missing([wanted]))


@pytest.mark.parametrize(("jobs", "threads"), [(1, None), (2, "2"), (3, "1"), (9, "1")])
def test_jobs_share_the_cores(monkeypatch, jobs, threads):
    started = []

    def start(command, *, env, **_):
        started.append((command, env))
        return subprocess.CompletedProcess(command, 0)

    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(commands.subprocess, "run", start)
    monkeypatch.setattr(queue.os, "cpu_count", lambda: 4)
    queue._start_worker(jobs)
    ((command, env),) = started
    assert command[-2:] == ("--jobs", str(jobs))
    assert [env.get(name) for name in names] == [threads] * 3


def test_the_error_says_why_a_worker_does_not_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", environment()["PATH"])
    with pytest.raises(InputError, match=r"dvc queue start .*: .*not inside of a DVC repository"):
        queue._start_worker(1)


def kill_all_below(folder: Path) -> int:
    """Kill all processes that work in a folder, as if the machine had failed."""
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
        except OSError:
            continue  # it has ended, or belongs to another user
    return killed


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="finds processes by /proc")
def test_a_study_resumes_after_a_kill_and_repeats_nothing(pipeline_run, tmp_path):
    clone = tmp_path / "clone"
    # Its run-cache has one of the two runs.
    shutil.copytree(pipeline_run, clone, symlinks=True)
    (clone / "studies/small.yaml").write_text(SMALL)
    # Poll the queue more often, but wait as long for the worker.
    code = (
        "from pathlib import Path\n"
        "from iic.experiments import queue, study\n"
        "queue._POLL_SECONDS, queue._PATIENCE = 1.0, 60\n"
        "study.run_study(Path('studies/small.yaml'))"
    )
    command = [sys.executable, "-c", code]
    variables = environment() | {"PYTHONPATH": str(clone)}
    first = subprocess.Popen(command, cwd=clone, env=variables, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 900  # enough for a busy machine
    # The first row appears while the second experiment still runs.
    while not (clone / "reports/studies/small.csv").exists():
        assert first.poll() is None
        assert time.monotonic() < give_up
        time.sleep(1)
    assert kill_all_below(clone) > 1  # the worker as well
    first.wait()
    before = results(clone)

    run(*command, cwd=clone, env={"PYTHONPATH": str(clone)})
    after = results(clone)
    assert len(before) == 1
    assert len(after) == 2
    assert before.items() <= after.items()
    with (clone / "reports/studies/small.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["seed"]) for row in rows] == [("all", "0"), ("noise", "0")]
    assert len({row["nmi"] for row in rows}) == 2
    with (clone / "reports/studies/small-curves.csv").open() as file:
        epochs = list(csv.DictReader(file))
    assert len(epochs) == 2 * TINY["train.epochs"]
    assert {"loss", "cluster_mutual_information", "acc", "over_acc", "alpha"} < set(epochs[0])


def test_the_page_is_made_from_the_tables_alone(write_grid, tmp_path, monkeypatch):
    """As in a fresh clone, which has the tables but not the experiments."""
    path = write_grid(SMALL.replace("[0]", "[0, 1]") + CLAIM)
    grid = read_grid(path)
    wanted = experiments_of(grid, path)
    monkeypatch.setattr("iic.experiments.study.STUDIES", tmp_path)
    paths = files_of_study(grid, path)
    curves = {panel: np.array([0.5, 0.75]) for panel in PANELS}
    made = [
        Result(e.name, e.variant, e.params.seed, dict.fromkeys(COLUMNS, number / 8), curves)
        for number, e in enumerate(wanted, start=1)
    ]
    no_hundredth = [r._replace(columns=r.columns | {"acc_100": np.nan}) for r in made]
    write_results(no_hundredth, paths.table, paths.curves)
    monkeypatch.setattr(queue, "output_of", lambda *words, **_: pytest.fail(str(words)))
    run_study(path)
    page = paths.page.read_text("utf-8")
    assert "| Four operations beat noise. | `all` - `noise`: " in page
    accuracy = summary("acc", [3 / 8, 4 / 8])
    assert f"| `noise` | {accuracy.replace(', from ', '<br>')} |" in page
    assert "Mean ± standard deviation over 2 seeds" in page
    assert "`acc_100`" not in page
    for figure in paths.figures.values():
        assert figure.read_bytes().startswith(b"\x89PNG")
