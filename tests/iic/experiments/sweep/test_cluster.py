"""Sweeps on a Ray cluster of three machines that may be lost: `make test-extras EXTRAS=cluster`."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from conftest import commit, environment, make_clone, run
from machines import PORT, Machine, missing, network, wait_for

from iic.experiments.sweep.task import THREADS

pytestmark = pytest.mark.cluster

GRID = """\
recipe: default
seeds: [0, 1]
variants:
  alpha-1:
    loss: {alpha: 1.0}
  alpha-2:
    loss: {alpha: 2.0}
  rotation:
    augment: {ops: [rotation]}
"""
BROKEN = """\
recipe: default
seeds: [0]
variants:
  good:
    loss: {alpha: 1.0}
  broken:
    augment: {neighbors: 5000}  # more neighbours than images
"""


class Cluster(NamedTuple):
    head: Machine
    workers: list[Machine]
    caller: Path

    def sweep(self, grid: str, *options: str, address: str | None = None):
        """Start a sweep on the head; its output is appended to the head's log."""
        cluster = address or f"{self.head.address}:{PORT}"
        words = ("iic", "sweep", f"studies/{grid}.yaml", "--cluster", cluster, "--memory", "1")
        return self.head.start(*words, *options, cwd=self.caller)

    def log(self) -> str:
        return (self.head.folder / "log").read_text("utf-8", "replace")

    def results(self) -> dict[str, str]:
        """Return the commit of each published experiment, by name."""
        # By its path, since only the machines reach the address of the Git remote.
        hub = self.caller.with_name("hub.git")
        form = "--format=%(objectname) %(refname)"
        lines = run("git", "for-each-ref", form, "refs/exps", cwd=hub).stdout.splitlines()
        return {line.rpartition("/")[2]: line.split()[0] for line in lines}

    def start_worker(self, worker: Machine) -> None:
        worker.start_ray("--address", f"{self.head.address}:{PORT}", "--num-cpus", "1")


@pytest.fixture(scope="module")
def baseline(tmp_path_factory) -> Path:
    """Clone with two grids and the outputs of the shared stages."""
    folder = make_clone(tmp_path_factory.mktemp("cluster") / "caller")
    (folder / "studies/six.yaml").write_text(GRID)
    (folder / "studies/broken.yaml").write_text(BROKEN)
    run("dvc", "repro", "neighbors", cwd=folder)
    run("dvc", "remote", "add", "--default", "share", str(folder.with_name("share")), cwd=folder)
    commit(folder)
    run("dvc", "push", cwd=folder)
    run("git", "clone", "--quiet", "--bare", str(folder), "hub.git", cwd=folder.parent)
    return folder


@pytest.fixture(scope="module")
def cluster(baseline) -> Iterator[Cluster]:
    if lacks := missing():
        pytest.skip(lacks)
    # Paths of Ray's sockets must be short.
    folder = Path(tempfile.mkdtemp(prefix="iic-"))
    with network(["head", "a", "b"], folder) as (head, *workers):
        cluster = Cluster(head, workers, baseline)
        head.start_ray(
            "--head", "--port", str(PORT), "--num-cpus", "0", "--include-dashboard", "false"
        )
        wait_for(lambda: f"{head.address}:{PORT}" in cluster.log())
        for worker in workers:
            cluster.start_worker(worker)
        wait_for(lambda: head.members() == 3)
        # Git uses the network; the DVC remote is a folder that all machines share.
        top = str(baseline.parent)
        head.start(
            "git", "daemon", "--export-all", "--enable=receive-pack", f"--base-path={top}", top
        )
        url = f"git://{head.address}/hub.git"
        run("git", "remote", "add", "origin", url, cwd=baseline)
        yield cluster
    shutil.rmtree(folder, ignore_errors=True)


def test_sweep_survives_the_loss_of_its_driver_and_of_a_machine(cluster):
    driver = cluster.sweep("six")
    wait_for(lambda: len(cluster.results()) >= 1)
    driver.kill()
    # The tasks end with the driver, including the processes that DVC has started.
    wait_for(lambda: not any(task_commands(worker) for worker in cluster.workers))
    first = cluster.results()
    assert 1 <= len(first) < 6

    driver = cluster.sweep("six")
    wait_for(lambda: len(cluster.results()) > len(first))
    lost = cluster.workers[0]
    wait_for(lambda: "stages.train" in " ".join(lost.commands()))
    lost.kill()
    assert driver.wait(timeout=300) == 0, cluster.log()
    results = cluster.results()
    assert len(results) == 6
    # A second run of an experiment would have another commit, since commits contain a time.
    assert first.items() <= results.items()
    log = cluster.log()
    assert f"{len(first)} have results, {6 - len(first)} to run" in log
    assert f"{6 - len(first)} of {6 - len(first)}: " in log
    here = run("dvc", "exp", "list", "--name-only", cwd=cluster.caller).stdout.split()
    assert sorted(here) == sorted(results)


def task_commands(machine: Machine) -> list[str]:
    """Return the commands of the tasks that run on a machine."""
    return [line for line in machine.commands() if re.search("stages|dvc|git", line)]


def test_finished_experiments_do_not_run_again(cluster):
    before = cluster.results()
    assert cluster.sweep("six").wait(timeout=300) == 0
    assert "6 have results, 0 to run" in cluster.log()
    assert cluster.results() == before


def test_results_equal_those_of_one_machine_byte_for_byte(cluster, tmp_path):
    serial = alone(cluster.caller, tmp_path / "serial")
    shutil.rmtree(serial / ".dvc/cache/runs")
    theirs = trees_of(cluster.caller)
    wanted = run("iic", "sweep", "studies/six.yaml", "--dry-run", cwd=serial).stdout.splitlines()
    # Of other variants and seeds; all six would take minutes.
    chosen = [line.split() for line in (wanted[0], wanted[-1])]
    # Another number of threads rounds sums differently.
    environment = dict.fromkeys(THREADS, "1")
    for name, *options in chosen:
        command = ("dvc", "exp", "run", "--temp", "--name", name, *options)
        run(*command, cwd=serial, env=environment)
    assert len(theirs) == len(wanted) == 6
    assert trees_of(serial) == {name: theirs[name] for name, *_ in chosen}


def alone(caller: Path, folder: Path) -> Path:
    """Copy a clone without its Git remote and without its experiments."""
    shutil.copytree(caller, folder, symlinks=True)
    listed = run("git", "for-each-ref", "--format=%(refname)", "refs/exps", cwd=folder).stdout
    for reference in listed.split():
        run("git", "update-ref", "-d", reference, cwd=folder)
    run("git", "remote", "remove", "origin", cwd=folder)
    return folder


def trees_of(folder: Path) -> dict[str, str]:
    """Return the hash of each experiment's files, by name; dvc.lock has all other hashes."""
    form = "--format=%(refname) %(tree)"
    lines = run("git", "for-each-ref", form, "refs/exps/*/*/six-*", cwd=folder).stdout.splitlines()
    return {line.split()[0].rpartition("/")[2]: line.split()[1] for line in lines}


def test_failing_variant_does_not_stop_others(cluster):
    sweep = cluster.sweep("broken")
    assert sweep.wait(timeout=300) == 1
    (good,) = [name for name in cluster.results() if name.startswith("broken-good")]
    assert good in run("dvc", "exp", "list", "--name-only", cwd=cluster.caller).stdout
    (log,) = (cluster.caller / ".dvc/tmp/sweep").iterdir()
    assert log.name.startswith("broken-broken-seed-0")
    (reason,) = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
    printed = cluster.log()
    assert f"    {reason}" in printed
    assert printed.splitlines()[-1].startswith("error: failed: broken-broken-seed-0")
    assert "Traceback" not in printed


def test_machine_that_can_run_no_task_is_named_before_any_task_runs(cluster):
    """The machine's folder for clones is open to other users."""
    worker = next(machine for machine in cluster.workers if machine.processes())
    top = worker.folder / "iic-sweep-0"
    top.chmod(0o755)
    before = cluster.results()
    assert cluster.sweep("broken").wait(timeout=300) == 1
    top.chmod(0o700)
    last = cluster.log().splitlines()[-1]
    assert last.startswith(f"error: no task can run on {worker.address}: {top}: open to other")
    assert cluster.results() == before


def test_driver_outside_the_cluster_runs_failed_experiments_again(cluster):
    before = cluster.results()
    sweep = cluster.sweep("broken", address=f"ray://{cluster.head.address}:10001")
    assert sweep.wait(timeout=300) == 1
    log = cluster.log()
    assert "1 have results, 1 to run" in log, log
    assert log.splitlines()[-1].startswith("error: failed: broken-broken-seed-0")
    assert cluster.results() == before


def addresses(process: int) -> set[str]:
    """Return the addresses on which a process and its children listen."""
    found: set[str] = set()
    with suppress(psutil.Error):
        for one in (psutil.Process(process), *psutil.Process(process).children(recursive=True)):
            with suppress(psutil.Error):
                connections = one.net_connections("inet")
                found |= {each.laddr.ip for each in connections if each.status == "LISTEN"}
    return {address.removeprefix("::ffff:") for address in found}


def test_without_a_cluster_ray_runs_on_this_machine(cluster, tmp_path):
    """The clone has no Git or DVC remote; its own repository and cache serve as remotes."""
    folder = alone(cluster.caller, tmp_path / "clone")
    words = ("iic", "sweep", "studies/broken.yaml", "--memory", "1", "--scratch", str(tmp_path))
    log, listening = tmp_path / "log", set()
    with log.open("w") as file:
        sweep = subprocess.Popen(words, cwd=folder, env=environment(), stderr=file)
        while sweep.poll() is None:
            listening |= addresses(sweep.pid)
            time.sleep(0.5)
    assert sweep.returncode == 1
    # Other machines cannot connect, and other users lack the token.
    assert listening == {"127.0.0.1"}
    (good,) = run("dvc", "exp", "list", "--name-only", cwd=folder).stdout.split()
    assert good.startswith("broken-good")
    assert "2 of 2: " in log.read_text()
    assert log.read_text().splitlines()[-1].startswith("error: failed: broken-broken-seed-0")
    shown = run("dvc", "exp", "show", "--csv", cwd=folder).stdout
    assert good in shown


def test_wrong_address_and_too_large_task_are_named(cluster):
    assert cluster.sweep("broken", "--cores", "64").wait(timeout=300) == 1
    assert "no machine of the cluster has 64 cores, 1 GB" in cluster.log()
    assert "Traceback" not in cluster.log()
    wrong = cluster.sweep("broken", address="10.77.0.9:6379")
    assert wrong.wait(timeout=300) == 1
    assert cluster.log().splitlines()[-1].startswith("error: --cluster 10.77.0.9:6379: ")
