"""Invariant Information Clustering: learn to sort images into clusters without labels.

`from iic import IIC` is the estimator. It is imported at its first use, so that importing `iic` and
its other modules stays fast.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iic.estimator.estimator import IIC

__all__ = ["IIC"]


def __getattr__(name: str) -> object:
    """Import the estimator at its first use."""
    if name != "IIC":
        raise AttributeError(f"module 'iic' has no attribute {name!r}")
    from iic.estimator.estimator import IIC

    return IIC


def __dir__() -> list[str]:
    """Return the public names."""
    return [*globals(), *__all__]
