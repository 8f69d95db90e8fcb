"""Machines of a cluster: network namespaces with addresses of their own, joined by a bridge.

They share this machine's processor and file system, and nothing of its network. Only root may make
them, and `ip` is in Debian's iproute2.
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import environment

PORT = 6379
RAY = str(Path(sys.executable).with_name("ray"))
# Who does not know the token can neither join the cluster nor use it.
RAY_ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def missing() -> str | None:
    """What has to be there first, or None."""
    if not Path(RAY).exists():
        return "needs Ray: `make setup EXTRAS=cluster`"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "needs root and `ip` (apt-get install iproute2) for network namespaces"
    return None


class Machine:
    """A network namespace.

    Attributes:
        address: of it on the network.
        folder: for logs and scratch files.
    """

    def __init__(self, name: str, address: str, folder: Path):
        self.name, self.address, self.folder = name, address, folder
        folder.mkdir()

    def start(self, *command: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a command on the machine; what it prints is appended to the machine's log."""
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                cwd=cwd or self.folder,
                env=environment() | RAY_ENVIRONMENT | {"TMPDIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_ray(self, *options: str) -> None:
        """Start Ray here, as part of a cluster."""
        self.start(
            RAY, "start", "--block", "--disable-usage-stats", "--node-ip-address", self.address,
            "--object-store-memory", "100000000", "--memory", "4000000000",
            "--temp-dir", str(self.folder / "ray"), *options,
        )  # fmt: skip

    def members(self) -> int:
        """How many machines the cluster has whose head this is, itself included."""
        address = f"{self.address}:{PORT}"
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, RAY, "status", "--address", address],
            env=environment() | RAY_ENVIRONMENT,
            capture_output=True,
            text=True,
        )
        return len(re.findall(r"^ 1 node_", done.stdout, re.MULTILINE))

    def processes(self) -> list[int]:
        """Of all that runs on the machine."""
        command = ["ip", "netns", "pids", self.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [int(word) for word in done.stdout.split()]

    def commands(self) -> list[str]:
        """Command lines of all that runs on the machine."""
        lines = []
        for process in self.processes():
            try:
                content = Path(f"/proc/{process}/cmdline").read_bytes()
            except OSError:
                continue  # Has just ended.
            lines.append(content.replace(b"\0", b" ").decode(errors="replace"))
        return lines

    def kill(self) -> None:
        """End all that runs on the machine at once, as if its power had gone."""
        while processes := self.processes():
            for process in processes:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.3)


@contextmanager
def network(names: list[str], folder: Path) -> Iterator[list[Machine]]:
    """Machines on one network, which can reach each other and nothing else."""
    tag = f"iic{os.getpid() % 10000}"
    switch = f"{tag}-switch"
    machines = [
        Machine(f"{tag}-{name}", f"10.77.0.{number}", folder / name)
        for number, name in enumerate(names, 1)
    ]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for number, machine in enumerate(machines):
            _ip("netns", "add", machine.name)
            end = f"port{number}"
            _ip("link", "add", end, "netns", switch, "type", "veth",
                "peer", "name", "eth0", "netns", machine.name)  # fmt: skip
            _ip("-n", switch, "link", "set", end, "master", "bridge", "up")
            _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", machine.name, "link", "set", device, "up")
        yield machines
    finally:
        for machine in machines:
            if Path(f"/run/netns/{machine.name}").exists():
                machine.kill()
                _ip("netns", "delete", machine.name)
        if Path(f"/run/netns/{switch}").exists():
            _ip("netns", "delete", switch)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
