"""Shared parts of the maintainers' commands (`python -m tools...`)."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from iic.core.errors import InputError
from iic.pipeline.stage import one_line_errors


def run_main(
    main: Callable[[list[str]], None], interrupted: str = "finished results are kept"
) -> None:
    """Run a command; on an error of the user or the machine, print one line and exit with 1.

    Args:
        main: Function that takes the command's arguments.
        interrupted: Message to print after Ctrl+C, after "interrupted; ".
    """
    with one_line_errors(interrupted):
        try:
            main(sys.argv[1:])
        except subprocess.CalledProcessError as error:
            said = (error.stderr or "").strip()
            raise InputError(f"{' '.join(error.cmd)}: failed: {said}") from error


def run_module(
    *arguments: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    limit: float | None = None,
) -> str:
    """Run a Python module in a separate process and return its standard output.

    Args:
        arguments: Name of the module, then its arguments.
        folder: Working directory; None = the current one.
        environment: Environment variables to set, in addition to those of this process.
        limit: Longest duration in seconds; None = no limit.

    Returns:
        Standard output of the module.

    Raises:
        InputError: The module failed; its standard error has already been shown.
        subprocess.TimeoutExpired: The module took longer than the limit, so it was killed with all
            processes that it had started.
    """
    with subprocess.Popen(  # noqa: S603 - a list, no shell
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=limit)
        except BaseException:
            # Also after Ctrl+C, which reaches only this session.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise InputError(f"{' '.join(arguments)}: failed, see above; finished results are kept")
    return said


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
        terminal: Whether the command reads and writes on a terminal.

    Returns:
        Exit status and output.
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
    """Yield the output until all writers have closed their end."""
    try:
        while chunk := os.read(output, 1 << 16):
            yield chunk
    except OSError:
        pass  # Linux reports the closed end of a terminal as an error.
    finally:
        os.close(output)


def call(*command: str, cwd: Path) -> str:
    """Run a command and return its output; raise an InputError with the output if it fails."""
    ending = ending_of(*command, cwd=cwd)
    if ending.status != 0:
        raise InputError(f"{' '.join(command)}: {' '.join(ending.said.split())[-2000:]}")
    return ending.said
