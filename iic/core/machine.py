"""What the processor is and can do, by which libraries choose their code."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PROCESSORS = Path("/proc/cpuinfo")


def usable_cores() -> int:
    """Cores that this process may use; a container or `taskset` may leave it fewer than all."""
    # macOS cannot say.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_model() -> str:
    """As Linux names it; of elsewhere the family alone."""
    return _described().get("model name", platform.machine())


def instructions() -> set[str]:
    """What the processor can do, as Linux names it; nothing is known elsewhere."""
    return set(_described().get("flags", "").split())


def _described() -> dict[str, str]:
    if not _PROCESSORS.exists():
        return {}
    lines: dict[str, str] = {}
    for line in _PROCESSORS.read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        lines[key.strip()] = value.strip()
    return lines


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
