"""Commands in separate processes."""

import subprocess
import sys
import time

import psutil
import pytest

from iic.core.errors import InputError
from tools.command import call, ending_of, run_module


@pytest.mark.parametrize(("terminal", "expected"), [(True, "True True"), (False, "False False")])
def test_command_runs_on_a_terminal_or_a_pipe(terminal, expected, tmp_path):
    code = (
        "import os, sys; print(sys.stderr.isatty(), sys.stdout.isatty(), os.environ['A']);"
        "open('file', 'w'); sys.exit(3)"
    )
    env = {"A": "ü", "PYTHONUTF8": "1"}
    command = (sys.executable, "-S", "-c", code)
    ending = ending_of(*command, cwd=tmp_path, env=env, umask=0o077, terminal=terminal)
    assert ending.status == 3
    assert ending.said.startswith(f"{expected} ü")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_failed_command_is_an_error_with_its_output(tmp_path):
    assert call("echo", "fine", cwd=tmp_path) == "fine\n"
    with pytest.raises(InputError, match="ls none: .*none"):
        call("ls", "none", cwd=tmp_path)


def test_module_that_takes_too_long_is_killed_with_the_processes_it_started(tmp_path):
    (tmp_path / "endless.py").write_text(
        "import subprocess, time, pathlib\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "pathlib.Path('child').write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        run_module("endless", folder=tmp_path, limit=2)
    child = int((tmp_path / "child").read_text())
    # The system needs a moment to end it.
    for _ in range(100):
        if not is_running(child):
            break
        time.sleep(0.05)
    assert not is_running(child)


def is_running(process: int) -> bool:
    """Tell whether a process exists and is more than an entry that waits for its parent."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_module_prints_its_result_or_fails():
    assert run_module("calendar", "2026", "1", limit=60).split()[:2] == ["January", "2026"]
    with pytest.raises(InputError, match="no_such_module: failed, see above"):
        run_module("no_such_module")
