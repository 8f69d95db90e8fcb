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
from iic.data.download import Source, fetch, sources_of
from iic.experiments.scratch import STAGES, write_params
from iic.pipeline.costs import COSTS, read_costs
from tools.determinism.conditions import CONDITIONS, Condition

# Characters of an error message that are shown.
_LAST = 300


@contextmanager
def finished_runs(
    code: Path, params: Params, condition: Condition, python: str = sys.executable
) -> Iterator[list[Path]]:
    """Run the stages under a condition, as many times at once as it wants.

    Args:
        code: Folder with a copy of the code.
        params: Parameters of the pipeline.
        condition: Condition to run it under.
        python: Path of the interpreter.

    Yields:
        The folder of each run.

    Raises:
        InputError: A stage failed.
    """
    with tempfile.TemporaryDirectory() as name:
        tops = [Path(name) / str(number) for number in range(condition.jobs)]
        for top in tops:
            _prepare(top, code, params, condition)
        with ThreadPoolExecutor(len(tops)) as pool:
            list(pool.map(lambda top: _run_stages(top, condition, python), tops))
        yield [top / condition.folder for top in tops]


def seconds_of_training(folder: Path) -> float:
    """Return the seconds that the stage `train` took, without imports."""
    return read_costs(folder.parent / "costs")["train"].seconds


def keep_data(params: Params, folder: Path) -> Params:
    """Download the data into a folder; return parameters that take them from there."""
    if params.data.name not in COLLECTIONS:
        return params
    collection = COLLECTIONS[params.data.name]
    local = Path(params.data.local_dir) if params.data.local_dir else None
    fetch(collection, [_keeping(source, folder) for source in sources_of(collection, local)])
    return params.with_values(data={"local_dir": str(folder)})


def _keeping(source: Source, folder: Path) -> Source:
    def read(file: IdxFile) -> bytes:
        content = source.read(file)
        (folder / file.name).write_bytes(content)
        return content

    return Source(source.name, read)


def _prepare(top: Path, code: Path, params: Params, condition: Condition) -> None:
    (top / "home").mkdir(parents=True)
    shutil.copytree(code, top / condition.folder)
    write_params(top / condition.folder, params)
    for name, content in condition.files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content, "utf-8")
    if name := condition.locale:
        (top / "locale").mkdir()
        target = str(top / f"locale/{name}.UTF-8")
        # `--no-archive` needs no rights over the system's own locales.
        command = ["localedef", "--no-archive", "-i", name, "-f", "UTF-8", target]
        status, said = ending_of(command, top, os.environ)
        if status != 0:
            raise InputError(f"{' '.join(command)}: {said.strip()[-_LAST:]}")


def environment(top: Path, condition: Condition) -> dict[str, str]:
    """Return this process's variables without those that any condition sets, and this one's."""
    switches = {name for other in CONDITIONS.values() for name in other.variables} - {"HOME"}
    plain = {key: value for key, value in os.environ.items() if key not in switches}
    own = {key: value.format(top=top) for key, value in condition.variables.items()}
    own |= {"PYTHONPATH": str(top / condition.folder), COSTS: str(top / "costs")}
    return plain | own | {"DVC_NO_ANALYTICS": "1"}


def _run_stages(top: Path, condition: Condition, python: str) -> None:
    variables, folder = environment(top, condition), top / condition.folder
    for stage in STAGES:
        command = [*condition.command, python, "-m", f"stages.{stage}"]
        status, said = ending_of(
            command, folder, variables, umask=condition.umask, terminal=condition.terminal
        )
        if status != 0:
            raise InputError(f"{stage}: exit status {status}: {' '.join(said.split())[-_LAST:]}")


def ending_of(
    command: list[str],
    folder: Path,
    variables: Mapping[str, str],
    umask: int = -1,
    *,
    terminal: bool = False,
) -> tuple[int, str]:
    """Run a command on a pipe or a terminal; return its exit status and both of its outputs."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    with subprocess.Popen(  # noqa: S603 - a list, no shell
        command,
        cwd=folder,
        env=variables,
        umask=umask,
        stdin=theirs if terminal else None,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = b"".join(_chunks(ours))
    return process.returncode, said.decode(errors="replace")


def _chunks(output: int) -> Iterator[bytes]:
    """Read what is written until nobody has the other end open."""
    try:
        while chunk := os.read(output, 1 << 16):
            yield chunk
    except OSError:
        pass  # Linux reports the closed end of a terminal as an error.
    finally:
        os.close(output)


def why_not(condition: Condition, known: set[str], cores: int, pythons: Mapping[str, str]) -> str:
    """Return why a condition cannot be tried on this machine, or "".

    Args:
        condition: Condition to try.
        known: Instructions of the processor.
        cores: Number of cores that this process may use.
        pythons: Paths of interpreters by version.
    """
    version, tools = (
        condition.python,
        [*condition.command[:1], *["localedef"] * bool(condition.locale)],
    )
    reasons = {
        f"a processor without {', '.join(condition.needs)}": not known.issuperset(condition.needs),
        f"fewer than {condition.cores} cores": cores < condition.cores,
        **{f"no `{tool}`": shutil.which(tool) is None for tool in tools},
        f"no Python {version} was named (`--python`)": bool(version) and version not in pythons,
    }
    return ", ".join(reason for reason, is_so in reasons.items() if is_so)
