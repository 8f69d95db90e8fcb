"""Silence for libraries that talk below Python, where no logging level reaches them."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from iic.core.errors import InputError


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is written to standard error, and show it only if something unforeseen fails.

    TensorFlow and converters write notes on the processor and on themselves to it, from C++.
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
