"""Shared parts of the maintainers' commands (`python -m tools...`)."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from iic.core.errors import InputError
from iic.pipeline.stage import one_line_errors


def run_main(
    main: Callable[[list[str]], None], interrupted: str = "what was finished is kept"
) -> None:
    """Run a command; on an error of the user or the machine, print one line and exit with 1.

    Args:
        main: Function that takes the command's arguments.
        interrupted: Message to print after Ctrl+C, behind "interrupted; ".
    """
    with one_line_errors(interrupted):
        try:
            main(sys.argv[1:])
        except subprocess.CalledProcessError as error:
            said = (error.stderr or "").strip()
            raise InputError(f"{' '.join(error.cmd)}: failed: {said}") from error


def run_module(
    *arguments: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Run a Python module in a process of its own and return its standard output.

    Args:
        arguments: Name of the module, then its arguments.
        folder: Working directory; None = the current one.
        environment: Environment variables to set, in addition to those of this process.

    Raises:
        InputError: The module failed; its standard error has already been shown.
    """
    done = subprocess.run(  # noqa: S603 - a list, no shell
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise InputError(f"{' '.join(arguments)}: failed, see above; what was finished is kept")
    return done.stdout
