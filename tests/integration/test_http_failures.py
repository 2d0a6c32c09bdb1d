# SPDX-License-Identifier: MIT
"""Slow clients, idle ones, dying origins, reload under load."""
import http.client
import re
import resource
import shutil
import socket
import subprocess
import threading
import time

import pytest

from harness import build, net, peers
from harness.http import ScriptedOrigin, ask, forward_config, get, http_config, read_answer, \
    read_head
from harness.process import wait_for

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def refusals(daemon, cause):
    return sum(value for key, value in daemon.metrics().items()
               if key.startswith("weir_http_refused_total") and f'cause="{cause}"' in key)


# ---- slow clients -------------------------------------------------------------------------------

@pytest.mark.asan
@pytest.mark.tsan
def test_slow_heads_are_answered_408(weir):
    """Many clients that never finish a head: bounded memory, 408, and others are served."""
    listen = net.free_address()
    daemon = weir(http_config(listen, [{"respond": {"body": "ok"}}],
                              timeouts={"head": f"{1 * build.SLOWER}s"}), files=4096)
    before = daemon.rss()
    socks = []
    for i in range(300):
        sock = net.connect(listen)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-%d: y\r\n" % i)
        socks.append(sock)
    assert get(listen).body == b"ok"
    if build.VARIANT == "gcc":
        assert daemon.rss() - before < 300 * (64 << 10)
    for sock in socks:
        with sock, sock.makefile("rb") as file:
            answer = read_answer(file)
            assert answer.status == 408 and answer["Connection"] == "close"
    assert refusals(daemon, "timeout") == 300


@pytest.mark.asan
@pytest.mark.tsan
def test_slow_bodies_are_answered_408(weir):
    got = []

    def serve(sock, _):
        got.append(read_head(sock))
        while sock.recv(65536):
            pass

    origin = ScriptedOrigin(serve)
    listen = net.free_address()
    weir(forward_config(listen, origin.address,
                        timeouts={"body_idle": f"{500 * build.SLOWER}ms"}))
    answer = ask(listen, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
    assert answer.status == 408
    assert answer["Connection"] == "close"
    origin.close()


@pytest.mark.slow
def test_10000_idle_connections(weir):
    """Idle keep-alive connections cost little, and all of them still work."""
    n = 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < n + 500:
        pytest.skip(f"needs descriptors: {n + 500}, the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (n + 500, hard))
    listen = net.free_address()
    daemon = weir(http_config(listen, [{"respond": {"body": "ok"}}],
                              timeouts={"keep_alive": "5m"}), files=20000)
    get(listen)
    before = daemon.rss()
    socks = []
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    try:
        for _ in range(n):
            sock = net.connect(listen)
            sock.sendall(request)
            socks.append(sock)
            if len(socks) % 500 == 0:
                for other in socks[-500:]:
                    assert other.recv(4096).endswith(b"ok")
        # Once the pages of stacks are given back that idle tasks do not need.
        wait_for(lambda: (daemon.rss() - before) / n < 8192, 10,
                 "idle connections to hold less than 8 KiB each")
        for sock in socks[::100]:
            sock.sendall(request)
            assert sock.recv(4096).endswith(b"ok")
    finally:
        for sock in socks:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: daemon.get("/v1/listeners")[0]["active"] == 0, 20, "the connections to end")


# ---- origins that die ---------------------------------------------------------------------------

def die_at_once(sock, _):
    net.reset(sock)


def die_after_the_request(sock, _):
    read_head(sock)


def die_in_the_head(sock, _):
    read_head(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")


def die_in_a_reset(sock, _):
    read_head(sock)
    net.reset(sock)


def talk_nonsense(sock, _):
    read_head(sock)
    sock.sendall(b"220 mail.example ESMTP\r\n")


def answer_ambiguously(sock, _):
    read_head(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("fn", [die_at_once, die_after_the_request, die_in_the_head, die_in_a_reset,
                                talk_nonsense, answer_ambiguously])
def test_before_the_response_it_is_502(weir, fn):
    origin = ScriptedOrigin(fn)
    listen = net.free_address()
    weir(forward_config(listen, origin.address))
    with net.connect(listen) as sock, sock.makefile("rb") as file:
        # The client's connection lives on.
        for _ in range(2):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_answer(file).status == 502
    origin.close()


@pytest.mark.asan
def test_nobody_listens_and_nobody_answers(weir):
    dead = net.free_address()
    silent = ScriptedOrigin(lambda sock, _: sock.recv(65536) and sock.recv(65536))
    listen = net.free_address()
    weir(http_config(listen, [{"match": {"path": "/dead"}, "to": "dead"}, {"to": "silent"}],
                     {"dead": dead, "silent": {"endpoints": [silent.address],
                                               "timeouts": {"first_byte": "300ms"}}}))
    assert get(listen, "/dead").status in (502, 503)
    assert get(listen, "/").status == 504
    silent.close()


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("framing", ["length", "chunked", "in a chunk"])
def test_within_a_body_the_client_sees_the_end(weir, framing):
    """A cut body must not look like a whole one."""
    heads = {"length": b"Content-Length: 100\r\n\r\nsome",
             "chunked": b"Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n",
             "in a chunk": b"Transfer-Encoding: chunked\r\n\r\n64\r\nsome"}

    def serve(sock, _):
        read_head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n" + heads[framing])

    origin = ScriptedOrigin(serve)
    listen = net.free_address()
    weir(forward_config(listen, origin.address))
    with net.connect(listen) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        try:
            while piece := sock.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
    assert data.startswith(b"HTTP/1.1 200 ") and b"some" in data
    assert not data.endswith(b"0\r\n\r\n")
    assert b"Content-Length: 4\r\n" not in data
    origin.close()


@pytest.mark.asan
def test_a_connection_that_died_idle_is_not_seen(weir):
    """The origin ends a kept connection: the next request goes out on a new one."""
    def serve(sock, _):
        if read_head(sock):
            sock.sendall(GOOD)
        # And closes, though it had not said so.

    origin = ScriptedOrigin(serve)
    listen = net.free_address()
    weir(forward_config(listen, origin.address), workers=1)
    for _ in range(20):
        assert get(listen).body == b"ok"
    assert origin.accepted >= 20
    origin.close()


@pytest.mark.asan
def test_retries_find_the_endpoint_that_lives(weir, folder):
    process, good = peers.node(folder)
    listen = net.free_address()
    weir(forward_config(listen, net.free_address(),
                        {"endpoints": [net.free_address(), good], "retry": {"attempts": 2}}))
    for _ in range(20):
        assert get(listen, "/bytes/10").status == 200
    process.stop()


@pytest.mark.asan
def test_http_checks_take_endpoints_out(weir):
    """An origin that connects well and answers 500 to checks gets no calls, until it recovers."""
    sick = threading.Event()

    def serve(name):
        def fn(sock, _):
            while head := read_head(sock):
                bad = name == b"a" and sick.is_set() and b"/healthz" in head
                sock.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 1\r\n\r\n%s"
                             % (500 if bad else 200, name))
        return fn

    origins = [ScriptedOrigin(serve(b"a")), ScriptedOrigin(serve(b"b"))]
    listen = net.free_address()
    daemon = weir(forward_config(listen, "", {
        "endpoints": [origin.address for origin in origins],
        "health": {"http": {"path": "/healthz"}, "interval": "50ms", "unhealthy": 2,
                   "healthy": 2}}))

    def states():
        return {endpoint["state"] for endpoint in daemon.get("/v1/upstreams")[0]["endpoints"]}

    wait_for(lambda: {get(listen).body for _ in range(4)} == {b"a", b"b"}, 20, "both")
    sick.set()
    wait_for(lambda: "unhealthy" in states(), 20, "the sick one to be found")
    assert {get(listen).body for _ in range(10)} == {b"b"}
    sick.clear()
    wait_for(lambda: states() == {"healthy"}, 20, "it to be well again")
    assert {get(listen).body for _ in range(10)} == {b"a", b"b"}
    for origin in origins:
        origin.close()


@pytest.mark.asan
def test_a_client_that_goes_cancels_the_request(weir):
    gone = threading.Event()

    def serve(sock, _):
        read_head(sock)
        if sock.recv(1) == b"":
            gone.set()

    origin = ScriptedOrigin(serve)
    listen = net.free_address()
    weir(forward_config(listen, origin.address))
    sock = net.connect(listen)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_for(lambda: origin.accepted == 1, 10, "the request at the origin")
    net.reset(sock)
    assert gone.wait(20), "the origin still works for nobody"
    origin.close()


# ---- reload and drain ---------------------------------------------------------------------------

def test_reload_under_load(weir, folder):
    """No request fails while configurations come and go."""
    if not shutil.which("wrk"):
        pytest.skip("needs wrk: it is not installed")
    process, origin = peers.nginx(folder)
    with open(f"{folder}/www/file", "wb") as file:
        file.write(b"x" * 1024)
    listen = net.free_address()
    config = forward_config(listen, origin)
    daemon = weir(config)
    load = subprocess.Popen(["wrk", "-t2", "-c20", "-d4s", f"http://{listen}/file"],
                            stdout=subprocess.PIPE, text=True)
    for i in range(6):
        time.sleep(0.5)
        config["listeners"][0]["http"]["server"] = f"weir-{i}"
        status, body = daemon.reload(config)
        assert status == 200, body
    out, _ = load.communicate(timeout=60)
    wrong = re.findall(r"(Socket errors:.*|Non-2xx.*)", out)
    assert wrong == [], out
    assert get(listen, "/file")["Server"] is not None
    process.stop()


@pytest.mark.asan
@pytest.mark.tsan
def test_reload_ends_kept_connections(weir):
    """Idle ones at once, busy ones with their next response."""
    go = threading.Event()

    def serve(sock, _):
        while head := read_head(sock):
            if b"/wait" in head:
                assert go.wait(20)
            sock.sendall(GOOD)

    origin = ScriptedOrigin(serve)
    listen = net.free_address()
    config = forward_config(listen, origin.address)
    daemon = weir(config)
    idle, busy = net.connect(listen), net.connect(listen)
    with idle.makefile("rb") as idle_file, busy.makefile("rb") as busy_file:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(idle_file)["Connection"] is None
        busy.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: origin.accepted >= 1, 10, "the request at the origin")
        assert daemon.reload(config)[0] == 200
        assert idle_file.read() == b""
        go.set()
        answer = read_answer(busy_file)
        assert answer.body == b"ok" and answer["Connection"] == "close"
        assert busy_file.read() == b""
    idle.close()
    busy.close()
    assert get(listen).body == b"ok"
    origin.close()


@pytest.mark.asan
def test_drain_waits_for_the_response(weir):
    go = threading.Event()

    def serve(sock, _):
        read_head(sock)
        assert go.wait(20)
        sock.sendall(GOOD)

    origin = ScriptedOrigin(serve)
    listen = net.free_address()
    daemon = weir(forward_config(listen, origin.address))
    with net.connect(listen) as sock, sock.makefile("rb") as file:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: origin.accepted == 1, 10, "the request at the origin")
        stopping = net.Later(daemon.process.stop, 20 * build.SLOWER)
        wait_for(lambda: not net.can_connect(listen), 10, "the listener to close")
        go.set()
        assert read_answer(file).body == b"ok"
        assert stopping.result() == 0
    origin.close()


def test_wrong_http_changes_nothing(weir):
    listen = net.free_address()
    daemon = weir(http_config(listen, [{"respond": {"body": "one"}}]))
    status, body = daemon.reload(http_config(listen, [{"match": {"path": "a"},
                                                       "respond": {"body": "two"}}]))
    assert status == 400 and "does not start with /" in str(body), body
    assert get(listen).body == b"one"
    assert daemon.reload(http_config(listen, [{"respond": {"body": "three"}}]))[0] == 200
    assert get(listen).body == b"three"


@pytest.mark.asan
def test_limits_go_on_over_a_reload(weir):
    """A rate limit is not full again because the configuration was read again."""
    listen = net.free_address()
    config = http_config(listen, [{"respond": {"body": "ok"}}],
                         layers=[{"rate_limit": {"rate": 0.01, "burst": 5}}])
    daemon = weir(config)
    assert [get(listen).status for _ in range(7)] == [200] * 5 + [429] * 2
    assert daemon.reload(config)[0] == 200
    assert get(listen).status == 429


def test_weirctl_shows_http(weir):
    listen = net.free_address()
    daemon = weir(forward_config(listen, net.free_address()))
    table = daemon.ctl("listeners")
    assert "web" in table and "http" in table
    assert "origin" in daemon.ctl("upstreams")


def test_http_client_reads_refusals(weir):
    """A client that is still sending reads the answer, and no reset."""
    listen = net.free_address()
    weir(http_config(listen, [{"respond": {"body": "ok"}}], limits={"body": 1000}))
    host, port = listen.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.request("POST", "/", body=b"x" * 500000)
    assert connection.getresponse().status == 413
    connection.close()
    with net.connect(listen) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100000)
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as file:
            assert read_answer(file).status == 431
