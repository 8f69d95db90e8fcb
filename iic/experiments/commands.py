"""Run Git and DVC as separate processes."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from iic.core.errors import InputError
from iic.core.params import Params
from iic.experiments.checks import check_ready
from iic.experiments.git import experiment_references
from iic.experiments.recipes import options_of
from iic.experiments.sweep.task import environment


def output_of(
    *command: str, folder: Path | None = None, variables: Mapping[str, str] | None = None
) -> str:
    """Run a command and return its standard output.

    Args:
        command: Program and its arguments.
        folder: Working directory; None = the current one.
        variables: Environment variables to set, in addition to those of this process.

    Returns:
        Standard output of the command.

    Raises:
        InputError: The command failed; the message contains its output on one line.
    """
    # Files, since DVC's worker inherits the streams and would keep pipes open until it ends.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        done = subprocess.run(  # noqa: S603 - a list, no shell
            command,
            cwd=folder,
            env=_environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            check=False,
        )
        output.seek(0)
        errors.seek(0)
        printed, complaint = output.read(), errors.read()
    if done.returncode != 0:
        why = " ".join((complaint or printed).decode(errors="replace").split())
        raise InputError(f"{' '.join(command)}: {why or 'failed'}; finished results are kept")
    return os.fsdecode(printed)


def try_to_run(*command: str) -> None:
    """Run a command; its output and a failure are ignored."""
    with suppress(InputError):
        output_of(*command)


def run_experiment(name: str, params: Params, variables: Mapping[str, str] | None = None) -> None:
    """Run a DVC experiment in a temporary folder.

    Once it has results, they replace earlier ones of the same name, of this commit or another.

    Args:
        name: Name of the experiment.
        params: Parameters of the experiment.
        variables: Environment variables to set, in addition to those of this process.

    Raises:
        InputError: The experiment cannot run here, or failed; DVC has already printed why.
    """
    check_ready([params])
    options = options_of(params)
    earlier = experiment_references().get(name, [])
    # `dvc exp run --force` would replace an earlier one too, but would not use the run-cache.
    used = f"{name}-{secrets.token_hex(4)}" if earlier else name
    command = ["dvc", "exp", "run", "--temp", "--name", used, *options]
    done = subprocess.run(command, check=False, env=_environment(variables))  # noqa: S603 - a list, no shell
    if done.returncode != 0:
        raise InputError(f"{' '.join(command)}: failed, see above; finished results are kept")
    if earlier:
        output_of("dvc", "exp", "remove", *earlier)
        output_of("dvc", "exp", "rename", used, name)
        sys.stderr.write(f"{used} is now {name}, in place of the earlier one\n")


def _environment(variables: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **environment(), **(variables or {})}
