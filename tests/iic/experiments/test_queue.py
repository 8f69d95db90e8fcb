"""Experiments in DVC's queue: waiting for results, and the worker."""

import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from conftest import environment, make_repository, run
from machines import wait_for

from iic.core.errors import InputError
from iic.experiments import commands, queue
from iic.experiments.git import experiment_references, git
from iic.experiments.grid import Experiment

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
        monkeypatch.setattr(queue, "check_ready", list)
        monkeypatch.setattr(queue, "experiment_references", dict)
        monkeypatch.setattr(queue, "_add_to_queue", lambda waiting: None)
        monkeypatch.setattr(queue, "_start_worker", lambda jobs: None)
        monkeypatch.setattr(queue, "_status", lambda: left.pop(0) if len(left) > 1 else left[0])

    return says


@pytest.fixture
def wanted(params):
    return Experiment("wanted", "a", 0, params, [])


def said(status: str, workers: str = "1 active, 0 idle") -> str:
    return QUEUED.format(status=status, workers=workers)


def test_only_rows_of_the_queue_are_tasks():
    assert queue._tasks(said("Failed")) == {"wanted": "Failed"}
    empty = "No experiment tasks in the queue.\n\nWorker status: 0 active, 0 idle"
    assert queue._tasks(empty) == {}


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


class FakeQueue:
    """A queue of DVC that knows the commands by which tasks and results are removed.

    Attributes:
        tasks: Name and status by revision.
        results: References of finished experiments by name.
        ran: Commands, but for those that only look.
    """

    def __init__(self, tasks: dict[str, tuple[str, str]], results: dict[str, list[str]]) -> None:
        self.tasks, self.results, self.ran = tasks, results, list[list[str]]()

    def status(self) -> str:
        rows = [f"{rev}  {name}  09:00 AM  {status}" for rev, (name, status) in self.tasks.items()]
        return "\n".join(["Task  Name  Created  Status", *rows, "", "Worker status: 1 active"])

    def run(self, *words: str, **_: object) -> str:
        _, group, verb, *revisions = words
        self.ran.append([group, verb, *revisions])
        if (group, verb) == ("exp", "remove"):
            left = {name: [*set(refs) - set(revisions)] for name, refs in self.results.items()}
            self.results = {name: refs for name, refs in left.items() if refs}
        elif verb == "kill":
            for revision in set(revisions) - {"--force"}:
                self.tasks[revision] = (self.tasks[revision][0], "Failed")
        elif verb == "remove":
            for revision in revisions:
                name, status = self.tasks.pop(revision)
                assert status != "Running", name
        return ""


@pytest.fixture
def fake_queue(monkeypatch) -> Callable[..., FakeQueue]:
    def make(tasks: dict[str, tuple[str, str]], results: dict[str, list[str]]) -> FakeQueue:
        fake = FakeQueue(tasks, results)
        monkeypatch.setattr(queue, "check_ready", list)
        monkeypatch.setattr(queue, "_status", fake.status)
        monkeypatch.setattr(queue, "_kill", lambda revision: None)
        monkeypatch.setattr(queue, "output_of", fake.run)
        monkeypatch.setattr(queue, "try_to_run", fake.run)
        monkeypatch.setattr(queue, "experiment_references", lambda: fake.results)
        return fake

    return make


def reference(commit: str, name: str) -> str:
    return f"refs/exps/{commit * 2}/{commit * 38}/{name}"


def test_with_results_the_tasks_of_older_code_are_removed(fake_queue, wanted):
    others = {"ffff": ("other", "Running"), "eeee": ("wanted-too", "Queued")}
    fake = fake_queue(
        {
            "aaaa": ("wanted", "Success"),
            "bbbb": ("wanted", "Running"),
            "cccc": ("wanted", "Queued"),
            **others,
        },
        {
            "wanted": [reference("a", "wanted"), reference("b", "wanted")],
            "other": [reference("a", "other")],
        },
    )
    queue.remove_results([wanted])
    assert fake.tasks == others
    assert fake.results == {"other": [reference("a", "other")]}
    # By reference, since two commits have results of this name; and last, since a task adds one.
    assert fake.ran[-1] == ["exp", "remove", reference("a", "wanted"), reference("b", "wanted")]


def test_without_results_and_tasks_nothing_is_removed(fake_queue, wanted):
    fake = fake_queue({"ffff": ("other", "Queued")}, {})
    queue.remove_results([wanted])
    assert fake.ran == []


def test_a_task_that_cannot_be_removed_is_named(fake_queue, wanted, monkeypatch):
    fake_queue({"aaaa": ("wanted", "Running")}, {})
    monkeypatch.setattr(queue, "try_to_run", lambda *words: None)
    with pytest.raises(InputError, match="^wanted: cannot be removed from DVC's queue; `dvc queue"):
        queue.remove_results([wanted])


def test_a_task_that_failed_does_not_hide_the_new_one(fake_queue, wanted, params):
    fake = fake_queue({"aaaa": ("wanted", "Failed"), "bbbb": ("queued", "Queued")}, {})
    queued = Experiment("queued", "b", 0, params, [])
    queue._add_to_queue({"wanted": wanted, "queued": queued})
    assert fake.ran == [
        ["queue", "remove", "aaaa"],
        ["exp", "run", "--queue", "--name", "wanted"],
    ]


def test_experiments_are_found_by_name_and_dvcs_own_references_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("1")
    make_repository(tmp_path)
    found = [reference("a", "one"), reference("b", "one"), reference("a", "two")]
    for name in (*found, "refs/exps/celery/stash", "refs/exps/exec/EXEC_APPLY", "refs/exps/stash"):
        assert git("update-ref", name, "HEAD").returncode == 0, name
    assert experiment_references() == {"one": found[:2], "two": found[2:]}


# A duration by which its process is found.
SLEEP = "456.5"


def sleepers() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cmdline() == ["sleep", SLEEP]:
                found.append(process)
    return found


@pytest.mark.long
def test_a_running_task_ends_with_its_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("git", "init", "--quiet", cwd=tmp_path)
    run("dvc", "init", "--quiet", cwd=tmp_path)
    Path("params.yaml").write_text("seed: 0\n")
    Path("dvc.yaml").write_text(f"stages: {{wait: {{cmd: sleep {SLEEP}, params: [seed]}}}}\n")
    make_repository(tmp_path)
    for seed, name in enumerate(["wanted", "other"], start=1):
        run("dvc", "exp", "run", "--queue", "--name", name, "-S", f"seed={seed}", cwd=tmp_path)
    try:
        queue._start_worker(1)
        wait_for(lambda: len(sleepers()) == 1, seconds=120)
        (first,) = sleepers()
        queue._remove_tasks({"wanted"})
        assert list(queue._tasks(queue._status())) == ["other"]
        assert not first.is_running()
        # The worker goes on with the next task.
        wait_for(lambda: len(sleepers()) == 1, seconds=120)
    finally:
        queue._remove_tasks({"wanted", "other"})
        run("dvc", "queue", "stop", cwd=tmp_path)
    assert sleepers() == []
