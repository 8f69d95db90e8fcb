"""Names and numbers that several sub-packages share and that no setting changes."""

from enum import StrEnum

# Height and width of the images of the published data sets, in pixels; the default of other images.
# Settings in pixels are relative to this size.
IMAGE_SIZE = 28
# Target cluster of a training image that is not taught any.
UNTAUGHT = -1
# Value of `student.margin`, below every margin, with which nothing is in doubt.
TEACH_ALL = -2.0


class Head(StrEnum):
    """The two heads of the network; their values are prefixes of columns and arrays."""

    CLUSTER = "cluster"
    OVERCLUSTER = "overcluster"

    @property
    def full_name(self) -> str:
        """The name of the head in text."""
        return {"cluster": "clustering head", "overcluster": "overclustering head"}[self]
