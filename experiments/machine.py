"""What figures depend on: the processor and the versions, without a name or a date."""

import os
import platform
from importlib.metadata import version
from typing import Any

from iic.processor import instructions, processor_model

# Instructions that libraries have other code for.
_WIDE = {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}


def machine() -> dict[str, Any]:
    """Where the figures come from; no name of the machine and no date."""
    packages = ("tensorflow", "keras", "numpy", "scikit-learn")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def _processor() -> str:
    """Its model as Linux names it, and the instructions that bfloat16 depends on."""
    model = processor_model()
    wide = ", ".join(sorted(instructions() & _WIDE))
    return f"{model} ({wide})" if wide else model
