# SPDX-License-Identifier: MIT
"""HTTP with real clients and origins: curl, Python's http.client and aiohttp, wrk, Node.js, nginx."""
import asyncio
import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess

import pytest

from harness import build, net, peers
from harness.http import ask, forward_config, get, http_config

aiohttp = pytest.importorskip("aiohttp", reason="needs aiohttp: python3-aiohttp is not installed")


def curl(*words, check=True):
    done = subprocess.run(["curl", "-sS", "--max-time", str(60 * build.SLOWER), *words],
                          capture_output=True, timeout=90 * build.SLOWER, check=False)
    if check:
        assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def node(folder):
    process, address = peers.node(folder)
    yield address
    process.stop()


@pytest.fixture
def site(weir, node):
    """(address of Weir, daemon) in front of Node.js."""
    listen = net.free_address()
    return listen, weir(forward_config(listen, node))


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
def test_curl_methods(site, method):
    listen, _ = site
    body = "x=1&y=2" if method in ("POST", "PUT", "PATCH") else ""
    words = ["--data-binary", body] if body else []
    seen = json.loads(curl("-X", method, *words, "-H", "X-Case-Kept: Yes",
                           f"http://{listen}/a%20b?c=d&e"))
    assert (seen["method"], seen["url"]) == (method, "/a%20b?c=d&e")
    assert seen["sha256"] == hashlib.sha256(body.encode()).hexdigest()
    fields = dict(zip(seen["fields"][::2], seen["fields"][1::2]))
    assert fields["X-Case-Kept"] == "Yes"
    assert fields["X-Forwarded-For"] == "127.0.0.1"
    assert fields["X-Forwarded-Proto"] == "http"
    assert fields["X-Forwarded-Host"] == listen
    assert fields["Host"] == listen


@pytest.mark.asan
def test_curl_head_and_bodiless(site):
    listen, _ = site
    head = curl("-I", f"http://{listen}/bytes/12345").decode()
    assert "Content-Length: 12345" in head
    for status in (204, 304):
        assert f" {status} " in curl("-i", f"http://{listen}/status/{status}").decode()


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("size", [1, 16384, 100000, 5000000])
def test_uploads(site, folder, size):
    """With a length, chunked, and with Expect: 100-continue."""
    listen, _ = site
    path = os.path.join(folder, "upload")
    data = net.payload(size)
    with open(path, "wb") as file:
        file.write(data)
    digest = hashlib.sha256(data).hexdigest()
    for words in (["-T", path], ["-T", path, "-H", "Transfer-Encoding: chunked"],
                  ["--data-binary", f"@{path}", "-H", "Expect: 100-continue"]):
        seen = json.loads(curl(*words, f"http://{listen}/report"))
        assert (seen["size"], seen["sha256"]) == (size, digest), words


@pytest.mark.asan
def test_versions_and_keep_alive(site):
    listen, _ = site
    assert b"HTTP/1.1 200" in curl("-i", "--http1.0", f"http://{listen}/bytes/10")
    # HTTP/1.0 does not know chunks: the end of the connection is the end of the body.
    raw = ask(listen, b"GET /chunked/70000 HTTP/1.0\r\nHost: x\r\n\r\n")
    assert raw["Transfer-Encoding"] is None and len(raw.body) == 70000
    done = subprocess.run(["curl", "-sS", "-v", "-o", os.devnull, f"http://{listen}/bytes/10", "-o",
                           os.devnull, f"http://{listen}/bytes/20"], capture_output=True,
                          text=True, timeout=60, check=True)
    assert "Re-using existing connection" in done.stderr


@pytest.mark.asan
def test_interim_and_trailers(site):
    listen, _ = site
    answer = ask(listen, b"GET /hints HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.status == 103 and answer["Link"] == "</style.css>; rel=preload"
    raw = curl("--raw", "-i", "-H", "TE: trailers", f"http://{listen}/trailers").decode()
    assert "X-Sum: 5" in raw.split("\r\n\r\n", 1)[1]


@pytest.mark.asan
def test_an_early_answer_ends_an_upload(site, folder):
    listen, _ = site
    path = os.path.join(folder, "upload")
    with open(path, "wb") as file:
        file.truncate(50 << 20)
    text = curl("-i", "-H", "Expect:", "--data-binary", f"@{path}", f"http://{listen}/early").decode()
    assert " 413 " in text and "too large" in text


def test_nginx_ranges_and_conditions(weir, folder):
    process, origin = peers.nginx(folder)
    listen = net.free_address()
    data = net.payload(300000)
    with open(os.path.join(folder, "www", "file"), "wb") as file:
        file.write(data)
    weir(forward_config(listen, origin))
    assert curl(f"http://{listen}/file") == data
    assert curl("-r", "100-199", f"http://{listen}/file") == data[100:200]
    assert curl("-r", "-7", f"http://{listen}/file") == data[-7:]
    parts = curl("-i", "-r", "0-1,10-11", f"http://{listen}/file")
    assert b"multipart/byteranges" in parts
    head = curl("-I", f"http://{listen}/file").decode()
    etag = re.search(r"ETag: (\S+)", head).group(1)
    assert b" 304 " in curl("-i", "-H", f"If-None-Match: {etag}", f"http://{listen}/file")
    assert b" 404 " in curl("-i", f"http://{listen}/none")
    process.stop()


@pytest.mark.asan
def test_files_with_curl(weir, folder):
    """The same from Weir's own files, which the kernel sends."""
    listen = net.free_address()
    data = net.payload(3000000)
    with open(os.path.join(folder, "file.bin"), "wb") as file:
        file.write(data)
    weir(http_config(listen, [{"files": {"root": folder}}]))
    assert curl(f"http://{listen}/file.bin") == data
    assert curl("-r", "1000000-1999999", f"http://{listen}/file.bin") == data[1000000:2000000]
    half = os.path.join(folder, "half")
    with open(half, "wb") as file:
        file.write(data[:1234567])
    curl("-C", "-", "-o", half, f"http://{listen}/file.bin")
    with open(half, "rb") as file:
        assert file.read() == data
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/.hidden"):
        assert b" 404 " in curl("-i", "--path-as-is", f"http://{listen}{path}")


@pytest.mark.asan
def test_http_client(site):
    """One connection, many requests, bodies in pieces."""
    listen, _ = site
    host, port = listen.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30 * build.SLOWER)
    for i in range(50):
        connection.request("GET", f"/bytes/{i * 100}")
        answer = connection.getresponse()
        assert answer.status == 200 and len(answer.read()) == i * 100
    connection.request("POST", "/report", body=(b"x" * 1000 for _ in range(30)),
                       encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert json.loads(connection.getresponse().read())["size"] == 30000
    connection.close()


@pytest.mark.asan
@pytest.mark.tsan
def test_aiohttp(site):
    """Many at one time."""
    listen, _ = site

    async def one(session, i):
        if i % 3 == 0:
            async with session.post(f"http://{listen}/report", data=b"y" * i * 10) as answer:
                assert (await answer.json())["size"] == i * 10
        else:
            async with session.get(f"http://{listen}/{'bytes' if i % 2 else 'chunked'}/{i * 500}") \
                    as answer:
                assert answer.status == 200 and len(await answer.read()) == i * 500

    async def everything():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50)) as session:
            await asyncio.gather(*(one(session, i) for i in range(400)))

    asyncio.run(everything())


def wrk_failures(output):
    """What wrk says went wrong."""
    return re.findall(r"(Socket errors:.*|Non-2xx.*)", output)


@pytest.mark.parametrize("fields", [[], ["-H", "Connection: close"]])
def test_wrk(weir, folder, fields):
    """Load without failures, with and without keep-alive."""
    if not shutil.which("wrk"):
        pytest.skip("needs wrk: it is not installed")
    process, origin = peers.nginx(folder)
    listen = net.free_address()
    with open(os.path.join(folder, "www", "file"), "wb") as file:
        file.write(b"x" * 1024)
    weir(forward_config(listen, origin))
    done = subprocess.run(["wrk", "-t2", "-c50", "-d2s", *fields, f"http://{listen}/file"],
                          capture_output=True, text=True, timeout=60, check=True)
    assert wrk_failures(done.stdout) == [], done.stdout
    assert int(re.search(r"(\d+) requests in", done.stdout).group(1)) > 100
    process.stop()


def test_routes_from_outside(weir, node):
    """A file's worth of routing: hosts, rewriting, redirects, a denied network, headers."""
    listen = net.free_address()
    weir(http_config(listen, [
        {"name": "deny", "match": {"path": "/admin/*", "not": {"client": "10.0.0.0/8"}},
         "respond": {"status": 403, "body": "no\n"}},
        {"name": "api", "match": {"host": "*.example.com", "path": "/api/*"},
         "rewrite": {"prefix": "/v2", "host": "inner.example"}, "to": "node"},
        {"name": "moved", "match": {"path": "/old/{page}"},
         "redirect": {"to": "https://new.example/{page}", "status": 301}},
        {"name": "query", "match": {"query": {"name": "debug", "is": "1"}, "method": ["GET"]},
         "respond": {"status": 202}},
    ], {"node": node}, forwarded={"trusted_proxies": "127.0.0.0/8", "via": "weir"}))
    for path in ("/admin", "/%61dmin/x", "/a/../admin/", "//admin", "/./admin"):
        assert get(listen, path).status == 403, path
    answer = ask(listen, b"GET /api/users?x=%41 HTTP/1.1\r\nHost: a.example.com:8080\r\n"
                 b"X-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n\r\n")
    seen = json.loads(answer.body)
    fields = dict(zip(seen["fields"][::2], seen["fields"][1::2]))
    assert seen["url"] == "/v2/users?x=%41"
    assert fields["Host"] == "inner.example"
    assert fields["X-Forwarded-Host"] == "a.example.com:8080"
    assert fields["X-Forwarded-For"] == "192.0.2.7, 127.0.0.1"
    assert fields["Via"] == "1.1 weir" and "1.1 weir" in answer["Via"]
    assert get(listen, "/old/page")["Location"] == "https://new.example/page"
    assert get(listen, "/x?debug=1").status == 202
    assert get(listen, "/x?debug=2").status == 404
    # What a client claims in an absolute form is not how it came.
    seen = json.loads(ask(listen, b"GET https://a.example.com/api/ HTTP/1.1\r\n"
                          b"Host: a.example.com\r\nConnection: close\r\n\r\n").body)
    assert seen["fields"][seen["fields"].index("X-Forwarded-Proto") + 1] == "http"


def test_canary_and_mirror(weir, folder):
    """A user stays at a version; copies go to the shadow and their answers nowhere."""
    processes, addresses = zip(*(peers.node(folder) for _ in range(3)))
    listen = net.free_address()
    daemon = weir(http_config(listen, [
        {"name": "split", "split": {"by": "header", "name": "X-User", "parts": [
            {"to": "a", "weight": 50}, {"to": "b", "weight": 50}]}, "mirror": "shadow"},
    ], {"a": addresses[0], "b": addresses[1], "shadow": addresses[2]},
        layers=[{"headers": {"response": {"set": "X-Upstream", "value": "{upstream}"}}}]))
    where = {}
    for _ in range(2):
        for user in range(30):
            part = get(listen, "/", f"X-User: {user}")["X-Upstream"]
            assert where.setdefault(user, part) == part
    assert set(where.values()) == {"a", "b"}
    copies = 'weir_http_mirror_requests_total{listener="web",route="split",result="sent"}'
    assert daemon.metrics()[copies] == 60
    for process in processes:
        process.stop()
