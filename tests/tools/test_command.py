"""Commands in separate processes."""

import sys

import pytest

from iic.core.errors import InputError
from tools.command import call, ending_of


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
