# SPDX-License-Identifier: MIT
"""weir serve http and fs, asked by curl and by Python."""
import contextlib
import email
import email.policy
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time

import pytest

BUILD = os.environ.get("WEIR_BUILD", "build")


@contextlib.contextmanager
def serving(folder, *words):
    """A service on a Unix socket in FOLDER."""
    path = os.path.join(folder, "serve.sock")
    program = subprocess.Popen([f"{BUILD}/weir", "serve", *words, f"unix:{path}"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert program.stdout.readline() == f"serving on unix:{path}\n"
        yield path
        program.send_signal(signal.SIGTERM)
        program.errors = program.communicate(timeout=20)[1]
        assert program.returncode == 0, program.errors
    finally:
        program.kill()
        program.wait()


class Client(http.client.HTTPConnection):
    """Over a Unix socket; one connection for all requests unless the server closes it."""

    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path, self.connects = path, 0

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)
        self.connects += 1

    def ask(self, method, target, body=None, headers=None, **options):
        self.request(method, target, body, headers or {}, **options)
        answer = self.getresponse()
        return answer.status, answer.read(), answer


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("serve"), "http") as path:
        yield path


@pytest.fixture
def client(web):
    client = Client(web)
    yield client
    client.close()


def pattern(size):
    line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n"
    return (line * (size // 64 + 1))[:size]


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def test_request_is_described(client):
    status, body, _ = client.ask("POST", "/a%20b?c=d", b"hello", {"X-One": "1", "x-two": "2"})
    said = json.loads(body)
    assert status == 200
    assert (said["method"], said["path"], said["query"]) == ("POST", "/a%20b", "c=d")
    assert ["X-One", "1"] in said["headers"] and ["x-two", "2"] in said["headers"]
    assert (said["body_bytes"], said["body_fnv1a"]) == (5, fnv1a(b"hello"))
    assert said["version"] == "1.1" and said["authority"] == "localhost"


@pytest.mark.parametrize("size", (0, 1, 65536, 3_000_000))
def test_bytes_and_streams(client, size):
    for kind, announced in (("bytes", str(size)), ("stream", None)):
        status, body, answer = client.ask("GET", f"/{kind}/{size}")
        assert status == 200 and body == pattern(size)
        assert answer.headers["Content-Length"] == announced
    assert client.connects == 1


def test_upload_comes_back(client):
    sent = os.urandom(100_000)  # this client reads nothing before it has sent all
    assert client.ask("PUT", "/echo", sent)[1] == sent
    assert client.ask("PUT", "/echo", iter([sent[:100], sent[100:]]), encode_chunked=True)[1] == sent
    assert client.connects == 1


def test_statuses_and_redirects(client):
    for status in (200, 204, 304, 404, 503):
        assert client.ask("GET", f"/status/{status}")[0] == status
    assert client.ask("GET", "/status/99")[0] == 400
    assert client.ask("GET", "/redirect/2")[2].headers["Location"] == "/redirect/1"
    assert client.connects == 1


def test_drop_is_no_clean_end(client):
    for size in (10, 1_000_000):
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            client.ask("GET", f"/drop/{size}")
        client.close()


def test_events_come_one_by_one(client):
    client.request("GET", "/events/3")
    answer = client.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    began = time.monotonic()
    assert [answer.read1() for _ in range(3)] == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]
    assert time.monotonic() - began > 0.1
    assert answer.read() == b""


def curl(path, *words):
    done = subprocess.run(["curl", "-sS", "--unix-socket", path, *words], capture_output=True,
                          timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl_in_its_many_ways(web, tmp_path):
    sent = os.urandom(2_000_000)
    (tmp_path / "up").write_bytes(sent)
    up = str(tmp_path / "up")
    assert curl(web, "--data-binary", f"@{up}", "http://h/echo") == sent  # with Expect
    assert curl(web, "-H", "Transfer-Encoding: chunked", "-T", up, "http://h/echo") == sent
    assert curl(web, "-0", "http://h/stream/100000") == pattern(100000)
    assert curl(web, "-L", "-w", "%{num_redirects}", "-o", "/dev/null", "http://h/redirect/5") == b"5"
    assert curl(web, "-I", "http://h/bytes/7").lower().count(b"content-length: 7\r\n") == 1
    for method in ("DELETE", "OPTIONS", "PATCH", "TRACE", "PURGE"):
        assert json.loads(curl(web, "-X", method, "http://h/"))["method"] == method
    many = curl(web, *(f"http://h/bytes/{n}" for n in range(50)))
    assert many == b"".join(pattern(n) for n in range(50))


def test_refused_upload_gets_its_answer(web, tmp_path):
    up = tmp_path / "up"
    with open(up, "wb") as file:
        file.truncate(40_000_000)
    for words in ((), ("-H", "Expect:"), ("-H", "Expect:", "-H", "Transfer-Encoding: chunked")):
        assert curl(web, "-T", str(up), *words, "-w", "%{http_code}", "http://h/status/413").endswith(
            b"413"
        )


def check_parts(client, data, ranges):
    """Several ranges at once, read by somebody else's parser (RFC 9110 section 14.6)."""
    asked = ",".join(f"{first}-{last}" for first, last in ranges)
    status, body, answer = client.ask("GET", "/data.bin", headers={"Range": f"bytes={asked}"})
    assert status == 206 and int(answer.headers["Content-Length"]) == len(body)
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + body, policy=email.policy.HTTP).get_payload()
    boundary = answer.headers["Content-Type"].split("boundary=")[1].encode()
    plain = [part.split(b"\r\n\r\n", 1)[1][:-2] for part in body.split(b"--" + boundary)[1:-1]]
    assert [part["Content-Range"] for part in parts] == \
        [f"bytes {first}-{last}/{len(data)}" for first, last in ranges]
    assert plain == [data[first:last + 1] for first, last in ranges]


def test_files(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    data = os.urandom(3_000_000)
    (folder / "data.bin").write_bytes(data)
    (folder / "page.html").write_text("<p>page</p>")
    (tmp_path / "secret").write_text("no")
    with serving(tmp_path, "-v", "fs", str(folder)) as path:
        client = Client(path)
        status, body, answer = client.ask("GET", "/data.bin")
        assert status == 200 and hashlib.sha256(body).digest() == hashlib.sha256(data).digest()
        again = client.ask("GET", "/data.bin", headers={"If-None-Match": answer.headers["ETag"]})
        assert again[0] == 304
        part = client.ask("GET", "/data.bin", headers={"Range": "bytes=1000000-1999999"})
        assert part[0] == 206 and part[1] == data[1_000_000:2_000_000]
        check_parts(client, data, [(0, 99), (2_000_000, 2_999_999), (500, 500)])
        assert client.ask("GET", "/page.html")[2].headers["Content-Type"].startswith("text/html")
        assert client.ask("HEAD", "/data.bin")[2].headers["Content-Length"] == "3000000"
        for target in ("/nothing", "/../secret", "/%2e%2e/secret", "/"):
            assert client.ask("GET", target)[0] in (400, 403, 404)
        assert client.connects == 1
        client.close()
    with serving(tmp_path, "fs", "--list", str(folder)) as path:
        client = Client(path)
        assert b"page.html" in client.ask("GET", "/")[1]
        client.close()


def test_wrong_usage_is_said():
    for words, said in ((["nothing"], "there is no service"), (["fs"], "which folder"),
                        ([], "which service")):
        done = subprocess.run([f"{BUILD}/weir", "serve", *words], capture_output=True, text=True,
                              timeout=20, check=False)
        assert done.returncode == 2 and said in done.stderr
    done = subprocess.run([f"{BUILD}/weir", "serve", "fs", "/nonexistent"], capture_output=True,
                          text=True, timeout=20, check=False)
    assert done.returncode == 1 and "/nonexistent" in done.stderr
