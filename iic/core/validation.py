"""One-line messages for validation errors of pydantic."""

import difflib
from collections.abc import Collection

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from iic.core.errors import reason_of, shorten, shown_key

# Errors that are listed; any others are only counted.
_MAX_LISTED = 20


def explain_all(error: ValidationError, source: str, known: Collection[str] = ()) -> str:
    """Describe all errors of a validation, one per line.

    Args:
        error: Error that a pydantic model raised.
        source: Name of the file, at the beginning of each line.
        known: All valid dotted keys, for suggestions.

    Returns:
        The lines, joined by line breaks.
    """
    found = error.errors()
    lines = [f"{source}: {_explain(details, known)}" for details in found[:_MAX_LISTED]]
    if len(found) > _MAX_LISTED:
        lines.append(f"{source}: {len(found) - _MAX_LISTED} more mistakes; is it the right file?")
    return "\n".join(lines)


def explain_first(error: ValidationError) -> str:
    """Describe the first error of a validation in one line."""
    return reason_of(_explain(error.errors()[0], ()))


def _explain(details: ErrorDetails, known: Collection[str]) -> str:
    """Name the key, the mistake and what is allowed."""
    key, value, kind = _key(details["loc"]), details["input"], details["type"]
    start = f"{key}: " if key else ""
    if kind == "extra_forbidden":
        return f"{key}: unknown key{_nearest(key, known)}"
    if kind == "missing":
        return f"{key}: missing{'; copy the line from the params.yaml in Git' if known else ''}"
    if kind == "value_error":
        # A validator of a whole section puts the key at the beginning of its message.
        return f"{key + '.' if key else ''}{details['msg'].removeprefix('Value error, ')}"
    if kind == "model_type":
        return f"{start}{shorten(value)} should be a section of keys and values"
    if kind == "literal_error":
        allowed = details["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        hint = _nearest(value, allowed)
        return f"{key}: unknown value {shorten(value)}{hint} (one of {', '.join(allowed)})"
    # For example "Input should be a valid integer" or "String should have at least 1 character".
    _, is_rule, rule = details["msg"].partition(" should ")
    if not is_rule:
        return f"{start}{details['msg']}"
    rule = rule.replace("a valid integer", "an integer").replace("a valid ", "a ")
    return f"{start}{shorten(value)} should {rule}"


def _key(location: tuple[int | str, ...]) -> str:
    """Format a location: ('augment', 'ops', 1) -> 'augment.ops[1]'."""
    # pydantic adds "[key]" to the location of an invalid key of a mapping.
    names = [part for part in location if part != "[key]"]
    parts = (f"[{name}]" if isinstance(name, int) else f".{shown_key(name)}" for name in names)
    return "".join(parts).removeprefix(".")


def _nearest(name: object, known: Collection[str]) -> str:
    matches = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
