"""Facts about the machine and its processor, by which libraries choose their code."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PROCESSORS = Path("/proc/cpuinfo")
# Options of glibc's mallopt, and their usual values.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_USUAL_TRIM_THRESHOLD, _USUAL_MMAP_MAX = 1 << 17, 1 << 16
# Limit of a container, in bytes or "max".
_LIMIT = Path("/sys/fs/cgroup/memory.max")
# Instruction sets that change which code libraries choose.
_WIDE = {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}
# Instruction sets that multiply bfloat16; without them, it is slower than float32.
_BFLOAT16 = {"avx512_bf16", "amx_bf16"}


def usable_cores() -> int:
    """Return the number of cores that this process may use, which `taskset` can restrict."""
    # macOS has no such function.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_memory() -> int:
    """Return the bytes of memory that this process may use, which a container can restrict."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _LIMIT.read_text("utf-8").strip() if _LIMIT.exists() else ""
    return min(physical, int(limit)) if limit.isdecimal() else physical


def processor_model() -> str:
    """Return the processor's name on Linux, and only its family on other systems."""
    return _cpuinfo().get("model name", platform.machine())


def instructions() -> set[str]:
    """Return the processor's instruction sets as Linux names them; empty on other systems."""
    return set(_cpuinfo().get("flags", "").split())


def has_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 numbers; False on systems but Linux."""
    return bool(instructions() & _BFLOAT16)


def _cpuinfo() -> dict[str, str]:
    if not _PROCESSORS.exists():
        return {}
    lines: dict[str, str] = {}
    for line in _PROCESSORS.read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        lines[key.strip()] = value.strip()
    return lines


@contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """Keep freed memory for later allocations in the block, instead of returning it to the system.

    TensorFlow frees its large arrays in each step. Without this setting, the GNU C library returns
    them, and the system has to clear their pages again for the next step. After the block, the
    memory is returned, and the library's usual settings apply.

    Yields:
        Whether the setting was made; other C libraries have none.
    """
    library = ctypes.CDLL(None)
    if platform.libc_ver()[0] != "glibc" or not hasattr(library, "mallopt"):
        yield False
        return
    # No array gets a mapping of its own, and the heap does not shrink.
    kept = library.mallopt(_M_MMAP_MAX, 0) and library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield bool(kept)
    finally:
        library.mallopt(_M_MMAP_MAX, _USUAL_MMAP_MAX)
        library.mallopt(_M_TRIM_THRESHOLD, _USUAL_TRIM_THRESHOLD)
        library.malloc_trim(0)


def machine() -> dict[str, Any]:
    """Describe the machine and the versions behind a measurement, without host name or date."""
    packages = ("tensorflow", "keras", "numpy", "scikit-learn")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def _processor() -> str:
    """Name the processor and the instruction sets that matter for bfloat16."""
    model = processor_model()
    wide = ", ".join(sorted(instructions() & _WIDE))
    return f"{model} ({wide})" if wide else model
