"""Settings of the machine."""

import platform
import subprocess
import sys

import pytest

from iic.core.machine import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_used_again_without_new_pages():
    """Arrays of 64 MB, which a process would otherwise map anew each time."""
    code = (
        "import numpy as np, resource\n"
        "from iic.core.machine import keep_freed_memory\n"
        "{}\n"
        "np.ones(8_000_000)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(10): np.ones(8_000_000)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    faults = []
    for first in ("", "assert keep_freed_memory()"):
        command = [sys.executable, "-c", code.format(first)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        faults.append(int(done.stdout))
    assert faults[1] < faults[0] / 10


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
