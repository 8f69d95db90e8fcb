"""A tiny study from the queue to its page, and a page from tables alone."""

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

from iic.experiments import queue
from iic.experiments.claims import (
    COLUMNS,
    summary,
)
from iic.experiments.grid import experiments_of, read_grid
from iic.experiments.measures import Result
from iic.experiments.study import CURVE_PANELS, files_of_study, run_study
from iic.experiments.tables import write_results

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


def test_each_grid_has_its_own_files(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    grid = Path("studies/article.yaml")
    article = files_of_study(read_grid(grid), grid)
    assert article.table == Path("reports/studies/article.csv")
    assert article.page == Path("reports/studies/article.md")
    mine = tmp_path / "mine.yaml"
    mine.write_text("recipe: fast\nseeds: [0]\nvariants:\n  history: {}\n")
    paths = files_of_study(read_grid(mine), mine)
    assert paths.curves == Path("reports/studies/mine-curves.csv")
    assert paths.figures == {"curves": Path("reports/studies/mine-curves.png")}
    assert set(article.figures) == {"operations", "alphas"}
    assert len({*article[:3], *article.figures.values()}) == 5


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
    assert {"loss", "cluster_mutual_information", "acc", "over_purity", "alpha"} < set(epochs[0])


def test_the_page_is_made_from_the_tables_alone(tmp_path, monkeypatch):
    """As in a fresh clone, which has the tables but not the experiments."""
    monkeypatch.chdir(ROOT)
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL.replace("[0]", "[0, 1]") + CLAIM)
    grid = read_grid(path)
    wanted = experiments_of(grid, path)
    monkeypatch.setattr("iic.experiments.study.STUDIES", tmp_path)
    paths = files_of_study(grid, path)
    curves = {panel: np.array([0.5, 0.75]) for panel in CURVE_PANELS}
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
