"""What the commands of this package have in common."""

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
    """Run a command; on a mistake of the user or of the machine, exit with 1 and one line.

    Args:
        main: takes the command's arguments.
        interrupted: what to say when the user has interrupted.
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
    """What a Python module prints, run in a process of its own.

    Args:
        arguments: name of the module, then its arguments.
        folder: to work in; the current one by default.
        environment: variables set besides those of this process.

    Raises:
        InputError: the module failed; it has said why itself.
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
