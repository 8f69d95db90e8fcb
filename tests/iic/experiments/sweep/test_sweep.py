"""Sweeps without a cluster: tasks, choice of experiments, error messages, progress."""

import ast
import fcntl
import io
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, commit, environment, make_clone, run
from machines import wait_for
from rich.console import Console

from iic.cli.main import cli, main
from iic.core.errors import InputError
from iic.experiments.claims import COLUMNS
from iic.experiments.grid import experiments_of, read_grid
from iic.experiments.measures import Result
from iic.experiments.reading import settings_of
from iic.experiments.study import files_of_study
from iic.experiments.sweep import cluster, task
from iic.experiments.sweep.cluster import Needs
from iic.experiments.sweep.driver import SweepSettings, checkout_of, finished_in, run_sweep
from iic.experiments.sweep.progress import Progress, duration, seconds_left
from iic.experiments.sweep.task import Checkout, Outcome, Place, Task
from iic.experiments.tables import write_results

pytestmark = pytest.mark.long

GRID = """\
recipe: default
seeds: [0]
variants:
  three:
    loss: {alpha: 3.0}
  four:
    loss: {alpha: 4.0}
"""


@pytest.fixture
def checkout(pipeline_run, tmp_path) -> Checkout:
    """Bare repository of a finished pipeline, with its DVC cache as the DVC remote."""
    hub = tmp_path / "my hüb.git"
    run("git", "clone", "--quiet", "--bare", str(pipeline_run), str(hub), cwd=tmp_path)
    cache = shutil.copytree(pipeline_run / ".dvc/cache", tmp_path / "cache")
    head = run("git", "rev-parse", "HEAD", cwd=pipeline_run).stdout.strip()
    return Checkout(f"file://{hub}", head, "share", str(cache))


def make_task(checkout: Checkout, tmp_path: Path, *options: str, packages=None) -> Task:
    return Task("mine", options, checkout, Place(1, 0.0, str(tmp_path), packages or {}))


def published(checkout: Checkout) -> list[str]:
    found = run("git", "ls-remote", checkout.git, "refs/exps/*", cwd=Path("/"))
    return found.stdout.split()[1::2]


def test_task_publishes_its_results_once(checkout, tmp_path):
    steps: list[str] = []
    mine = make_task(checkout, tmp_path, "-S", "report.label=3")
    outcome = task.run(mine, steps.append)
    assert outcome.status == "done", outcome.log
    # The outputs of all stages but `report` come from the remote.
    assert steps == ["clones", "pulls", "starts", "runs report", "pushes"]
    assert list(outcome.steps) == steps
    assert sum(outcome.steps.values()) == pytest.approx(outcome.seconds, abs=0.1)
    assert published(checkout) == [checkout.reference("mine")]
    hub = tmp_path / "my hüb.git"
    params = run("git", "show", f"{checkout.reference('mine')}:params.yaml", cwd=hub).stdout
    assert "label: 3" in params
    # The clone is removed, the cache stays for the next task.
    top = tmp_path / f"iic-sweep-{os.getuid()}"
    assert {path.name for path in top.iterdir()} == {"files", "lock"}
    assert top.stat().st_mode & 0o077 == 0
    again = task.run(mine, steps.append)
    assert again.status == "found"
    assert steps[5:] == ["clones"]


def test_a_project_below_another_repository_is_swept(pipeline_run, tmp_path, monkeypatch):
    folder = tmp_path / "outer/ml/iic"
    shutil.copytree(pipeline_run, folder, symlinks=True)
    shutil.rmtree(folder / ".git")
    run("git", "init", "--quiet", "--initial-branch=main", cwd=tmp_path / "outer")
    run("git", "config", "user.name", "test", cwd=tmp_path / "outer")
    run("git", "config", "user.email", "test@example.org", cwd=tmp_path / "outer")
    commit(tmp_path / "outer")
    monkeypatch.chdir(folder)
    checkout = checkout_of(SweepSettings(None, Needs(1, 1.0, 0.0, 0)))
    assert checkout.git == f"file://{tmp_path / 'outer'}"
    assert checkout.prefix == "ml/iic/"
    outcome = task.run(make_task(checkout, tmp_path, "-S", "report.label=3"), lambda _: None)
    assert outcome.status == "done", outcome.log
    assert finished_in(checkout) == {"mine"}
    assert settings_of("mine")["report.label"] == "3"
    (folder / "params.yaml").write_text("changed")
    with pytest.raises(InputError, match=r"^params\.yaml: not committed"):
        checkout_of(SweepSettings(None, Needs(1, 1.0, 0.0, 0)))


@pytest.mark.parametrize("run_cache", [True, False])
def test_training_in_the_run_cache_is_reused_if_wanted(checkout, tmp_path, run_cache):
    """The commit lacks dvc.lock, and existing run-cache records are not pushed again."""
    copy = tmp_path / "copy"
    run("git", "clone", "--quiet", str(tmp_path / "my hüb.git"), str(copy), cwd=tmp_path)
    run("git", "rm", "--quiet", "dvc.lock", cwd=copy)
    run(*_COMMIT, "no lock", cwd=copy)
    run("git", "push", "--quiet", "origin", "main", cwd=copy)
    head = run("git", "rev-parse", "HEAD", cwd=copy).stdout.strip()
    records = Path(checkout.remote_url) / "runs"
    before = {path: path.stat().st_mtime_ns for path in records.rglob("*") if path.is_file()}
    checkout = replace(checkout, commit=head, run_cache=run_cache)
    steps: list[str] = []
    outcome = task.run(make_task(checkout, tmp_path, "-S", "seed=0", "train"), steps.append)
    assert outcome.status == "done", outcome.log
    assert ("runs train" in steps) is not run_cache
    assert before.items() <= {path: path.stat().st_mtime_ns for path in before}.items()


_COMMIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message")


def test_failed_task_publishes_nothing_and_logs_the_reason(checkout, tmp_path):
    outcome = task.run(make_task(checkout, tmp_path, "-S", "augment.views=-1"), lambda _: None)
    assert outcome.status == "failed"
    assert "error: params.yaml: augment.views" in outcome.log
    assert outcome.log.splitlines()[-1].startswith("exit status")
    assert published(checkout) == []
    assert not list(tmp_path.glob("iic-sweep-*/task-*"))


def test_machine_with_other_packages_runs_no_task(checkout, tmp_path):
    for packages, message in (
        ({"numpy": "0.1"}, f"numpy {task.installed(['numpy'])['numpy']} on "),
        ({"no-such-package": "1"}, "no-such-package missing on "),
    ):
        steps: list[str] = []
        outcome = task.run(make_task(checkout, tmp_path, packages=packages), steps.append)
        assert outcome.status == "failed"
        assert outcome.log.startswith(message)
        assert steps == []
    here = task.installed(["numpy"])
    assert here["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_machine_is_prepared_or_the_reason_is_returned(checkout, tmp_path, monkeypatch):
    place = Place(1, 0.0, str(tmp_path), {})
    assert task.prepare(checkout, place) == ""
    files = list((tmp_path / f"iic-sweep-{os.getuid()}/files").rglob("*"))
    # source, images, labels, appearance, draws, neighbours
    assert sum(path.is_file() for path in files) == 6
    monkeypatch.setattr(task, "_PAUSE_SECONDS", 0.0)
    nowhere = replace(checkout, git="file:///nowhere.git")
    assert "'/nowhere.git' does not appear to be a git repository" in task.prepare(nowhere, place)
    hub = Path(checkout.git.removeprefix("file://"))
    (hub / "hooks/pre-receive").write_text("#!/bin/sh\nexit 1\n")
    assert task.prepare(checkout, place) == ""  # `git push --dry-run` runs no hook.
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / f"iic-sweep-{os.getuid()}").mkdir(mode=0o755)
    reason = task.prepare(checkout, replace(place, scratch=str(tmp_path / "open")))
    assert "open to other users; remove it or choose another --scratch" in reason


def test_passwords_in_urls_are_masked():
    text = "fatal: https://ann:secret@example.org/iic.git and git://example.org/iic.git"
    assert task.masked(text) == (
        "fatal: https://…@example.org/iic.git and git://example.org/iic.git"
    )


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        (0.0, {"CUDA_VISIBLE_DEVICES": ""}),
        (0.5, {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}),
        (1.0, {}),
    ],
)
def test_variables_for_gpus_and_threads(tmp_path, gpus, expected):
    shell = task._Shell(tmp_path, Place(3, gpus, None, {}), [])
    script = 'for n in "$@"; do printenv "$n" || echo none; done'
    names = ["CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH", *task.THREADS]
    values = shell.run("sh", "-c", script, "sh", *names).splitlines()
    wanted = [os.environ.get(name, "none") for name in names[:2]]
    assert values == [expected.get(n, w) for n, w in zip(names, wanted, strict=False)] + ["3"] * 3


def test_commands_end_when_the_waiting_process_is_killed(tmp_path):
    code = (
        "from pathlib import Path; from iic.experiments.sweep.task import Place, _Shell\n"
        f"shell = _Shell(Path({str(tmp_path)!r}), Place(1, 0.0, None, {{}}), [])\n"
        "shell.run('sh', '-c', 'echo $$ > pid; sleep 300')"
    )
    waiting = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment())
    pid = tmp_path / "pid"
    wait_for(lambda: pid.exists() and pid.read_text().strip(), seconds=30)
    sleeper = Path(f"/proc/{pid.read_text().strip()}")
    assert sleeper.exists()
    waiting.send_signal(signal.SIGKILL)
    waiting.wait()
    wait_for(lambda: not sleeper.exists(), seconds=30)


def test_only_clones_of_lost_tasks_are_removed(tmp_path):
    top = tmp_path / f"iic-sweep-{os.getuid()}"
    top.mkdir(mode=0o700)
    for name in ("task-lost", "task-busy"):
        (top / name / "clone").mkdir(parents=True)
        (top / name / "lock").touch()
    with (top / "task-busy/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with task._scratch(Place(1, 0.0, str(tmp_path), {})):
            assert not (top / "task-lost").exists()
            assert (top / "task-busy").exists()


def test_task_imports_only_the_standard_library():
    tree = ast.parse((ROOT / "iic/experiments/sweep/task.py").read_text("utf-8"))
    names = [
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [node.names[0].name])
    ]
    assert set(names) <= sys.stdlib_module_names


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A clone with a grid, no results and no remote."""
    folder = make_clone(tmp_path_factory.mktemp("sweep") / "clone")
    (folder / "studies/mine.yaml").write_text(GRID)
    commit(folder)
    return folder


@pytest.fixture
def clone(plain, tmp_path, monkeypatch) -> Iterator[Path]:
    """Copy of `plain` as the working folder, with `dvc` first on PATH."""
    folder = shutil.copytree(plain, tmp_path / "clone", symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", environment()["PATH"])
    return folder


NEEDS = Needs(cores=1, memory=1.0, gpus=None, retries=0)
HERE = SweepSettings(None, NEEDS)
THERE = SweepSettings("10.0.0.1:6379", NEEDS)


def test_on_one_machine_the_repository_and_cache_are_the_remotes(clone):
    checkout = checkout_of(HERE)
    assert checkout.git == f"file://{clone}"
    assert checkout.remote_url == str(clone / ".dvc/cache")
    assert finished_in(checkout) == set()


@pytest.mark.parametrize(
    "name", ["params.yaml", "iic/training/loss.py", "stages/train.py", "iic/new.py"]
)
def test_uncommitted_change_is_named(clone, name):
    with Path(name).open("a") as file:
        file.write("# changed\n")
    with pytest.raises(InputError, match=f"^{name}: not committed; .*`git commit`"):
        checkout_of(HERE)


def test_grid_need_not_be_committed(clone):
    Path("studies/mine.yaml").write_text(GRID + "title: New\n")
    assert checkout_of(HERE).git == f"file://{clone}"


def test_everything_that_other_machines_would_lack_is_named(clone, tmp_path):
    def refused() -> str:
        with pytest.raises(InputError) as caught:
            checkout_of(THERE)
        return str(caught.value)

    assert refused().startswith("--git-remote origin: no such Git remote")
    hub = tmp_path / "hub.git"
    run("git", "init", "--quiet", "--bare", str(hub), cwd=tmp_path)
    run("git", "remote", "add", "origin", str(hub), cwd=clone)
    assert "not on origin, from which the machines clone; run `git push`" in refused()
    run("git", "push", "--quiet", "origin", "main", cwd=clone)
    assert refused().startswith("no DVC remote in .dvc/config")
    run("dvc", "remote", "add", "--local", "--default", "own", "/srv/iic", cwd=clone)
    assert refused().startswith("no DVC remote in .dvc/config")
    with pytest.raises(InputError, match="^DVC remote own: not in .dvc/config"):
        checkout_of(SweepSettings("10.0.0.1:6379", NEEDS, remote="own"))
    run("dvc", "remote", "add", "--default", "near", "../near", cwd=clone)
    assert refused().startswith(".dvc/config: not committed")
    run("git", "commit", "--quiet", "--all", "--message", "near", cwd=clone)
    run("git", "push", "--quiet", "origin", "main", cwd=clone)
    assert "DVC remote near: ../../near is another folder in each clone" in refused()
    run("dvc", "remote", "modify", "near", "url", "/srv/iic", cwd=clone)
    run("git", "commit", "--quiet", "--all", "--message", "whole path", cwd=clone)
    run("git", "push", "--quiet", "origin", "main", cwd=clone)
    head = run("git", "rev-parse", "HEAD", cwd=clone).stdout.strip()
    assert checkout_of(THERE) == Checkout(f"file://{hub}", head, "near")
    run("dvc", "remote", "modify", "near", "url", "https://example.org/iic", cwd=clone)
    run("git", "commit", "--quiet", "--all", "--message", "HTTP", cwd=clone)
    run("git", "push", "--quiet", "origin", "main", cwd=clone)
    assert refused().startswith("DVC remote near: https://example.org/iic is read-only")
    run("git", "config", "remote.origin.pushurl", str(hub), cwd=clone)
    run("git", "config", f"url.{hub}.insteadOf", "https://ann:secret@example.org/iic", cwd=clone)
    run("git", "remote", "set-url", "origin", "https://ann:secret@example.org/iic", cwd=clone)
    message = refused()
    assert message.startswith("--git-remote origin: the URL contains a password")
    assert "secret" not in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster": ""}, "--cluster: the address is missing"),
        ({"cluster": None, "git_remote": "hub"}, "--git-remote hub: only valid with --cluster"),
        ({"cluster": None, "remote": "share"}, "--remote share: only valid with --cluster"),
        ({"scratch": "here"}, "--scratch here: must be an absolute path"),
        ({"needs": Needs(1, 1.0, 1.5, 0)}, "--gpus 1.5: must be an integer, or a fraction"),
        ({"needs": Needs(1, 1.0, math.inf, 0)}, "--gpus inf: must be a finite number"),
        ({"needs": Needs(1, 1.0, math.nan, 0)}, "--gpus nan: must be a finite number"),
        ({"needs": Needs(1, math.inf, None, 0)}, "--memory inf: must be a finite number"),
    ],
)
def test_settings_without_effect_are_refused(clone, changes, message):
    with pytest.raises(InputError, match=f"^{message}"):
        run_sweep(Path("studies/mine.yaml"), replace(THERE, **changes), dry_run=True)


def test_grid_name_that_no_experiment_can_have_is_refused(clone):
    Path("studies/My grid.yaml").write_text(GRID)
    with pytest.raises(InputError, match="^studies/My grid.yaml: experiments are named after"):
        run_sweep(Path("studies/My grid.yaml"), HERE, dry_run=True)


def test_dry_run_prints_the_missing_experiments(clone, capsys):
    checkout = checkout_of(HERE)
    run_sweep(Path("studies/mine.yaml"), HERE, dry_run=True)
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    names = [line.split()[0] for line in lines]
    assert [line.split(" ", 1)[1] for line in lines] == ["-S loss.alpha=3.0", "-S loss.alpha=4.0"]
    assert "2 experiments" in printed.err
    run("git", "update-ref", checkout.reference(names[0]), "HEAD", cwd=clone)
    run_sweep(Path("studies/mine.yaml"), HERE, dry_run=True)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == lines[1:]
    assert "1 have results, 1 to run" in printed.err


def test_runs_in_the_table_of_the_study_do_not_run_again_after_a_commit(clone, capsys):
    path = Path("studies/mine.yaml")
    grid = read_grid(path)
    first, _ = experiments_of(grid, path)
    files = files_of_study(grid, path)
    curves = {"acc": np.array([0.5])}
    done = Result(first.name, first.variant, 0, dict.fromkeys(COLUMNS, 0.5), curves)
    write_results([done], files.table, files.curves)
    commit(clone)
    run_sweep(path, HERE, dry_run=True)
    printed = capsys.readouterr()
    assert [line.split()[1:] for line in printed.out.splitlines()] == [["-S", "loss.alpha=4.0"]]
    assert "1 have results, 1 to run" in printed.err


def test_missing_ray_is_reported_before_any_work(clone, monkeypatch):
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="ray: not installed; `make setup EXTRAS=cluster`"):
        run_sweep(Path("studies/mine.yaml"), HERE)


def test_mistake_on_the_command_line_is_one_line(clone):
    done = run("iic", "sweep", "studies/nowhere.yaml", "--dry-run", cwd=clone, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: studies/nowhere.yaml: ")
    assert len(done.stderr.splitlines()) == 1
    wrong = run("iic", "sweep", "studies/mine.yaml", "--cores", "0", cwd=clone, check=False)
    assert wrong.returncode == 2
    assert "--cores" in wrong.stderr


def test_interruption_message_says_what_is_kept(monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("iic.experiments.sweep.driver.run_sweep", interrupted)
    monkeypatch.setattr(sys, "argv", ["iic", "sweep", "studies/mine.yaml"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == (
        "interrupted; finished results are kept; run the same command again for the rest"
    )


def test_help_imports_no_heavy_library():
    code = (
        "import sys, iic.cli.main\n"
        "print([n for n in ('tensorflow', 'sklearn', 'dvc', 'ray') if n in sys.modules])"
    )
    done = run(sys.executable, "-c", code, cwd=ROOT)
    assert done.stdout.strip() == "[]"
    shown = run("iic", "--help", cwd=ROOT).stdout
    assert "..." not in shown.replace("[ARGS]...", "")
    assert "sweep" in cli.commands


@pytest.mark.parametrize(
    ("done", "ages", "unfinished", "expected"),
    [
        ([], {"a": 3.0}, 4, None),
        ([10.0], {}, 4, None),
        # Six seconds of the running task, then two more tasks.
        ([10.0], {"a": 4.0}, 3, 26.0),
        # Two workers share the rest; a task that is late counts as nearly done.
        ([10.0, 20.0], {"a": 5.0, "b": 99.0}, 4, 20.0),
        ([10.0], {"a": 4.0, "b": 4.0}, 1, 6.0),
    ],
)
def test_remaining_time_is_estimated_from_finished_tasks(done, ages, unfinished, expected):
    assert seconds_left(done, ages, unfinished) == expected


def test_durations_are_formatted_as_hours_minutes_seconds():
    assert [duration(s) for s in (5.9, 65, 3725)] == ["0:05", "1:05", "1:02:05"]


def test_progress_on_a_terminal_shows_each_task_and_totals():
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    progress = Progress(3, console)
    with progress.shown():
        progress.update({"alpha-1": ("10.0.0.2", "runs train"), "alpha-2": ("10.0.0.3", "pulls")})
        progress.end(Outcome("alpha-0", "failed", "10.0.0.2", 7.0))
    shown = console.file.getvalue()
    assert "1 of 3: alpha-0 FAILED, 7 s on 10.0.0.2" in shown
    assert "2 running" in shown
    with console.capture() as captured:
        console.print(progress.lines())
    lines = captured.get().splitlines()
    assert lines[0] == "1 of 3 ended, 1 failed; 2 running, 0:00 elapsed"
    assert lines[1].split() == ["10.0.0.2", "alpha-1", "runs", "train", "0:00"]
    assert lines[2].split() == ["10.0.0.3", "alpha-2", "pulls", "0:00"]


def test_progress_on_a_small_terminal_keeps_the_totals():
    console = Console(
        file=io.StringIO(), force_terminal=True, width=80, height=5, color_system=None
    )
    progress = Progress(9, console)
    progress.update({f"alpha-{n}": (f"10.0.0.{n}", "pulls") for n in range(6)})
    with console.capture() as captured:
        console.print(progress.lines())
    lines = captured.get().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "10.0.0.0", "10.0.0.1", "and"]
    assert lines[-1] == "and 4 more"


def test_time_of_a_lost_task_starts_again(monkeypatch):
    now = iter([0.0, 5.0, 9.0, 20.0])
    monkeypatch.setattr("iic.experiments.sweep.progress.time.monotonic", lambda: next(now))
    progress = Progress(1, Console(file=io.StringIO()))
    progress.update({"alpha-1": ("10.0.0.2", "pulls")})
    progress.update({"alpha-1": ("10.0.0.3", "clones")})
    progress.update({"alpha-1": ("10.0.0.3", "pulls")})
    assert progress._began == {"alpha-1": 9.0}


def test_progress_on_a_pipe_prints_one_line_for_each_ended_task():
    file = io.StringIO()
    progress = Progress(2, Console(file=file))
    with progress.shown():
        progress.update({"alpha-1": ("10.0.0.2", "runs train")})
        progress.end(Outcome("alpha-1", "done", "10.0.0.2", 7.4))
        progress.end(Outcome("alpha-2", "found", "10.0.0.3", 0.2))
    assert file.getvalue().splitlines() == [
        "1 of 2: alpha-1 done, 7 s on 10.0.0.2",
        "2 of 2: alpha-2 already had results, 0 s on 10.0.0.3",
    ]
