"""Checks before experiments: the repository, its locks, and the paths of data."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT, commit, make_clone, run

from iic.cli.main import main
from iic.core.errors import InputError
from iic.core.params import Params
from iic.experiments import checks
from iic.experiments.checks import check_data, check_ready, check_repository
from iic.experiments.git import git_folders

GRID = "recipe: default\nseeds: [0]\nsettings:\n  data: {{path: '{}'}}\nvariants:\n  one: {{}}\n"


@pytest.fixture
def repository(folder, monkeypatch):
    """A Git repository with parameters and recipes, in which DVC is not set up."""
    monkeypatch.setattr(checks, "_LOCK_SECONDS", 0.0)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    shutil.copytree(ROOT / "stages/no-images", folder / "stages/no-images")
    run("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    run("git", "config", "user.name", "test", cwd=folder)
    run("git", "config", "user.email", "test@example.org", cwd=folder)
    commit(folder)
    return folder


def with_path(params: Params, path: str) -> list[Params]:
    return [params.with_values(data={"name": "custom", "path": path})]


def message_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["iic", *words])
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)
    with pytest.raises(SystemExit) as stopped:
        main()
    return str(stopped.value.code)


def refusal() -> str:
    with pytest.raises(InputError) as raised:
        check_repository()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_complete_repository_is_accepted(repository, params):
    check_ready([params])


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/no/such", "not there"),
        ("~/no/such", "not there, since ~ is not expanded; give /home/me/no/such"),
        ("scans", "relative, and tracked by neither Git nor DVC (`dvc add scans` changes that)"),
        ("./scans/", "relative, and tracked by neither Git nor DVC"),
        ("../other", "relative, and outside of this folder, but an experiment runs in another"),
        ("link", "link is a link that Git does not track"),
        ("link/1.png", "link is a link that Git does not track"),
        ("broken", "a link to nowhere, which is not there"),
        ("'stages/no-images'", "not there; write stages/no-images without the quotes"),
        (" stages/no-images", "not there; write stages/no-images without the quotes or blanks"),
        ("params.yaml/x", "Not a directory"),
        ("a" * 300, "File name too long"),
    ],
)
def test_a_path_that_experiments_cannot_read_is_refused(repository, params, monkeypatch, path, why):
    monkeypatch.setenv("HOME", "/home/me")
    (repository / "scans").mkdir()
    (repository / "scans/1.png").touch()
    (repository.parent / "other").mkdir(exist_ok=True)
    (repository / "link").symlink_to("scans")
    (repository / "broken").symlink_to("nowhere")
    with pytest.raises(InputError) as raised:
        check_ready(with_path(params, path))
    assert str(raised.value).startswith(f"data.path: {path.strip()}: {why}")
    if why.startswith("relative"):
        absolute = os.path.normpath(repository / path)
        assert str(raised.value).endswith(f"an experiment runs in another folder; give {absolute}")


def test_paths_that_experiments_can_read_are_accepted(repository, params, tmp_path_factory):
    (repository / "scans (2)/deep").mkdir(parents=True)
    (repository / "scans (2)/deep/1.png").touch()
    (repository / "data/pics").mkdir(parents=True)
    (repository / "data/pics/1.png").touch()
    (repository / "data/pics.dvc").write_text("outs: []\n")
    (repository / ".gitignore").write_text("/data/pics\n")
    (repository / "link").symlink_to("scans (2)/deep")
    (repository / "away").symlink_to(tmp_path_factory.mktemp("away"))
    run("git", "add", "--all", cwd=repository)
    for path in (
        *("scans (2)", "./scans (2)/", "scans (2)/deep", "scans (2)/deep/1.png", "link"),
        *("data/pics", "data/pics/1.png", "data", "away", "stages/no-images"),
        str(repository / "scans (2)"),
    ):
        check_ready(with_path(params, path))


def test_a_folder_of_which_git_tracks_a_part_is_refused(repository, params):
    (repository / "scans").mkdir()
    (repository / "scans/1.png").touch()
    commit(repository)
    (repository / "scans/.hidden").touch()
    check_ready(with_path(params, "scans"))
    (repository / "scans/2.png").touch()
    with pytest.raises(InputError, match=r"1 of its files, such as scans/2.png, are not tracked"):
        check_ready(with_path(params, "scans"))


def test_a_pointer_of_dvc_that_git_does_not_track_is_refused(repository, params):
    (repository / "scans").mkdir()
    (repository / "scans.dvc").write_text("outs: []\n")
    with pytest.raises(InputError, match=r"relative, and Git lacks scans\.dvc \(`git add` it\)"):
        check_ready(with_path(params, "scans"))


def test_the_folder_of_files_to_download_is_checked_if_it_is_used(repository, params):
    missing = {"local_dir": "/no/such"}
    check_data([params.with_values(data=missing | {"name": "digits"})])
    with pytest.raises(InputError, match=r"^data\.local_dir: /no/such: not there"):
        check_data([params.with_values(data=missing | {"name": "mnist"})])


def test_absolute_paths_of_other_machines_are_not_checked(repository, params):
    check_data(with_path(params, "/no/such"), elsewhere=True)
    with pytest.raises(InputError, match="not there"):
        check_data(with_path(params, "no/such"), elsewhere=True)


@pytest.mark.parametrize(
    "command",
    [
        "choose 2 3 -S data.name=custom -S data.path=/no/such",
        "recipe tour --run -S data.path=/no/such",
        "seeds mine",
        "study studies/mine.yaml",
        "study studies/mine.yaml --again",
        "sweep studies/mine.yaml --dry-run",
    ],
)
def test_every_command_refuses_a_missing_path_before_it_calls_dvc(repository, monkeypatch, command):
    (repository / "recipes/mine.yaml").write_text("data: {path: /no/such}\n")
    (repository / "studies").mkdir()
    (repository / "studies/mine.yaml").write_text(GRID.format("/no/such"))
    monkeypatch.setattr("iic.experiments.commands.subprocess", None)
    assert message_of(monkeypatch, *command.split()) == "error: data.path: /no/such: not there"


def test_nothing_is_queued_for_a_missing_path(tmp_path, monkeypatch):
    clone = make_clone(tmp_path / "clone")
    monkeypatch.chdir(clone)
    words = ["choose", "2", "3", "-S", "data.name=custom", "-S", "data.path=~/scans"]
    assert "data.path: ~/scans: not there" in message_of(monkeypatch, *words)
    assert "No experiment tasks" in run("dvc", "queue", "status", cwd=clone).stdout


def test_without_git_the_remedies_are_named(folder):
    message = refusal()
    assert "not a Git repository" in message
    assert "git init && git add -A && git commit -m start" in message
    assert "dvc config core.no_scm true" in message


def test_a_repository_without_a_commit_is_refused(repository):
    shutil.rmtree(repository / ".git")
    run("git", "init", "--quiet", cwd=repository)
    assert "no commit yet, and experiments start from one; run `git add -A" in refusal()


def test_a_folder_that_the_repository_around_it_does_not_track_is_refused(repository, monkeypatch):
    inner = repository / "project"
    inner.mkdir()
    shutil.copy(repository / "params.yaml", inner)
    monkeypatch.chdir(inner)
    assert refusal().startswith(f"dvc.yaml: not committed in the Git repository {repository}")


def test_a_shallow_clone_is_refused_before_any_work(repository, monkeypatch):
    commit_again = ("git", "commit", "--quiet", "--allow-empty", "--message", "again")
    run(*commit_again, cwd=repository)
    address = f"file://{repository}"
    run("git", "clone", "--quiet", "--depth", "1", address, "shallow", cwd=repository)
    monkeypatch.chdir(repository / "shallow")
    assert refusal().endswith("run `git fetch --unshallow`")
    run("git", "fetch", "--quiet", "--unshallow", cwd=repository / "shallow")
    check_repository()


@pytest.mark.parametrize("key", ["user.name", "user.email"])
def test_git_without_an_identity_is_refused(repository, params, monkeypatch, tmp_path, key):
    for variable in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    run("git", "config", "--unset", key, cwd=repository)
    with pytest.raises(InputError) as raised:
        check_ready([params])
    assert str(raised.value).startswith(f"{key}: not set in Git")
    assert "`git config user.name 'My Name'` and `git config user.email" in str(raised.value)


def test_files_of_another_owner_name_the_setting_of_git(repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert refusal().endswith(f"run `git config --global --add safe.directory {repository}`")


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "refs/heads/main.lock"])
def test_a_lock_of_git_is_refused_and_no_change_is_taken_away(repository, monkeypatch, name):
    (repository / "README.md").write_text("edited\n")
    file = repository / "params.yaml"
    file.write_text(file.read_text() + "# edited\n")
    before = file.read_text()
    (repository / ".git" / name).touch()
    message = message_of(monkeypatch, "recipe", "tour", "--run")
    assert message.startswith(f"error: .git/{name}: a lock of Git")
    assert "`iic repair` removes it" in message
    assert file.read_text() == before
    assert run("git", "stash", "list", cwd=repository).stdout == ""


def test_a_linked_work_tree_is_accepted_and_has_its_own_index(repository, tmp_path, monkeypatch):
    other = tmp_path / "linked"
    run("git", "worktree", "add", "--quiet", "-b", "other", str(other), cwd=repository)
    monkeypatch.chdir(other)
    (repository / ".git/index.lock").touch()
    check_repository()
    own = git_folders().own
    (own / "index.lock").touch()
    assert "/worktrees/linked/index.lock: a lock of Git" in refusal()


def test_a_user_without_a_name_gets_one(folder, monkeypatch):
    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    # Restored at the end of the test.
    monkeypatch.setitem(os.environ, "USER", "")
    assert message_of(monkeypatch, "recipe", "fasst").startswith("error: fasst: no such recipe")
    assert os.environ["USER"] == f"user-{os.getuid()}"


def test_data_of_a_path_with_special_characters_is_found(repository, params):
    for name in ("scans #2", "a: b", "[draft]", "*", ":(glob)x", "ö 文", "it's"):
        folder = Path(name)
        folder.mkdir()
        (folder / "1.png").touch()
        with pytest.raises(InputError, match="tracked by neither"):
            check_ready(with_path(params, name))
        commit(repository)
        check_ready(with_path(params, name))
