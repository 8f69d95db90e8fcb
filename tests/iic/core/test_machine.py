"""Settings of the machine."""

import platform
import subprocess
import sys

import pytest

from iic.core.machine import freed_memory_kept, usable_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_used_again_only_within_the_block():
    """Arrays of 64 MB, which a process would otherwise map anew each time."""
    code = (
        "import numpy as np, resource\n"
        "from iic.core.machine import freed_memory_kept\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(10): np.ones(8_000_000)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "def pages(): return int(open('/proc/self/statm').read().split()[1])\n"
        "before = pages()\n"
        "with freed_memory_kept() as kept:\n"
        "    np.ones(8_000_000)\n"
        "    within, held = faults(), pages()\n"
        "print(kept, within, faults(), held - before, pages() - before)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kept, *numbers = done.stdout.split()
    assert kept == "True"
    faults_within, faults_after, pages_within, pages_after = map(int, numbers)
    assert faults_within < faults_after / 10
    assert pages_after < pages_within / 5


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with freed_memory_kept() as kept:
        assert not kept


@pytest.mark.parametrize("limit", ["max\n", "123456\n", f"{1 << 60}\n", None])
def test_memory_is_that_of_the_machine_or_of_a_smaller_container(tmp_path, monkeypatch, limit):
    file = tmp_path / "memory.max"
    if limit:
        file.write_text(limit)
    monkeypatch.setattr("iic.core.machine._LIMIT", file)
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.__getitem__)
    assert usable_memory() == (123456 if limit == "123456\n" else 4_096_000)
