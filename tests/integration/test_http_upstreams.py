# SPDX-License-Identifier: MIT
"""How the daemon chooses among origins: health by HTTP, retries, outliers, sessions that stick, the
breaker; and what a call costs in system calls."""
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from harness import build, net, peers
from harness.http import ScriptedOrigin, forward_config, get, http_config, read_head
from harness.process import wait_for


class Origin:
    """Answers each request with its name, on connections that are kept."""

    def __init__(self, name):
        self.name, self.status, self.healthy = name, 200, True
        self.requests, self.asked = 0, []
        self.origin = ScriptedOrigin(self._serve)
        self.address = self.origin.address

    def _serve(self, sock, _):
        while head := read_head(sock):
            line = head.split(b"\r\n")[0].decode()
            status = self.status
            if " /healthz " in line:
                self.asked.append(head)
                status = 200 if self.healthy else 500
            else:
                self.requests += 1
            body = self.name.encode()
            sock.sendall(b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%s" %
                         (status, len(body), body))

    def close(self):
        self.origin.close()


@pytest.fixture
def pair():
    origins = [Origin("a"), Origin("b")]
    yield origins
    for origin in origins:
        origin.close()


def config(listen, origins, upstream=None, **route):
    return http_config(listen, [{"to": "app", **route}],
                       {"app": {"endpoints": [origin.address for origin in origins],
                                **(upstream or {})}})


def served_by(listen, *fields):
    return get(listen, "/", *fields).body.decode()


def series(daemon, name, **labels):
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(value for key, value in daemon.metrics().items()
               if key.startswith(name + "{") and all(label in key for label in wanted))


@pytest.mark.asan
@pytest.mark.tsan
def test_health_by_http(weir, pair):
    listen = net.free_address()
    daemon = weir(config(listen, pair, {
        "health": {"http": {"path": "/healthz", "host": "app.example"}, "interval": "50ms",
                   "unhealthy": 2}}))

    def states():
        return [endpoint["state"] for endpoint in daemon.get("/v1/upstreams")[0]["endpoints"]]

    wait_for(lambda: pair[0].asked and pair[1].asked, 10 * build.SLOWER, "checks")
    assert b"\r\nHost: app.example\r\n" in pair[0].asked[0]
    assert {served_by(listen) for _ in range(20)} == {"a", "b"}
    pair[0].healthy = False
    wait_for(lambda: states() == ["unhealthy", "healthy"], 10 * build.SLOWER, "the first to go")
    assert {served_by(listen) for _ in range(20)} == {"b"}
    pair[0].healthy = True
    wait_for(lambda: states() == ["healthy", "healthy"], 10 * build.SLOWER, "it to come back")
    assert {served_by(listen) for _ in range(20)} == {"a", "b"}


@pytest.mark.asan
def test_retries_by_status(weir, pair):
    listen = net.free_address()
    pair[0].status = 503
    daemon = weir(config(listen, pair, retry={"attempts": 2, "when": [503]}))
    for _ in range(10):
        answer = get(listen)
        assert (answer.status, answer.body) == (200, b"b")
    assert pair[0].requests > 0
    assert series(daemon, "weir_http_upstream_retries_total", reason="503") == pair[0].requests


@pytest.mark.asan
def test_outliers_by_status(weir, pair):
    listen = net.free_address()
    pair[0].status = 502
    daemon = weir(config(listen, pair, {"ejection": {"gateway_errors": 3, "base": "5m"}}))
    answers = [get(listen).status for _ in range(30)]
    assert 3 <= answers.count(502) <= 3 * daemon.workers
    assert set(answers[-5:]) == {200}
    assert series(daemon, "weir_upstream_ejections_total", upstream="app") == 1


@pytest.mark.asan
def test_sessions_stick(weir, pair):
    listen = net.free_address()
    weir(config(listen, pair, {"sticky": {"cookie": "SERVER"}}))
    answers = [get(listen) for _ in range(20)]
    cookies = {answer.body: answer["Set-Cookie"].split(";")[0] for answer in answers}
    assert set(cookies) == {b"a", b"b"}
    for name, cookie in cookies.items():
        assert re.fullmatch("SERVER=[0-9a-f]{16}", cookie)
        for _ in range(5):
            answer = get(listen, "/", f"Cookie: x=y; {cookie}")
            assert answer.body == name and answer["Set-Cookie"] is None


@pytest.mark.asan
def test_the_breaker_refuses(weir):
    listen, go = net.free_address(), threading.Event()

    def serve(sock, _):
        read_head(sock)
        go.wait(20)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    origin = ScriptedOrigin(serve)
    daemon = weir(forward_config(listen, origin.address, {"breaker": {"calls": 2}}))
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(get(listen).status))
               for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: origin.accepted == 2, 10 * build.SLOWER, "two calls")
    assert get(listen).status == 503
    assert series(daemon, "weir_http_upstream_refused_total", limit="calls") == 1
    go.set()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    origin.close()


def test_hedging(weir):
    """The origin's first connection is slow; the second attempt is not."""
    listen = net.free_address()

    def serve(sock, number):
        read_head(sock)
        if number == 1:
            time.sleep(5)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        sock.recv(1)

    origin = ScriptedOrigin(serve)
    daemon = weir(http_config(listen, [{"to": "app", "hedge": "50ms"}], {"app": origin.address}))
    assert get(listen).body == b"2"
    assert series(daemon, "weir_http_upstream_hedges_total", result="won") == 1
    origin.close()


def test_system_calls_of_a_call(weir, folder):
    """Two reads, two writes, and waiting for many at once; nothing else."""
    if not shutil.which("strace") or not shutil.which("wrk"):
        pytest.skip("needs strace and wrk: one is not installed")
    nginx, origin = peers.nginx(folder)
    with open(f"{folder}/www/1k", "wb") as file:
        file.write(b"x" * 1024)
    listen, report = net.free_address(), f"{folder}/strace"
    daemon = weir(forward_config(listen, origin), workers=1)
    assert get(listen, "/1k").status == 200
    tracer = subprocess.Popen(["strace", "-f", "-c", "-o", report, "-p", str(daemon.process.pid)],
                              stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in tracer.stderr.readline()
        said = subprocess.run(["wrk", "-t1", "-c16", "-d2s", f"http://{listen}/1k"],
                              capture_output=True, text=True, timeout=60, check=True).stdout
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
        nginx.stop()
    calls = int(re.search(r"(\d+) requests in", said).group(1))
    with open(report, encoding="ascii") as file:
        rows = [line.split() for line in file]
    counts = {words[-1]: int(words[3]) for words in rows
              if len(words) in (5, 6) and words[3].isdigit() and words[-1] != "total"}
    reads = sum(counts.get(name, 0) for name in ("recvfrom", "recvmsg", "read"))
    writes = sum(counts.get(name, 0) for name in ("sendto", "sendmsg", "write", "writev"))
    waits = counts.pop("epoll_pwait2", 0)
    if build.VARIANT == "asan":  # its allocator takes memory anew instead of what was freed
        for name in ("mmap", "munmap", "madvise"):
            counts.pop(name, None)
    other = sum(counts.values()) - reads - writes
    assert reads <= 2.1 * calls + 200 and writes <= 2.1 * calls + 200, counts
    assert waits <= 1.1 * calls + 200 and other <= 0.02 * calls + 400, counts
