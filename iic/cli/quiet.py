"""Silence for libraries that write to standard error from C++, past Python's logging."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from iic.core.errors import InputError


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back standard error inside the block; show it only after an unexpected error.

    TensorFlow and the converters print notes about the processor and themselves.
    """
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (InputError, OSError, KeyboardInterrupt):
            raise
        except BaseException:
            sys.stderr.flush()
            held.seek(0)
            os.write(before, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
