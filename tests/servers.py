"""Real servers for DVC remotes on the loopback address, each with its own folder, key and user.

OpenSSH (SFTP only), Apache (WebDAV) and OpenStack Swift with its S3 gateway come from Debian
packages, which each class names. Clients connect through a `Fuse`, which can kill the server in the
middle of a transfer.
"""

import base64
import getpass
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

HOST = "127.0.0.1"
USER = "reader"
# Most servers are in /usr/sbin, which is usually not on the PATH of an ordinary user.
SEARCHED = f"{os.environ['PATH']}:/usr/sbin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Fuse:
    """Proxy in front of a server that calls `blow` once a limit of transferred bytes is exceeded.

    Attributes:
        limit: Direction, "push" or "pull", and the number of bytes allowed in it; None = no limit.
        has_blown: Whether the limit was exceeded.
        port: Port on which the proxy listens.
    """

    def __init__(self, target: int, blow: Callable[[], None]):
        self.limit: tuple[str, int] | None = None
        self.has_blown = False
        self._target, self._blow = target, blow
        self._lock = threading.Lock()
        self._passed = Counter[str]()
        self._listener = socket.create_server((HOST, 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, direction: str, size: int) -> None:
        """Set the limit to `size` further bytes in a direction, "push" or "pull"."""
        with self._lock:
            self._passed.clear()
            self.has_blown, self.limit = False, (direction, size)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            try:
                server = socket.create_connection((HOST, self._target))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for direction, source, sink in (("push", client, server), ("pull", server, client)):
                arguments = (direction, source, sink)
                threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _pass_on(self, direction: str, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(4096):
                if self._blows(direction, len(data)):
                    break
                sink.sendall(data)
        except OSError:
            pass  # The other side has closed the connection.
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _blows(self, direction: str, size: int) -> bool:
        with self._lock:
            self._passed[direction] += size
            if self.limit is None or self._passed[self.limit[0]] <= self.limit[1]:
                return False
            self.limit, self.has_blown = None, True
            self._blow()
            return True


class Server(ABC):
    """One kind of DVC remote and its server programs.

    Attributes:
        url: URL of the remote.
        options: Options of the remote that may be committed.
        secrets: Options that belong in `.dvc/config.local`.
        fuse: Proxy that clients connect to.
        port: Port on which the server listens, if it has one.
    """

    programs: tuple[str, ...] = ()
    package = ""

    def __init__(self, folder: Path):
        self.folder = folder
        self.password = secrets.token_hex(16)
        self.store = folder / "store"
        self.store.mkdir()
        self.port = free_port()
        self.fuse = Fuse(self.port, self.kill)
        self.url = ""
        self.options: Mapping[str, str] = {}
        self.secrets: Mapping[str, str] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    def missing(cls) -> str | None:
        """Return what must be installed first, or None."""
        lacks = [name for name in cls.programs if shutil.which(name, path=SEARCHED) is None]
        return f"needs {', '.join(lacks)}: apt-get install {cls.package}" if lacks else None

    @abstractmethod
    def commands(self) -> list[list[str]]:
        """Return the programs to start; the last one listens on the port."""

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._processes = [
                subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
                for command in self.commands()
            ]
        if self._processes:
            self._wait_until_it_listens()

    def kill(self) -> None:
        """Kill the server and its child processes, like a failure of its machine."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes = []

    def make(self, place: str) -> Path:
        """Make a folder below the remote's URL; S3 needs none."""
        folder = self.store / place
        folder.mkdir(exist_ok=True)
        return folder

    def objects(self, place: str) -> dict[str, bytes]:
        """Return the content of all files in a folder below the remote's URL, by relative path."""
        top = self.store / place
        return {
            str(path.relative_to(top)): path.read_bytes()
            for path in top.rglob("*")
            if path.is_file()
        }

    def _wait_until_it_listens(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > end or any(p.poll() is not None for p in self._processes):
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.1)


class LocalFolder(Server):
    def __init__(self, folder: Path):
        super().__init__(folder)
        self.url = str(self.store)

    def commands(self) -> list[list[str]]:
        return []


class Ssh(Server):
    """OpenSSH with one account that may only use SFTP, and a key for it."""

    programs, package = ("sshd", "ssh-keygen"), "openssh-server"

    def __init__(self, folder: Path):
        super().__init__(folder)
        for name in ("host_key", "key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress {HOST}\nHostKey {folder / 'host_key'}\n"
            f"AuthorizedKeysFile {folder / 'key.pub'}\nPidFile {folder / 'pid'}\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
            "PermitRootLogin prohibit-password\nStrictModes no\nMaxStartups 100\n"
            "Subsystem sftp internal-sftp\nForceCommand internal-sftp\nAllowTcpForwarding no\n"
        )
        self.url = f"ssh://{getpass.getuser()}@{HOST}:{self.fuse.port}{self.store}"
        self.secrets = {"keyfile": str(folder / "key")}

    def commands(self) -> list[list[str]]:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd's folder for privilege separation
        program = shutil.which("sshd", path=SEARCHED) or "sshd"
        return [[program, "-D", "-e", "-f", str(self.folder / "sshd_config")]]


def write_apache(folder: Path, port: int, modules: Sequence[str], settings: str) -> None:
    """Write the configuration of an Apache server; its workers run as `www-data`."""
    loaded = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in ("mpm_event", "authz_core", *modules)
    )
    (folder / "apache.conf").write_text(
        f"{loaded}ServerName {HOST}\nListen {HOST}:{port}\nPidFile {folder / 'apache.pid'}\n"
        f"ErrorLog {folder / 'apache.log'}\nUser www-data\nGroup www-data\n{settings}"
    )


def apache(folder: Path) -> list[str]:
    program = shutil.which("apache2", path=SEARCHED) or "apache2"
    return [program, "-DFOREGROUND", "-d", str(folder), "-f", str(folder / "apache.conf")]


class WebDav(Server):
    """Apache with one user."""

    programs, package = ("apache2",), "apache2"
    _modules = ("alias", "authn_core", "authn_file", "authz_user", "auth_basic", "dav", "dav_fs")

    def __init__(self, folder: Path):
        super().__init__(folder)
        digest = base64.b64encode(hashlib.sha1(self.password.encode()).digest()).decode()  # noqa: S324 - Apache's format
        (folder / "users").write_text(f"{USER}:{{SHA}}{digest}\n")
        if os.geteuid() == 0:
            # Apache's workers run as this user, who needs access to the store.
            for path in (folder, self.store):
                shutil.chown(path, "www-data")
        write_apache(
            folder,
            self.port,
            self._modules,
            f"DavLockDB {folder / 'locks'}\nAlias /models {self.store}\n<Directory {self.store}>\n"
            f"DAV On\nAuthType Basic\nAuthName models\nAuthUserFile {folder / 'users'}\n"
            "Require valid-user\n</Directory>\n",
        )
        self.url = f"webdav://{USER}@{HOST}:{self.fuse.port}/models"
        self.secrets = {"password": self.password}

    def commands(self) -> list[list[str]]:
        return [apache(self.folder)]

    def make(self, place: str) -> Path:
        folder = super().make(place)
        if os.geteuid() == 0:
            shutil.chown(folder, "www-data")
        return folder


class S3(Server):
    """OpenStack Swift: four servers and a cache, with one bucket, behind Apache.

    Swift's own listener ends the response to a HEAD request with an empty chunk, which clients do
    not expect.
    """

    programs = ("swift-proxy-server", "swift-account-server", "swift-container-server",
                "swift-object-server", "swift-ring-builder", "memcached", "apache2")  # fmt: skip
    package = "swift-proxy swift-account swift-container swift-object memcached apache2"
    bucket = "models"
    _stores = ("account", "container", "object")
    # Program that starts Swift with our configuration file and logs to the console, not to syslog.
    _start = (
        "import sys\nfrom swift.common import utils\nutils.SWIFT_CONF_FILE = sys.argv[1]\n"
        "from swift.common.wsgi import run_wsgi\n"
        "sys.exit(run_wsgi(sys.argv[3], sys.argv[2] + '-server', verbose=True))\n"
    )
    _filters = (
        "catch_errors", "gatekeeper", "cache", "listing_formats", "s3api", "tempauth", "copy",
        "bulk", "slo", "dlo", "versioned_writes",
    )  # fmt: skip

    def __init__(self, folder: Path):
        super().__init__(folder)
        self._cache_port = free_port()
        (folder / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n"
            "[storage-policy:0]\nname = only\ndefault = yes\n"
        )
        (self.store / "disk").mkdir()
        for name in self._stores:
            self._write_store(name, free_port())
        gateway = free_port()
        self._write_gateway(gateway)
        write_apache(
            folder,
            self.port,
            ("proxy", "proxy_http"),
            "ProxyPreserveHost On\nAllowEncodedSlashes NoDecode\n"
            f"ProxyPass / http://{HOST}:{gateway}/ nocanon disablereuse=On\n",
        )
        self.url = f"s3://{self.bucket}"
        self.options = {"endpointurl": f"http://{HOST}:{self.fuse.port}", "region": "us-east-1"}
        self.secrets = {"access_key_id": f"test:{USER}", "secret_access_key": self.password}

    def _write_store(self, name: str, port: int) -> None:
        builder = str(self.folder / f"{name}.builder")
        for words in (
            ["create", "4", "1", "1"], ["add", f"r1z1-{HOST}:{port}/disk", "1"], ["rebalance"],
        ):  # fmt: skip
            command = ["swift-ring-builder", builder, *words]
            subprocess.run(command, check=True, capture_output=True)
        (self.folder / f"{name}.conf").write_text(
            self._common(port) + f"devices = {self.store}\nmount_check = false\n"
            f"[pipeline:main]\npipeline = {name}-server\n"
            f"[app:{name}-server]\nuse = egg:swift#{name}\n"
        )

    def _write_gateway(self, port: int) -> None:
        settings = {
            "cache": f"memcache_servers = {HOST}:{self._cache_port}\n",
            "tempauth": f"user_test_{USER} = {self.password} .admin\n",
            "versioned_writes": "allow_versioned_writes = true\n",
        }
        filters = "".join(
            f"[filter:{name}]\nuse = egg:swift#{'memcache' if name == 'cache' else name}\n"
            + settings.get(name, "")
            for name in self._filters
        )
        (self.folder / "proxy.conf").write_text(
            self._common(port)
            + f"[pipeline:main]\npipeline = {' '.join(self._filters)} proxy-server\n"
            "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n" + filters
        )

    def _common(self, port: int) -> str:
        return (
            f"[DEFAULT]\nswift_dir = {self.folder}\nbind_ip = {HOST}\nbind_port = {port}\n"
            f"workers = 0\nuser = {getpass.getuser()}\nlog_level = ERROR\n"
        )

    def commands(self) -> list[list[str]]:
        cache = ["memcached", "-l", HOST, "-p", str(self._cache_port), "-U", "0"]
        if os.geteuid() == 0:
            cache += ["-u", "root"]
        # Debian's Python, for which the packages install Swift.
        start = ["/usr/bin/python3", "-c", self._start, str(self.folder / "swift.conf")]
        servers = [[*start, name, str(self.folder / f"{name}.conf")] for name in self._stores]
        gateway = [*start, "proxy", str(self.folder / "proxy.conf")]
        return [cache, *servers, gateway, apache(self.folder)]

    def start(self) -> None:
        super().start()
        client = self.client()
        for attempt in range(50):
            try:
                client.create_bucket(Bucket=self.bucket)
                return
            except client.exceptions.BucketAlreadyOwnedByYou:
                return
            except client.exceptions.ClientError:
                # The servers behind the gateway may not have started yet.
                time.sleep(0.2 * (attempt < 49))
        raise RuntimeError((self.folder / "log").read_text())

    def objects(self, place: str) -> dict[str, bytes]:
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{place}/"
        )
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {
            key.removeprefix(f"{place}/"): client.get_object(Bucket=self.bucket, Key=key)[
                "Body"
            ].read()
            for key in keys
        }

    def client(self):
        import botocore.session
        from botocore.config import Config

        return botocore.session.get_session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.options["endpointurl"],
            aws_access_key_id=self.secrets["access_key_id"],
            aws_secret_access_key=self.secrets["secret_access_key"],
            config=Config(retries={"max_attempts": 0}),
        )


KINDS: dict[str, type[Server]] = {"folder": LocalFolder, "ssh": Ssh, "webdav": WebDav, "s3": S3}


@contextmanager
def running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()
