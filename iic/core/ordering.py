"""The order of class names."""


def natural_order(name: str) -> tuple[int, int, str]:
    """Key that sorts names of classes: numbers by their value, then other names."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)
