# SPDX-License-Identifier: MIT
"""Upgrades, events, a browser, and much of everything."""
import asyncio
import base64
import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import pytest

from harness import build, net, peers
from harness.http import ScriptedOrigin, forward_config, get, http_config, read_answer, read_head

BULK = {"gcc": 1 << 30, "asan": 64 << 20, "tsan": 16 << 20}[build.VARIANT]


@pytest.fixture
def node(folder):
    process, address = peers.node(folder)
    yield address
    process.stop()


# ---- WebSocket ----------------------------------------------------------------------------------

class WebSocketEcho:
    """python3-websockets in a thread of its own."""

    def __init__(self, websockets):
        self.address = net.free_address()
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.websockets = websockets
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.ready.wait(20)

    async def echo(self, socket_, *_):
        async for message in socket_:
            await socket_.send(message)

    def run(self):
        asyncio.set_event_loop(self.loop)
        host, port = self.address.split(":")

        async def start():
            await self.websockets.serve(self.echo, host, int(port), max_size=None)
            self.ready.set()

        self.loop.run_until_complete(start())
        self.loop.run_forever()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


@pytest.mark.asan
@pytest.mark.tsan
def test_websocket(weir):
    websockets = pytest.importorskip("websockets",
                                     reason="needs websockets: python3-websockets is missing")
    origin = WebSocketEcho(websockets)
    listen = net.free_address()
    daemon = weir(forward_config(listen, origin.address))

    async def talk():
        async with websockets.connect(f"ws://{listen}/chat", max_size=None) as client:
            for size in (0, 1, 125, 126, 65535, 65536, 3000000):
                message = net.payload(size)
                await client.send(message)
                assert await client.recv() == message
            for i in range(200):
                await client.send(str(i))
            for i in range(200):
                assert await client.recv() == str(i)

    async def several():
        await asyncio.gather(*(talk() for _ in range(4)))

    asyncio.run(several())
    assert daemon.get("/v1/status")["state"] == "running"
    origin.close()


UPGRADE = (b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("status", [101, 200])
def test_bytes_after_an_upgrade_come_once(weir, status):
    """What the client sends at once is forwarded after a 101, once; after a refusal it is the next
    request."""
    seen = []

    def serve(sock, _):
        head = read_head(sock)
        seen.append(head)
        if status != 101:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
            seen.append(read_head(sock))
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
            return
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                     b"Upgrade: echo\r\n\r\nhello")
        while data := sock.recv(65536):
            sock.sendall(data)

    origin = ScriptedOrigin(serve)
    listen = net.free_address()
    weir(forward_config(listen, origin.address))
    early = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
    with net.connect(listen) as sock, sock.makefile("rb") as file:
        sock.sendall(UPGRADE + early)
        answer = read_answer(file)
        assert answer.status == status
        assert seen[0].endswith(b"\r\n\r\n") and b"/next" not in seen[0]
        assert b"upgrade: echo" in seen[0].lower()
        if status == 101:
            assert file.read(5 + len(early)) == b"hello" + early
            sock.sendall(b"more")
            assert file.read(4) == b"more"
            sock.shutdown(socket.SHUT_WR)
            assert file.read() == b""
        else:
            assert answer.body == b"no"
            assert read_answer(file).body == b"next"
            assert b"GET /next " in seen[1]
    origin.close()


# ---- events -------------------------------------------------------------------------------------

@pytest.mark.asan
def test_events_come_as_they_are_sent(weir, node):
    listen = net.free_address()
    weir(forward_config(listen, node))
    host, port = listen.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", "/sse/5", headers={"Accept": "text/event-stream"})
    answer = connection.getresponse()
    events = [line for line in iter(answer.readline, b"") if line.startswith(b"data")]
    assert events == [b"data: %d\n" % i for i in range(5)]


@pytest.mark.asan
def test_the_first_event_does_not_wait_for_the_second(weir):
    """Each piece is passed on when it is there."""
    go = threading.Event()

    def serve(sock, _):
        read_head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert go.wait(20)
        sock.sendall(b"6\r\nsecond\r\n0\r\n\r\n")

    origin = ScriptedOrigin(serve)
    listen = net.free_address()
    weir(forward_config(listen, origin.address))
    with net.connect(listen) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        while b"first" not in data:
            data += sock.recv(65536)
        assert b"second" not in data
        go.set()
        while not data.endswith(b"0\r\n\r\n"):
            data += sock.recv(65536)
        assert b"second" in data
    origin.close()


# ---- a browser ----------------------------------------------------------------------------------

def test_a_page_with_100_resources_in_chromium(weir, node):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("needs chromium: it is not installed")
    listen = net.free_address()
    daemon = weir(forward_config(listen, node, layers=[{"compress": {}}]))
    profile = tempfile.mkdtemp(prefix="weir-chromium-")
    # In a session of its own: it starts processes that outlive it when it is killed.
    child = subprocess.Popen(
        [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom",
         f"http://{listen}/page/100"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "HOME": profile}, start_new_session=True)
    try:
        dom, said = child.communicate(timeout=90)
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        shutil.rmtree(profile, ignore_errors=True)
    if "<title>" not in dom and child.returncode != 0:
        pytest.skip(f"needs chromium: it does not run here: {said.strip()[-200:]}")
    title = re.search(r"<title>(.*?)</title>", dom).group(1)
    assert title == "loaded 50 50", dom[:500]
    failed = {key: value for key, value in daemon.metrics().items()
              if key.startswith("weir_http_requests_total") and 'class="5xx"' in key}
    assert not any(failed.values())


# ---- bulk ---------------------------------------------------------------------------------------

def digest_of(command):
    """SHA-256 of what a shell command writes."""
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command} | sha256sum"],
                          capture_output=True, text=True, timeout=120 * build.SLOWER, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def write_bulk(path, size):
    """A file whose mebibytes differ; its SHA-256."""
    block = bytearray(net.payload(1 << 20))
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for i in range(size >> 20):
            block[:8] = i.to_bytes(8, "little")
            file.write(block)
            digest.update(block)
    os.chmod(path, 0o644)
    return digest.hexdigest()


@pytest.mark.slow
@pytest.mark.asan
def test_bulk_both_ways(weir, node, folder):
    """1 GB down from nginx and up to Node.js, by length, and a part of it in chunks; the daemon
    holds none of it."""
    files = os.path.join(folder, "bulk")
    os.makedirs(files)
    os.chmod(folder, 0o755)  # nginx reads as another user
    process, nginx = peers.nginx(files)
    digest = write_bulk(f"{files}/www/file", BULK)
    small = write_bulk(f"{files}/www/small", BULK // 8)
    listen = net.free_address()
    daemon = weir(http_config(listen, [{"match": {"path": "/report"}, "to": "node"},
                                       {"match": {"path": "/chunked/*"}, "to": "node"},
                                       {"to": "nginx"}], {"node": node, "nginx": nginx}))
    before = daemon.rss()
    assert digest_of(f"curl -sSf http://{listen}/file") == digest
    assert digest_of(f"curl -sSf http://{listen}/chunked/{BULK // 8}") == \
        digest_of(f"curl -sSf http://{node}/chunked/{BULK // 8}")
    for name, size, expected, words in (
            ("file", BULK, digest, []),
            ("small", BULK // 8, small, ["-H", "Transfer-Encoding: chunked"])):
        done = subprocess.run(["curl", "-sS", "-T", f"{files}/www/{name}", *words,
                               f"http://{listen}/report"], capture_output=True, text=True,
                              timeout=120 * build.SLOWER, check=True)
        assert f'"size":{size}' in done.stdout and expected in done.stdout
    if build.VARIANT == "gcc":
        assert daemon.rss() - before < 16 << 20
    process.stop()


@pytest.mark.asan
def test_a_slow_reader_holds_no_memory(weir, node):
    """Back-pressure reaches the origin: what nobody reads is not read."""
    listen = net.free_address()
    daemon = weir(forward_config(listen, node))
    get(listen, "/bytes/10")
    before = daemon.rss()
    socks = []
    for _ in range(20):
        sock = net.connect(listen)
        sock.sendall(f"GET /bytes/{200 << 20} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        socks.append(sock)
    for sock in socks:
        assert sock.recv(10) == b"HTTP/1.1 2"
    assert daemon.rss() - before < (32 << 20) * build.SLOWER
    for sock in socks:
        sock.close()


def test_basic_auth_of_curl(weir):
    """Names and passwords, hashed by crypt(5)."""
    done = subprocess.run(["openssl", "passwd", "-6", "-salt", "weir", "secret"],
                          capture_output=True, text=True, timeout=20, check=True)
    listen = net.free_address()
    weir({"listeners": [{"name": "web", "address": listen, "http": {"routes": [
        {"layers": [{"basic_auth": {"users": [{"name": "ann", "hash": done.stdout.strip()}]}}],
         "respond": {"status": 200, "body": "in\n"}}]}}]})
    assert get(listen).status == 401
    good = base64.b64encode(b"ann:secret").decode()
    bad = base64.b64encode(b"ann:wrong").decode()
    assert get(listen, "/", f"Authorization: Basic {good}").body == b"in\n"
    assert get(listen, "/", f"Authorization: Basic {bad}").status == 401
