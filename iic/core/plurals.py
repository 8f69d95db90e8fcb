"""Numbers with nouns."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Format a number with its noun, such as "1 image" or "1,000 images".

    Args:
        number: Number of things.
        noun: Singular of the noun.
        plural: Plural of the noun; None = singular with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
