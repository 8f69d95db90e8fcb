"""Small pieces of text for messages."""


def counted(n: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is one: "2 images"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
