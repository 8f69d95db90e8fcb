"""The sort order of class names."""


def natural_order(name: str) -> tuple[int, int, str]:
    """Return a sort key for a class name: numbers come first, by value, then other names."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)
