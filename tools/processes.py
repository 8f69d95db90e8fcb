"""Commands in processes of their own, with both of their outputs as one text."""

import os
import pty
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from iic.core.errors import InputError


class Ending(NamedTuple):
    """The exit status of a command, and its standard output and standard error."""

    status: int
    said: str


def start(*command: str, cwd: Path, **options: Any) -> subprocess.Popen[str]:  # noqa: ANN401
    """Start a command with one pipe for both outputs; options are those of subprocess.Popen."""
    return subprocess.Popen(  # noqa: S603 - a list, no shell
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def ending_of(
    *command: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    umask: int = -1,
    terminal: bool = False,
) -> Ending:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        cwd: Working directory.
        env: Environment variables; None = those of this process.
        umask: File mode mask; -1 = that of this process.
        terminal: Whether it reads and writes on a terminal.
    """
    ours, theirs = pty.openpty() if terminal else os.pipe()
    with subprocess.Popen(  # noqa: S603 - a list, no shell
        command,
        cwd=cwd,
        env=env,
        umask=umask,
        stdin=theirs if terminal else None,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = b"".join(_chunks(ours))
    return Ending(process.returncode, said.decode(errors="replace"))


def _chunks(output: int) -> Iterator[bytes]:
    """Read what is written until nobody has the other end open."""
    try:
        while chunk := os.read(output, 1 << 16):
            yield chunk
    except OSError:
        pass  # Linux reports the closed end of a terminal as an error.
    finally:
        os.close(output)


def call(*command: str, cwd: Path) -> str:
    """Run a command and return what it said; raise InputError with that if it fails."""
    ending = ending_of(*command, cwd=cwd)
    if ending.status != 0:
        raise InputError(f"{' '.join(command)}: {' '.join(ending.said.split())[-2000:]}")
    return ending.said
