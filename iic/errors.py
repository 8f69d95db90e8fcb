"""The one exception that a user of the project can cause, shown as a line without a traceback."""


class InputError(Exception):
    """A parameter, file or source is unusable; the message names it and the remedy."""
