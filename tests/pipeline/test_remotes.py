"""Push and pull through real DVC remotes, also interrupted: `make test-extras EXTRAS=remotes`."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import commit, run
from servers import KINDS, Server, running

pytestmark = pytest.mark.remotes

NAME = "share"


@pytest.fixture(scope="module", params=KINDS)
def server(request) -> Iterator[Server]:
    kind = KINDS[request.param]
    if lacks := kind.missing():
        pytest.skip(lacks)
    # The user of a server has no access to folders that pytest creates.
    with tempfile.TemporaryDirectory(prefix="iic-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with running(kind(Path(folder))) as server:
            yield server


@pytest.fixture
def place(request) -> str:
    """Folder of the remote, different for each test."""
    return f"test-{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"


@pytest.fixture
def publisher(pipeline_run, server, place, tmp_path) -> Path:
    """Clone with results and cache, and with the remote in its committed configuration."""
    folder = shutil.copytree(pipeline_run, tmp_path / "publisher", symlinks=True)
    server.make(place)
    run("dvc", "remote", "add", "--default", NAME, f"{server.url}/{place}", cwd=folder)
    # Without `verify`, DVC takes a file of an interrupted transfer for a complete one.
    for key, value in {"verify": "true", **server.options}.items():
        run("dvc", "remote", "modify", NAME, key, value, cwd=folder)
    commit(folder)
    add_secrets(folder, server)
    return folder


def add_secrets(folder: Path, server: Server) -> None:
    for key, value in server.secrets.items():
        run("dvc", "remote", "modify", "--local", NAME, key, value, cwd=folder)


def clone_of(publisher: Path, server: Server, name: str = "reader") -> Path:
    folder = publisher.with_name(name)
    run("git", "clone", "--quiet", str(publisher), str(folder), cwd=publisher)
    run("git", "config", "user.name", "test", cwd=folder)
    run("git", "config", "user.email", "test@example.org", cwd=folder)
    add_secrets(folder, server)
    return folder


def dvc(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run DVC and return the result, also of a failed command."""
    # By default, the S3 client retries for a minute.
    return run("dvc", *words, cwd=cwd, check=False, env={"AWS_MAX_ATTEMPTS": "1"})


def damaged(objects: dict[str, bytes]) -> list[str]:
    """Return the stored files whose MD5 differs from their name; ignore temporary files."""
    wrong = []
    for path, content in objects.items():
        first, rest = path.split("/")[-2:]
        is_named_by_content = path.startswith("files/md5/") and not rest.startswith(".")
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if is_named_by_content and digest != first + rest.removesuffix(".dir"):
            wrong.append(path)
    return wrong


def cache_of(folder: Path) -> dict[str, bytes]:
    cache = folder / ".dvc/cache"
    return {
        str(path.relative_to(cache)): path.read_bytes()
        for path in (cache / "files").rglob("*")
        if path.is_file()
    }


def outputs_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for top in ("data", "model", "reports")
        for path in (folder / top).rglob("*")
        if path.is_file()
    }


def test_pulled_results_are_equal_and_nothing_is_trained_again(publisher, server, place):
    run("dvc", "push", cwd=publisher)
    assert not damaged(server.objects(place))
    reader = clone_of(publisher, server)
    run("dvc", "pull", cwd=reader)
    assert outputs_of(reader) == outputs_of(publisher)
    run("dvc", "status", "--quiet", cwd=reader)
    printed = run("dvc", "repro", cwd=reader).stdout
    assert printed.count("didn't change, skipping") == 7
    assert "Running stage" not in printed


def test_no_secret_is_committed(publisher, server):
    tracked = run("git", "ls-files", cwd=publisher).stdout.split()
    assert ".dvc/config" in tracked
    assert ".dvc/config.local" not in tracked
    run("git", "diff", "--quiet", "HEAD", cwd=publisher)
    text = "".join((publisher / name).read_text("utf-8", "replace") for name in tracked)
    for secret in server.secrets.values():
        assert secret not in text
        assert secret in (publisher / ".dvc/config.local").read_text("utf-8")


def test_model_is_evaluated_without_the_inputs_of_training(publisher, server):
    run("dvc", "push", cwd=publisher)
    reader = clone_of(publisher, server)
    with (reader / "stages/evaluate.py").open("a") as file:
        file.write("# changed\n")
    printed = run("dvc", "repro", "--pull", "--allow-missing", "evaluate", cwd=reader).stdout
    assert re.findall("Running stage '(.*)'", printed) == ["evaluate"]
    for name in ("metrics.json", "accuracy.csv", "predictions.csv", "assignments.csv"):
        made, known = (folder / "reports" / name for folder in (reader, publisher))
        assert made.read_bytes() == known.read_bytes()
    assert not (reader / "data/draws.npz").exists()


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_interrupted_push_is_completed_by_the_next(publisher, server, place, share):
    if not server.commands():
        pytest.skip("no server to kill")
    size = sum(map(len, cache_of(publisher).values()))
    server.fuse.arm("push", int(share * size))
    assert dvc("push", cwd=publisher).returncode != 0
    assert server.fuse.has_blown
    server.start()
    # No incomplete file has its final name, since the next push would skip it.
    assert not damaged(server.objects(place))
    run("dvc", "push", cwd=publisher)
    assert not damaged(server.objects(place))
    reader = clone_of(publisher, server)
    run("dvc", "pull", cwd=reader)
    assert outputs_of(reader) == outputs_of(publisher)


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_interrupted_pull_is_completed_by_the_next(publisher, server, share):
    if not server.commands():
        pytest.skip("no server to kill")
    run("dvc", "push", cwd=publisher)
    reader = clone_of(publisher, server)
    size = sum(map(len, cache_of(publisher).values()))
    server.fuse.arm("pull", int(share * size))
    assert dvc("pull", cwd=reader).returncode != 0
    assert server.fuse.has_blown
    # Only complete files are in the workspace.
    assert outputs_of(reader).items() <= outputs_of(publisher).items()
    server.start()
    run("dvc", "pull", cwd=reader)
    assert not damaged(cache_of(reader))
    assert outputs_of(reader) == outputs_of(publisher)
    run("dvc", "status", "--quiet", cwd=reader)


@pytest.fixture
def small_disk(server, place, request):
    """Mount a disk of 500 kB as the remote's folder; return a function that enlarges it."""
    if request.node.callspec.params["server"] == "s3":
        pytest.skip("Swift needs a disk of its own")
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    folder = str(server.make(place))
    mount = ("mount", "-t", "tmpfs", "-o", "size=500k,mode=777", "tmpfs", folder)
    run(*mount, cwd=server.folder)
    yield lambda: run("mount", "-o", "remount,size=50m", folder, cwd=server.folder)
    run("umount", "--lazy", folder, cwd=server.folder)


FULL = {"folder": "No space left", "ssh": "Failure", "webdav": "Insufficient Storage"}


def test_push_to_a_full_disk_is_completed_by_the_next(
    small_disk, publisher, server, place, request
):
    done = dvc("push", cwd=publisher)
    assert done.returncode != 0
    assert FULL[request.node.callspec.params["server"]] in done.stderr
    assert "Traceback" not in done.stderr
    assert not damaged(server.objects(place))
    small_disk()
    run("dvc", "push", cwd=publisher)
    assert not damaged(server.objects(place))
    reader = clone_of(publisher, server)
    run("dvc", "pull", cwd=reader)
    assert outputs_of(reader) == outputs_of(publisher)


WRONG = {
    "ssh": ({"keyfile": "wrong"}, "Permission denied for user"),
    "webdav": ({"password": "wrong"}, "401 (Unauthorized)"),
    "s3": ({"secret_access_key": "wrong"}, "Forbidden"),
}


def test_wrong_credentials_are_named(publisher, server, request, tmp_path):
    kind = request.node.callspec.params["server"]
    if kind not in WRONG:
        pytest.skip("a folder has no credentials")
    values, message = WRONG[kind]
    if "keyfile" in values:
        values = {"keyfile": str(tmp_path / "other")}
        command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", values["keyfile"])
        run(*command, cwd=tmp_path)
    for key, value in values.items():
        run("dvc", "remote", "modify", "--local", NAME, key, value, cwd=publisher)
    done = dvc("push", cwd=publisher)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


ELSEWHERE = {
    "folder": ("/proc/nowhere", "No such file or directory"),
    "webdav": ("/modles", "405 (Method Not Allowed)"),
    "s3": ("s3://modles", "The specified bucket does not exist"),
}


def test_missing_remote_is_named(publisher, server, request):
    kind = request.node.callspec.params["server"]
    if kind not in ELSEWHERE:
        pytest.skip("DVC creates the folder")
    url, message = ELSEWHERE[kind]
    if kind == "webdav":
        url = server.url.removesuffix("/models") + url
    run("dvc", "remote", "modify", NAME, "url", url, cwd=publisher)
    done = dvc("push", cwd=publisher)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_shared_experiments_are_not_trained_again(publisher, server, request):
    if request.node.callspec.params["server"] != "ssh":
        pytest.skip("one kind of remote is enough; the data goes the way of `dvc push`")
    settings = ("-S", "loss.alpha=2.0")
    run("dvc", "exp", "run", "--temp", "--name", "alpha-2", *settings, cwd=publisher)
    hub = publisher.with_name("hub.git")
    run("git", "clone", "--quiet", "--bare", str(publisher), str(hub), cwd=publisher)
    run("git", "remote", "add", "hub", str(hub), cwd=publisher)
    run("dvc", "push", cwd=publisher)
    run("dvc", "exp", "push", "--run-cache", "hub", "alpha-2", cwd=publisher)
    reader = clone_of(hub, server)
    run("dvc", "pull", cwd=reader)
    run("dvc", "exp", "pull", "--run-cache", "origin", "alpha-2", cwd=reader)
    shown = run("dvc", "exp", "show", "--csv", cwd=reader).stdout
    assert "alpha-2" in shown
    printed = run("dvc", "exp", "run", "--temp", *settings, cwd=reader).stdout
    assert "Stage 'train' is cached - skipping run" in printed


def test_published_version_of_the_model_is_downloaded(publisher, server, tmp_path):
    run("dvc", "push", cwd=publisher)
    run("git", "tag", "--annotate", "iic-mnist@v1.0.0", "--message", "first", cwd=publisher)
    config = publisher / ".dvc/config.local"
    secrets = ["--config", str(config)] if server.secrets else []
    command = ("artifacts", "get", str(publisher), "iic-mnist", "--rev", "v1.0.0", *secrets)
    run("dvc", *command, "--out", "mine", cwd=tmp_path)
    files = [path.name for path in (publisher / "model").iterdir()]
    assert len(files) == 2
    for name in files:
        assert (tmp_path / "mine" / name).read_bytes() == (publisher / "model" / name).read_bytes()
