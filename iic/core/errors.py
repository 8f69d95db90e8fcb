"""The exception for mistakes that a user can correct, and text for one-line messages."""

import re

# Largest number of characters shown of another error's message, and of a value.
_MAX_REASON = 300
_MAX_VALUE = 60
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.-]{0,60}", re.ASCII)


class InputError(Exception):
    """A parameter, file or source cannot be used; the message names it and the remedy."""


def printable(text: object) -> str:
    """Return a text, such as a path, with the characters escaped that could control a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


def reason_of(error: object) -> str:
    """Format another error's message as one line of at most 300 printable characters.

    Characters that could control a terminal are escaped.
    """
    shown = printable(" ".join(str(error).split()) or type(error).__name__)
    return shown if len(shown) <= _MAX_REASON else f"{shown[:_MAX_REASON]}…"


def shorten(value: object) -> str:
    """Format a value for a message: its `repr` on one line, of at most 60 characters."""
    text = repr(value)
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 3] + "..."


def shown_key(name: str) -> str:
    """Format a key for a message: a plain word as it is, anything else quoted and shortened."""
    return name if _PLAIN_KEY.fullmatch(name) else shorten(name)
