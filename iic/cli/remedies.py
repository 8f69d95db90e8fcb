"""Remedies in messages of the readers of images: settings of the pipeline, as options of commands.

The readers serve the pipeline and the commands, and name the keys of params.yaml.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from iic.core.errors import InputError

# A key, but not a part of a path.
_KEY = r"(?<![\w./-])data\.{}(?![\w./-])"
# What the readers say, and what commands that take paths and options say instead.
_AS_OPTIONS = (
    # The readers name these options themselves.
    (re.compile(r"set data\.\w+(?: to \w+)? \(iic predict (--[^)]+)\)"), r"give \1"),
    (re.compile(rf"set {_KEY.format('path')} to"), "give"),
    (re.compile(rf"; {_KEY.format('channels')} 1 is faster"), ", but the network sees colours"),
    (re.compile(_KEY.format("max_images")), "--max-images"),
    (re.compile(_KEY.format("(size|ink)")), r"--\1"),
)


def in_options(message: str) -> str:
    """Replace the keys of params.yaml in a message by options: data.max_images -> --max-images."""
    for pattern, option in _AS_OPTIONS:
        message = pattern.sub(option, message)
    return message


@contextmanager
def options_in_errors() -> Iterator[None]:
    """Raise mistakes of the user in the block with the names of options."""
    try:
        yield
    except InputError as error:
        raise InputError(in_options(str(error))) from error
