"""Connecting to a cluster: wrong addresses, a busy head, and the reasons that are given."""

import pytest

from iic.core.errors import InputError
from iic.experiments.sweep import cluster


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.0.0.1", "expected HOST:PORT"),
        ("127.0.0.1:x", "expected HOST:PORT"),
        ("ray://127.0.0.1:1", r"no answer \(Connection refused\); `ray start --head`"),
        ("127.0.0.1:1", "no answer"),
    ],
)
def test_address_without_a_cluster_is_named(monkeypatch, address, message):
    monkeypatch.setattr(cluster, "check_ray_installed", lambda: None)
    with (
        pytest.raises(InputError, match=f"^--cluster {address}: {message}"),
        cluster.connected(address),
    ):
        pass


class BusyRay:
    """Ray whose head fails to start a server for the first clients."""

    TRACE = "Initialization failure from server:\nTraceback (most recent call last):\n  File x\n"

    def __init__(self, failures: int, error: type[Exception] = ConnectionAbortedError):
        self.failures, self.error, self.addresses = failures, error, []

    def init(self, address: str, **options: object) -> None:
        self.addresses.append(address)
        if len(self.addresses) <= self.failures:
            raise self.error(f"{self.TRACE}RuntimeError: Proxy failed to connect to backend!\n")


def test_head_that_is_busy_is_asked_again_but_not_without_end():
    busy = BusyRay(2)
    cluster._connect(busy, "ray://head:1", {})
    assert busy.addresses == ["ray://head:1"] * 3
    busy = BusyRay(3)
    with pytest.raises(ConnectionAbortedError) as caught:
        cluster._connect(busy, "ray://head:1", {})
    assert len(busy.addresses) == 3
    assert cluster._reason(caught.value) == (
        "Initialization failure from server: RuntimeError: Proxy failed to connect to backend!"
    )


def test_other_faults_of_a_connection_are_not_tried_again():
    wrong = BusyRay(1, RuntimeError)
    with pytest.raises(RuntimeError):
        cluster._connect(wrong, "ray://head:1", {})
    assert len(wrong.addresses) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ConnectionError"),
        ("no answer.", "no answer"),
        ("The actor died.\n\tclass_name: Board\n", "The actor died"),
        ("Version mismatch:", "Version mismatch:"),
    ],
)
def test_reason_of_a_fault_is_one_line(text, reason):
    assert cluster._reason(ConnectionError(text)) == reason
