"""Hostile files: crafted ones do no harm, and the campaign notices whatever goes wrong."""

import logging
import os
import pickle
import random
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from iic.core.errors import InputError
from tools.chaos import crafted, hostile
from tools.chaos.entries import ENTRIES, check_line
from tools.chaos.hostile import (
    ACCEPTED,
    REFUSED,
    HostileFiles,
    Worker,
    damaged_content,
    judge,
    outcome_of,
)
from tools.chaos.valid_files import arrays, model, named, pictures, png

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def worker():
    with Worker() as running:
        yield running


def quick_trials() -> list[HostileFiles]:
    """Crafted files that take little time; the campaign tries all."""
    found = [
        *(
            HostileFiles(name, "model", {**model(), **new})
            for name, new in crafted.models().items()
        ),
        *(HostileFiles(name, "card", {**model(), **new}) for name, new in crafted.cards().items()),
        *(HostileFiles(name, "names", new) for name, new in crafted.names().items()),
    ]
    return [trial for trial in found if "100 MB" not in trial.name]


def test_crafted_files_are_refused_or_read(worker):
    for trial in random.Random(0).sample(quick_trials(), 30):
        assert outcome_of(trial, worker) in (ACCEPTED, REFUSED), trial.name


def test_damaged_files_are_refused_or_read(worker):
    numbers = random.Random(1)
    for trial in numbers.sample(list(hostile.damaged(numbers, each=2)), 30):
        assert outcome_of(trial, worker) in (ACCEPTED, REFUSED), trial.name


@pytest.mark.parametrize("entry", ENTRIES)
def test_valid_files_are_accepted(entry, tmp_path, monkeypatch):
    """Otherwise a refusal of a damaged file would mean nothing."""
    monkeypatch.chdir(tmp_path)
    contents = {**pictures(), **arrays()}
    of_entry = {
        "image": [{"a.png": png(1), name: contents[name]} for name in pictures()],
        "array": [{name: contents[name]} for name in list(arrays())[:6]],
        "package": [{"package.tgz": contents["package.tgz"]}],
        "table": [named()],
        "packed": [{"images.gz": contents["images-idx3-ubyte.gz"]}],
        "model": [model()],
        "card": [model()],
        "names": [{"cat/a.png": png(1), "dog/b.png": contents["deep.png"]}],
    }
    for number, files in enumerate(of_entry[entry]):
        for name, content in files.items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        ENTRIES[entry](tmp_path / str(number))


def fine(folder: Path):
    pass


def refuses(folder: Path):
    raise InputError("a line")


def says_much(folder: Path):
    raise InputError("a" * 5000)


def says_lines(folder: Path):
    raise InputError("a\nb")


def steers_the_terminal(folder: Path):
    raise InputError("\x1b[2J")


def logs_what_steers_the_terminal(folder: Path):
    logging.getLogger("iic.data.readers").info("\x1b[2J")


def fails(folder: Path):
    raise ValueError("x\ny")


def exits(folder: Path):
    raise SystemExit(3)


def starts_a_program(folder: Path):
    subprocess.run(["true"], check=True)


def unpickles(folder: Path):
    pickle.loads(pickle.dumps(np.float64(1)))  # noqa: S301 - our own


def writes_elsewhere(folder: Path):
    (folder / "other/x").write_text("x")


def fills_memory(folder: Path):
    np.ones(30_000_000).sum()


def dies(folder: Path):
    os.abort()


def hangs(folder: Path):
    time.sleep(60)


@pytest.mark.parametrize(
    ("entry", "outcome"),
    [
        (fine, "accepted"),
        (refuses, "refused"),
        (says_much, "said 5000 letters"),
        (says_lines, r"said 'a\nb'"),
        (steers_the_terminal, r"said '\x1b[2J'"),
        (logs_what_steers_the_terminal, r"accepted, but said '\x1b[2J'"),
        (fails, "ValueError: x y"),
        (exits, "SystemExit: 3"),
        (starts_a_program, "accepted, but subprocess.Popen "),
        (unpickles, "accepted, but pickle.find_class "),
        (writes_elsewhere, "accepted, but wrote "),
        (fills_memory, "accepted, but took "),
    ],
)
def test_whatever_goes_wrong_is_an_outcome(entry, outcome, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "own"))
    monkeypatch.setattr(hostile, "MEMORY", 100 if entry is fills_memory else 2000)
    if entry is fills_memory and not Path("/proc/self/clear_refs").exists():
        pytest.skip("needs /proc/self/clear_refs")
    found = judge(entry, tmp_path)
    assert found == outcome if outcome in (ACCEPTED, REFUSED) else found.startswith(outcome)


def test_slow_trial_is_an_outcome(tmp_path, monkeypatch):
    monkeypatch.setattr(hostile, "SECONDS", 0.0)
    assert judge(fine, tmp_path).startswith("accepted, but took 0 s")


def test_process_that_dies_or_hangs_is_replaced(worker, tmp_path, monkeypatch):
    assert worker.judge(dies, tmp_path) == "the process died"
    assert worker.judge(fine, tmp_path) == ACCEPTED
    monkeypatch.setattr(hostile, "SECONDS", 0.1)
    assert worker.judge(hangs, tmp_path) == "it did not end"


class Careless:
    """Accepts everything, and leaves a file above the folder."""

    def judge(self, entry, folder):
        (folder / "../../climbed").write_text("x")
        return ACCEPTED


def test_file_that_is_left_is_lost(monkeypatch):
    trials = [HostileFiles("a.png: bad", "image", {"a.png": b""})]
    monkeypatch.setattr(hostile, "crafted_trials", lambda: trials)
    monkeypatch.setattr(hostile, "damaged", lambda numbers, each: [])
    monkeypatch.setattr(hostile, "Worker", lambda: FakePool())
    *_, count = hostile.files(random.Random(0))
    assert count.lost == ["a.png: bad: accepted, but left a file"]
    assert count.details == {"made to do harm": 1, "accepted, but left a file": 1}


class FakePool(Careless):
    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


def test_damage_is_decided_by_the_seed():
    content = pictures()["grey.png"]
    made = [[damaged_content(content, random.Random(seed)) for seed in range(20)] for _ in range(2)]
    assert made[0] == made[1]
    assert sum(bad != content for bad in made[0]) > 15


def test_checksums_of_damaged_png_files_are_corrected():
    content = bytearray(pictures()["grey.png"])
    content[20] ^= 1
    corrected = hostile._with_checksums(bytes(content))
    assert corrected[:29] == content[:29]
    assert int.from_bytes(corrected[29:33], "big") == zlib.crc32(corrected[12:29])


def test_every_entry_gets_damaged_files():
    assert {trial.entry for trial in hostile.damaged(random.Random(0), each=1)} == {*ENTRIES} - {
        "names"
    }


@pytest.mark.parametrize("text", ["a\tb", "\x9b", "\x7f", "a" * 1001])
def test_long_and_controlling_lines_are_rejected(text):
    check_line("Größe — fine")
    with pytest.raises(AssertionError, match="said"):
        check_line(text)
