"""The exception for mistakes that a user can mend, and one-line texts of other errors."""

# Characters of another error's message that are shown.
_LONGEST = 300


class InputError(Exception):
    """A parameter, file or source is unusable; the message names it and the remedy."""


def reason_of(error: object) -> str:
    """What an error says, on one line; what could steer a terminal is shown, and much is cut."""
    line = " ".join(str(error).split()) or type(error).__name__
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
