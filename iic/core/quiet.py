"""Start TensorFlow without its notes, which look like errors on machines without a GPU."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from iic.core.errors import InputError

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back standard error while the block imports TensorFlow or runs a converter.

    Both write from C++, where Python's logging levels do not apply. TensorFlow, once imported,
    looks for devices before the block ends, since it writes notes then, too. The held text is
    shown if the block fails for an unforeseen reason. After the block, TensorFlow only writes
    errors, unless TF_CPP_MIN_LOG_LEVEL is set; with TF_CPP_MIN_LOG_LEVEL=0 nothing is held back.
    """
    if os.environ.setdefault(_LEVEL, "2") == "0" or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
            if "tensorflow" in sys.modules:
                sys.modules["tensorflow"].config.list_physical_devices()
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


def device_name() -> str:
    """Describe the device on which TensorFlow computes, such as "the GPU NVIDIA H200"."""
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        return "the CPU"
    details = tf.config.experimental.get_device_details(gpus[0])
    return f"the GPU {details.get('device_name', gpus[0].name)}"
