"""Invariant Information Clustering: learn to sort images into clusters without labels.

`IIC` is the estimator, and `load_images` reads folders of images for it. Both are imported
at their first use, so that importing `iic` and its other modules stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iic.estimator.estimator import IIC
    from iic.estimator.load import load_images

__all__ = ["IIC", "load_images"]

_MODULES = {"IIC": "iic.estimator.estimator", "load_images": "iic.estimator.load"}


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module 'iic' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return [*globals(), *__all__]
