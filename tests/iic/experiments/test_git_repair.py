"""What a killed DVC or Git leaves in the repository, and what `iic repair` makes of it."""

import shutil
import subprocess
import sys
import time

import pytest
from conftest import ROOT, commit, environment, make_clone, run

from iic.experiments import git_repair
from iic.experiments.git import busy_processes, git_folders
from iic.experiments.git_repair import repair_git
from iic.experiments.scratch import copy_working_tree
from iic.pipeline.paths import CLUSTERING, PIPELINES, SEGMENTATION

# Runs `dvc exp run` and kills it before or after a method. The fifth argument may name a reference
# that the method's first argument has to start with; the others are those of `dvc exp run`.
KILLED = """
import os, signal, sys
from importlib import import_module
when, module, owner, name, reference = sys.argv[1:6]
place = getattr(import_module(module), owner)
method = getattr(place, name)
def killed(self, *words, **options):
    here = not reference or reference in (getattr(self, "ref", ""), *map(str, words[:1]))
    if when == "before" and here:
        os.kill(os.getpid(), signal.SIGKILL)
    done = method(self, *words, **options)
    if here:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
setattr(place, name, killed)
from dvc.cli import main
main(["exp", "run", "--queue", "--name", "queued", *sys.argv[6:]])
"""
NAMES = ("clustering", "segmentation")
# The overrides of an experiment with each pipeline.
OVERRIDES = {
    CLUSTERING: ("-S", "loss.alpha=2.0"),
    SEGMENTATION: ("-S", "segmentation/params.yaml:loss.alpha=2.0", "segmentation/dvc.yaml"),
}
QUEUE = ("dvc.repo.experiments.queue.base", "BaseStashQueue")
STASH = ("scmrepo.git.stash", "Stash")
PYGIT2 = ("scmrepo.git.backend.pygit2", "Pygit2Backend")
DULWICH = ("scmrepo.git.backend.dulwich", "DulwichBackend")
# The steps of DVC, in their order.
POINTS = {
    "stashed": ("after", *STASH, "push", "refs/stash"),
    "detached": ("after", *PYGIT2, "checkout", ""),
    "changes applied": ("after", *STASH, "apply", "refs/exps/celery/stash"),
    "settings staged": ("after", *QUEUE, "_update_params", ""),
    "arguments staged": ("after", *QUEUE, "_pack_args", ""),
    "experiment stashed": ("after", *DULWICH, "_stash_push", "refs/exps/celery/stash"),
    "experiment stored": ("before", *PYGIT2, "set_ref", "HEAD"),
    "attached": ("before", *STASH, "pop", "refs/stash"),
    "changes restored": ("before", *STASH, "drop", "refs/stash"),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A clone of both pipelines without results, in which DVC has run once. Copy it first."""
    folder = make_clone(tmp_path_factory.mktemp("repair") / "clone")
    copy_working_tree(ROOT, folder, "segmentation")
    commit(folder)
    run("dvc", "queue", "status", cwd=folder)
    return folder


@pytest.fixture
def clone(repository, tmp_path, monkeypatch):
    folder = tmp_path / "clone"
    shutil.copytree(repository, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(git_repair, "LOCK_SECONDS", 0.0)
    return folder


def edit(clone):
    """Change files in all ways: edited, staged, removed, not known to Git."""
    for pipeline in PIPELINES:
        file = clone / pipeline.params
        file.write_text(file.read_text().replace("seed: 0", "seed: 5"))
    (clone / "LICENSE").write_text("edited\n")
    (clone / "staged").write_text("new\n")
    run("git", "add", "staged", cwd=clone)
    (clone / "CITATION.cff").unlink()
    (clone / "unknown").write_text("new\n")


def state_of(clone):
    """Everything that a user sees: branch, status, changes, stash."""
    words = [["symbolic-ref", "HEAD"], ["status", "--short"], ["diff", "HEAD"], ["stash", "list"]]
    return [run("git", *command, cwd=clone, check=False).stdout for command in words]


def killed_at(point, clone, *overrides):
    words = overrides or OVERRIDES[CLUSTERING]
    command = [sys.executable, "-c", KILLED, *POINTS[point], *words]
    done = subprocess.run(command, cwd=clone, env=environment(), capture_output=True)
    assert done.returncode == -9, done.stderr


@pytest.mark.parametrize("pipeline", PIPELINES, ids=NAMES)
@pytest.mark.parametrize("point", POINTS)
def test_changes_come_back_wherever_dvc_was_killed(clone, point, pipeline):
    edit(clone)
    before = state_of(clone)
    killed_at(point, clone, *OVERRIDES[pipeline])
    assert state_of(clone) != before
    list(repair_git())
    assert state_of(clone) == before
    assert list(repair_git()) == []


@pytest.mark.parametrize(
    "pipelines", [(CLUSTERING,), (SEGMENTATION,), PIPELINES], ids=[*NAMES, "both"]
)
@pytest.mark.parametrize("point", ["settings staged", "arguments staged"])
def test_without_changes_foreign_settings_are_taken_back_and_kept(clone, point, pipelines):
    before = state_of(clone)
    killed_at(point, clone, *(word for pipeline in pipelines for word in OVERRIDES[pipeline]))
    changed = {p.params: (clone / p.params).read_text() for p in pipelines}
    assert all("alpha: 2.0" in text for text in changed.values())
    lines = list(repair_git())
    assert state_of(clone) == before
    for path, text in changed.items():
        # The two files have one name.
        kept = f".dvc/tmp/repair/{path}"
        assert (
            f"{path}: had settings of an experiment that DVC did not queue; restored, the other "
            f"content is in {kept}"
        ) in lines
        assert (clone / kept).read_text() == text
    assert any("repro.dat" in line for line in lines) == (point == "arguments staged")
    assert lines[-1] == "HEAD: detached by DVC; on the branch main again"


def test_changes_that_a_lock_made_dvc_take_away_come_back(clone):
    edit(clone)
    before = state_of(clone)
    (clone / ".git/index.lock").touch()
    done = run("dvc", "exp", "run", "--queue", "-S", "loss.alpha=2.0", cwd=clone, check=False)
    assert done.returncode != 0
    assert "LICENSE" not in run("git", "status", "--short", cwd=clone).stdout
    assert list(repair_git()) == [
        ".git/index.lock: a lock of Git that no running process holds; removed",
        "changes that DVC took away: brought back with `git stash pop`",
    ]
    assert state_of(clone) == before


def test_newer_changes_are_kept_and_the_stash_is_named(clone):
    edit(clone)
    killed_at("attached", clone)
    (clone / "params.yaml").write_text("newer\n")
    (line,) = repair_git()
    assert line.startswith("stash@{0}: changes that DVC took away (")
    assert line.endswith("`git stash pop --index stash@{0}` does")
    assert (clone / "params.yaml").read_text() == "newer\n"


def test_a_stash_and_a_detached_head_of_the_user_stay(clone):
    edit(clone)
    run("git", "stash", cwd=clone)
    run("git", "checkout", "--quiet", "--detach", cwd=clone)
    before = state_of(clone)
    assert list(repair_git()) == []
    assert state_of(clone) == before


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "refs/heads/main.lock"])
def test_a_lock_stays_while_git_runs_in_the_repository(clone, name):
    lock = clone / ".git" / name
    lock.touch()
    with subprocess.Popen(
        ["git", "cat-file", "--batch"], cwd=clone, stdin=subprocess.PIPE
    ) as other:
        while not busy_processes(git_folders()):
            time.sleep(0.01)
        (line,) = repair_git()
        assert line == f".git/{name}: a lock of Git, kept while `git cat-file --batch` is running"
        other.stdin.close()
    assert lock.exists()
    assert list(repair_git()) == [
        f".git/{name}: a lock of Git that no running process holds; removed"
    ]
    assert not lock.exists()


def test_a_lock_that_is_removed_meanwhile_is_not_mentioned(clone, monkeypatch):
    lock = clone / ".git/index.lock"
    lock.touch()
    monkeypatch.setattr(git_repair.time, "sleep", lambda seconds: lock.unlink(missing_ok=True))
    assert list(repair_git()) == []


def move_below_another_repository(clone, outer):
    shutil.rmtree(clone / ".git")
    (outer / "outer.txt").write_text("old\n")
    run("git", "init", "--quiet", "--initial-branch=main", cwd=outer)
    run("git", "config", "user.name", "test", cwd=outer)
    run("git", "config", "user.email", "test@example.org", cwd=outer)
    commit(outer)


def test_a_project_below_another_repository_is_repaired(clone, tmp_path):
    move_below_another_repository(clone, tmp_path)
    edit(clone)
    before = state_of(clone)
    killed_at("arguments staged", clone)
    list(repair_git())
    assert state_of(clone) == before


def test_changes_of_the_project_around_are_not_dropped(clone, tmp_path):
    move_below_another_repository(clone, tmp_path)
    (tmp_path / "outer.txt").write_text("edited\n")
    killed_at("changes applied", clone)
    (tmp_path / "outer.txt").write_text("newer\n")
    lines = list(repair_git())
    assert lines[-1].startswith("stash@{0}: changes that DVC took away")
    assert (tmp_path / "outer.txt").read_text() == "newer\n"
    assert "edited" in run("git", "stash", "show", "-p", cwd=tmp_path).stdout
