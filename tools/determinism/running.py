"""The six stages under a condition, in a folder of their own."""

import os
import pty
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from iic.core.errors import InputError
from iic.core.params import Params
from iic.data.datasets import COLLECTIONS, IdxFile
from iic.data.download import Origin, fetch, origins_of
from iic.experiments.scratch import STAGES, write_params
from iic.pipeline.costs import COSTS, read_costs
from tools.determinism.conditions import CONDITIONS, Condition

_LAST = 300


@contextmanager
def finished_runs(
    code: Path, params: Params, condition: Condition, python: str = sys.executable
) -> Iterator[list[Path]]:
    """Folders in which the stages have run under a condition, as many as it wants at once.

    Args:
        code: folder with a copy of the code, the same for all runs.
        params: of the pipeline.
        condition: to run it under.
        python: path of the interpreter.

    Raises:
        InputError: a stage failed.
    """
    with tempfile.TemporaryDirectory() as name:
        tops = [Path(name) / str(number) for number in range(condition.jobs)]
        for top in tops:
            _prepare(top, code, params, condition)
        with ThreadPoolExecutor(len(tops)) as pool:
            list(pool.map(lambda top: _run_stages(top, condition, python), tops))
        yield [top / condition.folder for top in tops]


def seconds_of_training(folder: Path) -> float:
    """Seconds that the stage `train` took, imports apart."""
    return read_costs(folder.parent / "costs")["train"].seconds


def keep_data(params: Params, folder: Path) -> Params:
    """Parameters that take the data from a folder, so that mirrors are asked once for all runs."""
    if params.data.name not in COLLECTIONS:
        return params
    collection = COLLECTIONS[params.data.name]
    local = Path(params.data.local_dir) if params.data.local_dir else None
    fetch(collection, [_keeping(origin, folder) for origin in origins_of(collection, local)])
    return params.with_values(data={"local_dir": str(folder)})


def _keeping(origin: Origin, folder: Path) -> Origin:
    def read(file: IdxFile) -> bytes:
        content = origin.read(file)
        (folder / file.name).write_bytes(content)
        return content

    return Origin(origin.name, read)


def _prepare(top: Path, code: Path, params: Params, condition: Condition) -> None:
    folder = top / condition.folder
    (top / "home").mkdir(parents=True)
    shutil.copytree(code, folder)
    write_params(folder, params)
    for name, content in condition.files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content, "utf-8")
    if condition.locale:
        _make_locale(top / "locale", condition.locale)


def _make_locale(folder: Path, name: str) -> None:
    folder.mkdir()
    target = str(folder / f"{name}.UTF-8")
    # With `--no-archive` it needs no rights over the system's own locales.
    command = ["localedef", "--no-archive", "-i", name, "-f", "UTF-8", target]
    done = subprocess.run(  # noqa: S603 - fixed words, no shell
        command, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise InputError(f"{' '.join(command)}: {done.stderr.strip()[-_LAST:]}")


def environment(top: Path, condition: Condition) -> dict[str, str]:
    """This process's variables without any that a condition sets, then those of this one."""
    switches = {name for other in CONDITIONS.values() for name in other.variables} - {"HOME"}
    plain = {key: value for key, value in os.environ.items() if key not in switches}
    own = {key: value.format(top=top) for key, value in condition.variables.items()}
    own |= {"PYTHONPATH": str(top / condition.folder), COSTS: str(top / "costs")}
    return plain | own | {"DVC_NO_ANALYTICS": "1"}


def _run_stages(top: Path, condition: Condition, python: str) -> None:
    variables = environment(top, condition)
    start = _on_terminal if condition.terminal else _on_pipe
    for stage in STAGES:
        command = [*condition.command, python, "-m", f"stages.{stage}"]
        status, said = start(command, top / condition.folder, variables, condition.umask)
        if status != 0:
            raise InputError(f"{stage}: exit status {status}: {' '.join(said.split())[-_LAST:]}")


def _on_pipe(
    command: list[str], folder: Path, variables: Mapping[str, str], umask: int
) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603 - a list, no shell
        command,
        cwd=folder,
        env=variables,
        umask=umask,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout


def _on_terminal(
    command: list[str], folder: Path, variables: Mapping[str, str], umask: int
) -> tuple[int, str]:
    """The same with a terminal as standard output, standard error and standard input."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - a list, no shell
        command,
        cwd=folder,
        env=variables,
        umask=umask,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = b"".join(_chunks(ours))
    return process.returncode, said.decode(errors="replace")


def _chunks(terminal: int) -> Iterator[bytes]:
    """What is written to it until nobody has it open."""
    try:
        while chunk := os.read(terminal, 1 << 16):
            yield chunk
    except OSError:
        pass  # Linux's way to say that the other end is closed.
    finally:
        os.close(terminal)


def why_not(condition: Condition, known: set[str], cores: int, pythons: Mapping[str, str]) -> str:
    """Why a condition cannot be tried, or nothing.

    Args:
        condition: to try.
        known: instructions of the processor.
        cores: that this process may use.
        pythons: path of an interpreter by its version.
    """
    tool = condition.command[0] if condition.command else ""
    reasons = {
        f"a processor without {', '.join(condition.needs)}": not known.issuperset(condition.needs),
        f"fewer than {condition.cores} cores": cores < condition.cores,
        f"no `{tool}`": bool(tool) and shutil.which(tool) is None,
        "no `localedef`": bool(condition.locale) and shutil.which("localedef") is None,
        f"no Python {condition.python} was named (`--python`)": bool(condition.python)
        and condition.python not in pythons,
    }
    return ", ".join(reason for reason, is_so in reasons.items() if is_so)
