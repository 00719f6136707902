"""Downloads from a server that fails in many ways, mirrors, and the errors that the user sees."""

import gzip
import hashlib
import logging
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import create_autospec

import pooch
import pytest

from alterrec.errors import UserError
from alterrec.readers import downloads
from alterrec.readers.downloads import Download, fetch

BODY = bytes(range(256)) * 2000
OTHER = BODY[::-1]
HALF = len(BODY) // 2
FILE = "set/a file.zip"
OK, CUT, STALL, PAGE, PACKED, SLOW = (
    "ok",
    "cut",
    "stall",
    "page",
    "packed",
    "slow",
)  # what the server does with a request


def sha256(body):
    return hashlib.sha256(body).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        site = self.server
        site.asked.append(self.headers.get("Range"))
        site.seen.append((self.path, self.headers))
        act = site.acts.pop(0) if site.acts else site.then
        if isinstance(act, int):
            self.send_error(act)
            return
        if act == SLOW:
            site.released.wait(1)
        start = self.start_of_range()
        site.starts.append(start)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(site.body) - 1}/{len(site.body)}")
        for name, value in site.headers.items():
            self.send_header(name, value)
        if act == PAGE:
            self.send_header("Content-Type", "text/html; charset=utf-8")
        if act == PACKED:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(site.body) - start))
        self.end_headers()
        self.send(site.body[start:], act)

    def start_of_range(self):
        site, asked = self.server, self.headers.get("Range")
        version = site.headers.get("ETag")
        same = self.headers.get("If-Range", version) == version or not site.respects_if_range
        return int(asked.removeprefix("bytes=").removesuffix("-")) if asked and site.ranges and same else 0

    def send(self, body, act):
        self.wfile.write(body[:HALF] if act in (CUT, STALL) else body)
        self.wfile.flush()
        if act == STALL:
            self.server.released.wait(5)
        self.close_connection = act in (CUT, STALL)

    def log_message(self, *_):
        pass


@pytest.fixture
def site(monkeypatch, tmp_path):
    """A server on loopback. `acts` lists what it does with the next requests, `then` what it does after them."""
    monkeypatch.setattr(downloads, "WAITS", (0, 0, 0))
    monkeypatch.setenv(downloads.CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv(downloads.MIRROR, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.body, server.headers, server.ranges, server.respects_if_range = BODY, {"ETag": '"one"'}, True, True
    server.asked, server.seen, server.starts, server.acts, server.then = [], [], [], [], OK
    server.released = threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}/a.zip"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def short_timeout(monkeypatch):
    """Only for servers that stall: with it, a busy machine can make any request time out and be sent again."""
    monkeypatch.setattr(downloads, "TIMEOUT", 2)


@pytest.fixture
def nowhere():
    """An address at which no server listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/a.zip"


@pytest.fixture
def cached(tmp_path):
    return tmp_path / "cache" / FILE


def download_of(site, **settings):
    return Download(**{"path": FILE, "url": site.url, "by_hand": "accept the terms"} | settings)


def load_error(download):
    with pytest.raises(UserError) as caught:
        fetch(download)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# From an address


def test_a_file_is_downloaded_once_and_then_read_from_the_cache(site, cached):
    assert fetch(download_of(site)) == cached
    assert cached.read_bytes() == BODY
    site.then = 500
    assert fetch(download_of(site)) == cached
    assert site.asked == [None]
    assert {path.name for path in cached.parent.iterdir()} - {f"{cached.name}.lock"} == {
        cached.name,
        f"{cached.name}.sha256",
    }


@pytest.mark.parametrize("passing", [500, 503, 429])
def test_a_temporary_error_is_tried_again(site, passing):
    site.acts = [passing, passing]
    assert fetch(download_of(site)).read_bytes() == BODY
    assert len(site.asked) == 3


@pytest.mark.parametrize(("status", "attempts"), [(403, 1), (404, 1), (500, 4)])
def test_the_error_names_address_reason_and_remedy(site, cached, status, attempts):
    site.then = status
    message = load_error(download_of(site))
    for part in (
        FILE,
        f"{site.url} (HTTP {status} ",
        "accept the terms; put it at",
        str(cached),
        "`mirror:`",
    ):
        assert part in message
    assert len(site.asked) == attempts
    assert not cached.exists()


def test_an_interrupted_download_resumes(site):
    site.acts = [CUT]
    assert fetch(download_of(site)).read_bytes() == BODY
    assert site.asked == [None, f"bytes={HALF}-"]
    assert site.starts == [0, HALF]


@pytest.mark.parametrize("ranges", [True, False])
def test_without_ranges_or_versions_a_download_restarts(site, ranges):
    site.acts, site.ranges, site.headers = [CUT], ranges, {} if ranges else {"ETag": '"one"'}
    assert fetch(download_of(site)).read_bytes() == BODY
    assert site.asked == [None, None if ranges else f"bytes={HALF}-"]


def test_a_partial_file_is_kept_for_the_next_call(site, cached):
    site.acts = [CUT, 404]
    assert "HTTP 404" in load_error(download_of(site))
    assert not cached.exists()
    assert fetch(download_of(site)).read_bytes() == BODY
    assert site.asked == [None, f"bytes={HALF}-", f"bytes={HALF}-"]


@pytest.mark.parametrize("respects_if_range", [True, False])
def test_parts_of_two_versions_are_never_joined(site, respects_if_range):
    site.acts, site.respects_if_range = [CUT, 404], respects_if_range
    load_error(download_of(site))
    site.body, site.headers = OTHER, {"ETag": '"two"'}
    assert fetch(download_of(site)).read_bytes() == OTHER
    assert len(site.asked) == (3 if respects_if_range else 4)


def test_a_partial_file_that_is_already_complete_is_handled(site, cached):
    cached.parent.mkdir(parents=True)
    cached.with_name(f"{cached.name}.part").write_bytes(BODY)
    cached.with_name(f"{cached.name}.part.tag").write_text('"one"')
    site.acts = [416]
    assert fetch(download_of(site)).read_bytes() == BODY
    assert site.asked == [f"bytes={len(BODY)}-", None]


def test_a_body_that_is_always_too_short_is_an_error(site, cached):
    site.then, site.headers = CUT, {}
    assert "the connection was lost before the end" in load_error(download_of(site))
    assert len(site.asked) == 4
    assert not cached.exists()


def test_a_stalled_download_is_resumed(site, short_timeout):
    site.acts = [STALL]
    assert fetch(download_of(site)).read_bytes() == BODY
    assert int(site.asked[-1].removeprefix("bytes=").removesuffix("-")) > HALF // 2


def test_a_server_that_always_stalls_is_an_error(site, monkeypatch, short_timeout):
    monkeypatch.setattr(downloads, "WAITS", ())
    site.then = STALL
    assert f"{site.url} (no data for 2 s)" in load_error(download_of(site))


def test_no_network_is_an_error(site, nowhere):
    message = load_error(Download(FILE, nowhere))
    assert f"{nowhere} (no connection: is there a network?): try again later" in message


def test_a_web_page_instead_of_the_file_is_an_error(site, cached):
    site.then = PAGE
    assert "(the server sent a web page instead)" in load_error(download_of(site))
    assert not cached.exists()


def test_the_body_is_stored_without_decoding(site):
    site.body, site.then = gzip.compress(BODY), PACKED
    assert fetch(download_of(site)).read_bytes() == site.body
    assert site.seen[0][1]["Accept-Encoding"] == "identity"


def test_the_error_for_a_file_without_address_says_how_to_get_it(site, cached):
    message = load_error(download_of(site, url=None))
    assert f"accept the terms; put it at {cached}" in message
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_bytes(BODY)
    assert fetch(download_of(site, url=None)) == cached


def test_a_cache_that_cannot_be_written_is_an_error(site, cached):
    cached.parent.parent.write_text("a file where the folder should be")
    assert "cannot be written" in load_error(download_of(site))


def test_two_processes_download_a_file_once(site, cached):
    site.then = SLOW
    code = "import sys; from alterrec.readers.downloads import Download, fetch; print(fetch(Download(*sys.argv[1:])))"
    command = [sys.executable, "-c", code, FILE, site.url]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in both] == [f"{cached}\n"] * 2
    assert cached.read_bytes() == BODY
    assert len(site.asked) == 1


def test_importing_the_module_imports_no_downloader():
    code = "import sys, alterrec.readers.downloads; print({'pooch', 'requests', 'gdown', 'filelock'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# Checksums


def test_a_download_with_a_wrong_checksum_is_not_kept(site, cached):
    site.body = OTHER
    message = load_error(download_of(site, sha256=sha256(BODY)))
    assert sha256(BODY) in message
    assert sha256(OTHER) in message
    assert [path.name for path in cached.parent.iterdir() if path.suffix != ".lock"] == []
    site.body = BODY
    assert fetch(download_of(site, sha256=sha256(BODY))).read_bytes() == BODY


def test_a_cached_file_with_another_checksum_is_an_error(site, cached):
    cached.parent.mkdir(parents=True)
    cached.write_bytes(OTHER)
    message = load_error(download_of(site, sha256=sha256(BODY)))
    for part in (str(cached), sha256(OTHER), sha256(BODY), "delete it to download it again"):
        assert part in message
    assert "accept the other version" not in message
    assert site.asked == []


def test_the_checksum_of_the_first_download_is_stored_and_required(site, cached):
    record = cached.with_name(f"{cached.name}.sha256")
    fetch(download_of(site))
    assert record.read_text() == f"{sha256(BODY)}  {cached.name}\n"
    cached.write_bytes(OTHER)
    changed = load_error(download_of(site))
    cached.unlink()
    site.body = OTHER
    again = load_error(download_of(site))
    for message in (changed, again):
        for part in (sha256(BODY), sha256(OTHER), f"delete {record} to accept the other version"):
            assert part in message
    assert not cached.exists()
    record.unlink()
    assert fetch(download_of(site)).read_bytes() == OTHER


# Mirrors


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A read-only folder that serves as the mirror."""
    path = tmp_path / "the mirror" / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    monkeypatch.setenv(downloads.MIRROR, str(tmp_path / "the mirror"))
    path.parent.chmod(0o555)
    yield tmp_path / "the mirror"
    path.parent.chmod(0o755)


@pytest.mark.parametrize("as_address", [False, True])
def test_files_of_a_mirror_folder_are_used_without_a_copy(site, folder, cached, monkeypatch, as_address):
    if as_address:
        monkeypatch.setenv(downloads.MIRROR, folder.as_uri())
    assert fetch(download_of(site)) == folder / FILE
    assert sorted(path.name for path in (folder / FILE).parent.iterdir()) == ["a file.zip"]
    assert not cached.parent.exists()
    assert site.asked == []


def test_a_mirror_folder_without_the_file_is_an_error(site, folder):
    message = load_error(download_of(site, path="set/b.zip"))
    assert f"the mirror {folder} has no set/b.zip" in message
    assert site.asked == []


def test_a_file_with_another_checksum_in_a_mirror_folder_is_an_error(site, folder):
    message = load_error(download_of(site, sha256=sha256(OTHER)))
    for part in (str(folder / FILE), sha256(BODY), sha256(OTHER), "put the right file there"):
        assert part in message


def test_a_mirror_address_replaces_the_address_of_the_file(site, cached, nowhere, monkeypatch):
    monkeypatch.setenv(downloads.MIRROR, f"http://127.0.0.1:{site.server_port}/deep/")
    assert fetch(download_of(site, url=nowhere)) == cached
    assert [path for path, _ in site.seen] == ["/deep/set/a%20file.zip"]


def test_a_mirror_address_without_the_file_is_an_error(site, monkeypatch):
    mirror = f"http://127.0.0.1:{site.server_port}/deep"
    monkeypatch.setenv(downloads.MIRROR, mirror)
    site.then = 404
    message = load_error(download_of(site))
    assert f"{FILE} cannot be downloaded from {mirror}/set/a%20file.zip (HTTP 404 Not Found)" in message
    assert [path for path, _ in site.seen] == ["/deep/set/a%20file.zip"]


def test_credentials_are_sent_and_never_shown(site, monkeypatch, caplog, capfd):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(pooch.get_logger(), "disabled", False)
    monkeypatch.setattr(pooch.get_logger(), "handlers", [caplog.handler])
    monkeypatch.setenv(downloads.MIRROR, f"http://ann:secret@127.0.0.1:{site.server_port}/?token=secret")
    site.acts = [500, CUT, OK, *[500] * 4]
    fetch(download_of(site))
    path, headers = site.seen[0]
    assert path == "/set/a%20file.zip?token=secret"
    assert headers["Authorization"] == "Basic YW5uOnNlY3JldA=="
    failed = load_error(download_of(site, path="b.zip"))
    wrong = load_error(download_of(site, path="c.zip", sha256=sha256(OTHER)))
    shown = [failed, wrong, caplog.text, *capfd.readouterr()]
    assert f"127.0.0.1:{site.server_port}/b.zip?..." in failed
    assert "next attempt in 0 s" in caplog.text
    assert not any("secret" in text or "ann" in text.replace("cannot", "") for text in shown)


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("/no/such/folder", "there is no folder /no/such/folder"),
        ("ftp://ann:secret@host/x", "ftp://host/x: give a folder, or an address"),
        ("file://host/x", "file://host/x: give a folder, or an address"),
        ("http://ann:secret@[host/x", "the address is malformed"),
        ("http://ann:secret@host:port/x", "http://host:port/x/set/a%20file.zip (InvalidURL)"),
    ],
)
def test_an_invalid_mirror_is_an_error(site, monkeypatch, mirror, message):
    monkeypatch.setenv(downloads.MIRROR, mirror)
    monkeypatch.setattr(downloads.time, "sleep", lambda _: pytest.fail("it was tried again"))
    error = load_error(download_of(site))
    assert message in error
    assert "secret" not in error


# Google Drive


@pytest.fixture
def drive(monkeypatch):
    """A mock of gdown.download that has the real signature and needs no network."""
    import gdown

    fake = create_autospec(gdown.download)
    monkeypatch.setattr(gdown, "download", fake)
    return fake


def test_gdown_downloads_files_on_google_drive(site, cached, drive):
    def download(*, output, **_):
        with open(output, "wb") as file:
            file.write(BODY)

    drive.side_effect = download
    assert fetch(download_of(site, url="gdrive:abc", sha256=sha256(BODY))).read_bytes() == BODY
    called = drive.call_args.kwargs
    assert (called["id"], called["timeout"], called["resume"]) == ("abc", downloads.TIMEOUT, True)


def test_an_error_of_gdown_is_shown(site, cached, drive):
    from gdown.exceptions import FileURLRetrievalError

    drive.side_effect = FileURLRetrievalError("Too many users\n\n\thave viewed")
    message = load_error(download_of(site, url="gdrive:abc"))
    assert "cannot be downloaded from gdrive:abc (Too many users have viewed): accept the terms" in message
    assert os.listdir(cached.parent) in ([], [f"{cached.name}.lock"])
