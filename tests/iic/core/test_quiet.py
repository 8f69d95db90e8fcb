"""Notes of libraries on standard error are held back while they start."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from conftest import ROOT, environment

from iic.core.errors import InputError
from iic.core.quiet import device_name, quiet


def failing(error: BaseException) -> None:
    with quiet():
        os.write(2, b"the cause")
        raise error


@pytest.fixture(autouse=True)
def default_level(monkeypatch):
    """The log level is unset, as in a user's shell; the variable is restored after the test."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")


def test_notes_are_held_back(capfd):
    with quiet():
        os.write(2, b"note")
    os.write(2, b"message")
    assert capfd.readouterr().err == "message"


@pytest.mark.parametrize("error", [InputError("mistake"), OSError(), KeyboardInterrupt()])
def test_notes_are_held_back_if_the_error_is_foreseen(capfd, error):
    with pytest.raises(type(error)):
        failing(error)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("error", [RuntimeError(), SystemExit(), ImportError("libcuda")])
def test_notes_are_shown_if_the_error_is_unforeseen(capfd, error):
    with pytest.raises(type(error)):
        failing(error)
    os.write(2, b", then more")
    assert capfd.readouterr().err == "the cause, then more"


def test_level_0_shows_everything_and_other_levels_are_kept(capfd, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with quiet():
        os.write(2, b"note")
    assert capfd.readouterr().err == "note"
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    with quiet():
        pass
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "1"
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    with quiet():
        pass
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"


def test_closed_standard_error_is_no_obstacle():
    script = "from iic.core.quiet import quiet\nwith quiet(): print('done')"
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, script],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "done\n"


@pytest.mark.parametrize(
    ("gpus", "details", "name"),
    [
        ([], {}, "the CPU"),
        ([SimpleNamespace(name="/physical_device:GPU:0")], {"device_name": "X1"}, "the GPU X1"),
        ([SimpleNamespace(name="/physical_device:GPU:0")], {}, "the GPU /physical_device:GPU:0"),
    ],
)
def test_device_is_named(monkeypatch, gpus, details, name):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert device_name() == name
