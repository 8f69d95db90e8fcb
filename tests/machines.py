"""Machines of a cluster: network namespaces with their own addresses, connected by a bridge.

They share the processor and the file system of this machine, but not its network. Creating them
needs root and `ip` from Debian's package iproute2.
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
# Only processes with the token can join or use the cluster.
RAY_ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def missing() -> str | None:
    """Return what must be installed or permitted first, or None."""
    if not Path(RAY).exists():
        return "needs Ray: `make setup EXTRAS=cluster`"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "needs root and `ip` (apt-get install iproute2) for network namespaces"
    return None


class Machine:
    """A network namespace that serves as a machine.

    Attributes:
        name: Name of the namespace.
        address: IPv4 address of the machine.
        folder: Folder for the log and for scratch files.
    """

    def __init__(self, name: str, address: str, folder: Path):
        self.name, self.address, self.folder = name, address, folder
        folder.mkdir()

    def start(self, *command: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a command on the machine; its output is appended to the machine's log."""
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
        """Start Ray on the machine, as a part of a cluster."""
        self.start(
            RAY, "start", "--block", "--disable-usage-stats", "--node-ip-address", self.address,
            "--object-store-memory", "100000000", "--memory", "4000000000",
            "--temp-dir", str(self.folder / "ray"), *options,
        )  # fmt: skip

    def members(self) -> int:
        """Return the number of machines of the cluster whose head this machine is."""
        address = f"{self.address}:{PORT}"
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, RAY, "status", "--address", address],
            env=environment() | RAY_ENVIRONMENT,
            capture_output=True,
            text=True,
        )
        return len(re.findall(r"^ 1 node_", done.stdout, re.MULTILINE))

    def processes(self) -> list[int]:
        """Return the ids of all processes on the machine."""
        command = ["ip", "netns", "pids", self.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [int(word) for word in done.stdout.split()]

    def commands(self) -> list[str]:
        """Return the command lines of all processes on the machine."""
        lines = []
        for process in self.processes():
            try:
                content = Path(f"/proc/{process}/cmdline").read_bytes()
            except OSError:
                continue  # The process has just ended.
            lines.append(content.replace(b"\0", b" ").decode(errors="replace"))
        return lines

    def kill(self) -> None:
        """Kill all processes on the machine, like a power failure."""
        while processes := self.processes():
            for process in processes:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Wait until a condition holds; raise a TimeoutError after a number of seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"condition not met within {seconds} s")
        time.sleep(0.3)


@contextmanager
def network(names: list[str], folder: Path) -> Iterator[list[Machine]]:
    """Create machines on one network, on which they reach only each other."""
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
