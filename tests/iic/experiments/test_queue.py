"""Experiments in DVC's queue: waiting for results, and the worker."""

import subprocess

import pytest
from conftest import environment

from iic.core.errors import InputError
from iic.experiments import commands, queue
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
