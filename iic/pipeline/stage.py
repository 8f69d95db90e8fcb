"""The frame of every stage: read params.yaml, run, and report a mistake in one line."""

import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from iic.core.errors import InputError, reason_of
from iic.core.files import read_text
from iic.core.params import Params, parse_params
from iic.core.yaml_text import MAX_CHARACTERS
from iic.pipeline.costs import note_cost
from iic.pipeline.inputs import check_inputs
from iic.pipeline.outputs import outputs_kept
from iic.pipeline.paths import CLUSTERING, Pipeline

_P = TypeVar("_P")
_MEMORY_REMEDY = (
    "close other programs, or lower train.batch_size, the network or the number of images"
)


def run(stage: Callable[[Params], None]) -> None:
    """Run a stage of the clustering pipeline, as `run_stage` does."""
    run_stage(stage, read_params, CLUSTERING)


def run_stage(stage: Callable[[_P], None], read: Callable[[Path], _P], pipeline: Pipeline) -> None:
    """Run a stage with the validated parameters; exit with status 1 and one line on an error.

    After an error, the outputs of the last successful run are put back.

    Args:
        stage: Main function of the stage.
        read: Function that reads and validates a file of parameters.
        pipeline: Pipeline of the stage.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    with outputs_kept(pipeline), one_line_errors("no output is incomplete"):
        params, start = read(pipeline.params), time.perf_counter()
        check_inputs(pipeline)
        stage(params)
        note_cost(time.perf_counter() - start)


@contextmanager
def one_line_errors(interrupted: str) -> Iterator[None]:
    """Turn errors of the user or the machine into one line and exit status 1.

    Args:
        interrupted: Message to print after Ctrl+C, after "interrupted; ".
    """
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        # Such as a full disk or a missing permission.
        sys.exit(f"error: {error.filename or 'a file'}: {error.strerror or error}")
    except sqlite3.Error as error:
        # Only DVC uses databases.
        sys.exit(f"error: DVC's databases: {error}; make room in DVC's site cache, or remove it")
    except MemoryError as error:
        sys.exit(f"error: not enough memory ({reason_of(error)}); {_MEMORY_REMEDY}")
    except KeyboardInterrupt:
        sys.exit(f"interrupted; {interrupted}")


@contextmanager
def line_ended() -> Iterator[None]:
    """On a failure, end the line of Keras's progress bar, so that the message gets its own line."""
    try:
        yield
    except BaseException:
        if sys.stdout is not None and sys.stdout.isatty():
            sys.stdout.write("\n")
            sys.stdout.flush()
        raise


def read_params(path: Path) -> Params:
    """Read and validate the parameter file; raise InputError on any mistake in it."""
    return parse_params(read_params_text(path), str(path))


def read_params_text(path: Path) -> str:
    """Read a parameter file; raise InputError if it is missing, too long or not UTF-8."""
    # A character has at most four bytes.
    if path.is_file() and path.stat().st_size > 4 * MAX_CHARACTERS:
        raise InputError(f"{path}: longer than {MAX_CHARACTERS} characters; is it the right file?")
    return read_text(path, "run from the repository's top folder", "save it as UTF-8")
