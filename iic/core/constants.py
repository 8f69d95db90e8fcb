"""Names and numbers that several sub-packages share and that never change with a setting."""

from enum import StrEnum

# Height and width, in pixels, of the images that the network sees.
IMAGE_SIZE = 28
# The cluster of a training image that is not taught any.
UNTAUGHT = -1


class Head(StrEnum):
    """The two heads of the network; the values begin the names of columns and arrays."""

    CLUSTER = "cluster"
    OVERCLUSTER = "overcluster"

    @property
    def full_name(self) -> str:
        """The head's name in text."""
        return f"{self}ing head"
