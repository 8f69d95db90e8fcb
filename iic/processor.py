"""What the processor is and can do, by which libraries choose their code."""

import os
import platform
from pathlib import Path

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
