"""What every stage does: read params.yaml, work, and report a user's mistake in one line."""

import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from iic.core.errors import InputError, reason_of
from iic.core.files import read_text
from iic.core.params import Params, parse_params
from iic.core.yaml_text import MAX_CHARACTERS
from iic.pipeline.costs import note_cost
from iic.pipeline.inputs import check_inputs
from iic.pipeline.paths import PARAMS

_SMALLER = "close other programs, or lower train.batch_size, the network or the number of images"


def run(stage: Callable[[Params], None]) -> None:
    """Run a stage with the validated parameters; exit with status 1 and one line on bad input."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    with one_line_errors("nothing half-written is left"):
        params, start = read_params(PARAMS), time.perf_counter()
        check_inputs()
        stage(params)
        note_cost(time.perf_counter() - start)


@contextmanager
def one_line_errors(interrupted: str) -> Iterator[None]:
    """Exit with status 1 and one line on a mistake of the user or of the machine.

    Args:
        interrupted: what to say of the results when the user has interrupted.
    """
    try:
        yield
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        # Disk full, no permission: not a fault of the code.
        sys.exit(f"error: {error.filename or 'a file'}: {error.strerror or error}")
    except sqlite3.Error as error:
        # Only DVC keeps databases, wherever its code is called.
        sys.exit(f"error: DVC's databases: {error}; make room in its site cache, or remove that")
    except MemoryError as error:
        sys.exit(f"error: not enough memory ({reason_of(error)}); {_SMALLER}")
    except KeyboardInterrupt:
        sys.exit(f"interrupted; {interrupted}")


def read_params(path: Path) -> Params:
    """Read and validate the parameter file; raise InputError on any mistake in it."""
    # Four bytes a character at most; a file of gigabytes is not even read.
    if path.is_file() and path.stat().st_size > 4 * MAX_CHARACTERS:
        raise InputError(f"{path}: longer than {MAX_CHARACTERS} characters; is it the right file?")
    text = read_text(path, "run from the repository's top folder", "save it as UTF-8")
    return parse_params(text, str(path))
