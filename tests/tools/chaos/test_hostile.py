"""Hostile files: what is made to do harm does none, and what a campaign takes for lost is lost."""

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
from tools.chaos import crafted_models, hostile, workers
from tools.chaos.entries import ENTRIES, check_line
from tools.chaos.hostile import Trial, damage, tried
from tools.chaos.valid_files import arrays, model, pictures
from tools.chaos.workers import ACCEPTED, REFUSED, Worker, judge


@pytest.fixture(scope="module")
def worker():
    with Worker() as running:
        yield running


def crafted() -> list[Trial]:
    """Those that take little time; the campaign tries all."""
    found = [
        *(
            Trial(name, "model", {**model(), **new})
            for name, new in crafted_models.models().items()
        ),
        *(Trial(name, "card", {**model(), **new}) for name, new in crafted_models.cards().items()),
        *(Trial(name, "names", new) for name, new in crafted_models.names().items()),
    ]
    return [trial for trial in found if "100 MB" not in trial.name]


def test_what_is_made_to_do_harm_does_none(worker):
    for trial in random.Random(0).sample(crafted(), 30):
        assert tried(trial, worker) in (ACCEPTED, REFUSED), trial.name


def test_a_short_campaign_loses_nothing(worker):
    numbers = random.Random(1)
    for trial in numbers.sample(list(hostile.damaged(numbers, each=2)), 30):
        assert tried(trial, worker) in (ACCEPTED, REFUSED), trial.name


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_as_it_should_be_is_accepted(entry, tmp_path, monkeypatch):
    """Else nothing would be told by a refusal of what was made of it."""
    monkeypatch.chdir(tmp_path)
    contents = {**pictures(), **arrays()}
    of_entry = {
        "image": [{"a.png": contents["grey.png"], name: contents[name]} for name in pictures()],
        "array": [{name: contents[name]} for name in list(arrays())[:4]],
        "package": [{"package.tgz": contents["package.tgz"]}],
        "packed": [{"images.gz": contents["images-idx3-ubyte.gz"]}],
        "model": [model()],
        "card": [model()],
        "names": [{"cat/a.png": contents["grey.png"], "dog/b.png": contents["deep.png"]}],
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
    ("door", "outcome"),
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
def test_what_goes_wrong_is_an_outcome(door, outcome, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "own"))
    monkeypatch.setattr(workers, "MEMORY", 100 if door is fills_memory else 2000)
    if door is fills_memory and not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of memory is not to be had here")
    found = judge(door, tmp_path)
    assert found == outcome if outcome in (ACCEPTED, REFUSED) else found.startswith(outcome)


def test_what_is_slow_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "SECONDS", 0.0)
    assert judge(fine, tmp_path).startswith("accepted, but took 0 s")


def test_a_process_that_dies_or_hangs_is_lost_and_the_next_one_works(worker, tmp_path, monkeypatch):
    assert worker.judge(dies, tmp_path) == "the process died"
    assert worker.judge(fine, tmp_path) == ACCEPTED
    monkeypatch.setattr(workers, "SECONDS", 0.1)
    assert worker.judge(hangs, tmp_path) == "it did not end"


class Careless:
    """Judges nothing, and leaves a file above the folder."""

    def judge(self, door, folder):
        (folder / "../../climbed").write_text("x")
        return ACCEPTED


def test_a_file_that_is_left_is_lost_and_named(monkeypatch):
    trials = [Trial("a.png: bad", "image", {"a.png": b""})]
    monkeypatch.setattr(hostile, "crafted", lambda: trials)
    monkeypatch.setattr(hostile, "damaged", lambda numbers: [])
    monkeypatch.setattr(hostile, "Worker", lambda: FakePool())
    *_, count = hostile.files(random.Random(0))
    assert count.lost == ["a.png: bad: accepted, but left a file"]
    assert count.details == {"made to do harm": 1, "accepted, but left a file": 1}


class FakePool(Careless):
    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


def test_damage_can_be_repeated_and_is_some():
    content = pictures()["grey.png"]
    made = [[damage(content, random.Random(seed)) for seed in range(20)] for _ in range(2)]
    assert made[0] == made[1]
    assert sum(bad != content for bad in made[0]) > 15


def test_checksums_of_a_picture_are_made_right_again():
    content = bytearray(pictures()["grey.png"])
    content[20] ^= 1
    mended = hostile._with_sums(bytes(content))
    assert mended[:29] == content[:29]
    assert int.from_bytes(mended[29:33], "big") == zlib.crc32(mended[12:29])


def test_each_kind_is_tried():
    assert {trial.entry for trial in hostile.damaged(random.Random(0), each=1)} == {*ENTRIES} - {
        "names"
    }


@pytest.mark.parametrize("text", ["a\tb", "\x9b", "\x7f", "a" * 1001])
def test_what_is_no_line(text):
    check_line("Größe — fine")
    with pytest.raises(AssertionError, match="said"):
        check_line(text)
