import pytest

from iic.core.machine import usable_memory


@pytest.mark.parametrize("limit", ["max\n", "123456\n", f"{1 << 60}\n", None])
def test_memory_is_that_of_the_machine_or_of_a_smaller_container(tmp_path, monkeypatch, limit):
    file = tmp_path / "memory.max"
    if limit:
        file.write_text(limit)
    monkeypatch.setattr("iic.core.machine._LIMIT", file)
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.__getitem__)
    assert usable_memory() == (123456 if limit == "123456\n" else 4_096_000)
