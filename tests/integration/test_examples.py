# SPDX-License-Identifier: MIT
"""The programs in userspace/examples: proxies, layers of one's own, web services, a client."""
import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

BUILD = os.environ.get("WEIR_BUILD", "build")


def free_port():
    """Below the ephemeral range, and each process starts elsewhere."""
    first = os.getpid() * 41
    for i in range(12000):
        port = 20000 + (first + i) % 12000
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise AssertionError("no port is free")


@contextlib.contextmanager
def example(name, *args):
    """The program while it runs. It must end by itself, with status 0, after SIGTERM."""
    program = subprocess.Popen([f"{BUILD}/examples/{name}", *args], stderr=subprocess.PIPE, text=True)
    try:
        yield program
        program.send_signal(signal.SIGTERM)
        _, program.errors = program.communicate(timeout=20)
        assert program.returncode == 0, program.errors
    finally:
        program.kill()
        program.wait()


def connect(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}")


def read_all(client):
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


@pytest.fixture
def origin():
    """A server that answers what it was sent, backwards, when the client has ended."""
    with socket.create_server(("127.0.0.1", free_port())) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        client.sendall(read_all(client)[::-1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_proxy_carries(origin):
    port = free_port()
    with example("proxy", f"127.0.0.1:{port}", f"localhost:{origin}") as proxy:
        for size in (1, 100_000, 3_000_000):
            sent = os.urandom(size)
            with connect(port) as client:
                writer = threading.Thread(
                    target=lambda: (client.sendall(sent), client.shutdown(socket.SHUT_WR))
                )
                writer.start()
                assert read_all(client) == sent[::-1]
                writer.join()
    lines = [line for line in proxy.errors.splitlines() if "listener=proxy" in line]
    assert len(lines) == 3, proxy.errors
    assert "bytes_up=3000000" in lines[2] and "bytes_down=3000000" in lines[2], lines[2]


def test_proxy_resets_when_nobody_answers():
    port = free_port()
    with example("proxy", f"127.0.0.1:{port}", f"127.0.0.1:{free_port() + 1}"):
        with connect(port) as client:
            with pytest.raises(ConnectionResetError):
                client.recv(1)


def test_proxy_says_what_is_wrong():
    for args in (["nonsense", "localhost:1"], ["127.0.0.1:1", "nonsense"], ["127.0.0.1:1"]):
        done = subprocess.run(
            [f"{BUILD}/examples/proxy", *args], capture_output=True, text=True, timeout=20
        )
        assert done.returncode != 0
        assert "nonsense" in done.stderr or "usage" in done.stderr


def test_drain_ends_by_the_second_signal():
    with socket.create_server(("127.0.0.1", free_port())) as server:
        server.settimeout(20)
        port = free_port()
        origin = "127.0.0.1:%d" % server.getsockname()[1]
        with example("proxy", f"127.0.0.1:{port}", origin) as proxy, connect(port), server.accept()[0]:
            proxy.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            assert proxy.poll() is None  # the connection has five seconds
            proxy.send_signal(signal.SIGTERM)
            proxy.wait(timeout=4)


def test_layer_serves_who_knows_the_word():
    port = free_port()
    with example("knock", f"127.0.0.1:{port}", "sesame"):
        with connect(port) as client:
            client.sendall(b"sesame\nhello")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"hello"


def test_layer_resets_who_does_not():
    port = free_port()
    with example("knock", f"127.0.0.1:{port}", "sesame"):
        with connect(port) as client:
            client.sendall(b"caraway\n")
            with pytest.raises(ConnectionResetError):
                client.recv(1)


def test_layer_refuses_a_word_that_is_too_long():
    done = subprocess.run(
        [f"{BUILD}/examples/knock", "127.0.0.1:1", "x" * 99], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert "cannot be the word" in done.stderr


def ask(client, method, path):
    client.request(method, path)
    answer = client.getresponse()
    return answer.status, answer.read()


@contextlib.contextmanager
def web(name, *args):
    """A client of an example that serves HTTP, on one connection."""
    port = free_port()
    with example(name, f"127.0.0.1:{port}", *args):
        connect(port).close()
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        yield client
        client.close()


def test_hello():
    with web("hello") as client:
        assert ask(client, "GET", "/") == (200, b"Hello, world!\n")
        assert ask(client, "GET", "/you") == (200, b"Hello, you!\n")
        assert ask(client, "HEAD", "/you") == (200, b"")
        assert ask(client, "DELETE", "/")[0] == 405


def test_hello_stops_while_a_client_keeps_its_connection():
    port = free_port()
    with example("hello", f"127.0.0.1:{port}") as hello:
        with connect(port) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert b"Hello, world!" in client.recv(65536)
            hello.send_signal(signal.SIGTERM)
            assert client.recv(1) == b""
            hello.wait(timeout=4)


def test_counter_counts():
    with web("counter") as client:
        assert ask(client, "GET", "/counters/visits")[0] == 404
        for i in range(1, 4):
            assert ask(client, "POST", "/counters/visits") == (200, f"{i}\n".encode())
        assert ask(client, "POST", "/counters/others") == (200, b"1\n")
        assert ask(client, "GET", "/counters/visits") == (200, b"3\n")
        assert ask(client, "GET", "/counters") == (200, b"visits 3\nothers 1\n")
        assert ask(client, "GET", "/elsewhere")[0] == 404


def fetch(*urls):
    return subprocess.run([f"{BUILD}/examples/fetch", *urls], capture_output=True, timeout=20)


def test_fetch_writes_what_is_there():
    port = free_port()
    with example("hello", f"127.0.0.1:{port}"):
        connect(port).close()
        done = fetch(f"http://127.0.0.1:{port}/", f"http://localhost:{port}/you")
        assert (done.returncode, done.stdout) == (0, b"Hello, world!\nHello, you!\n"), done.stderr


def test_fetch_says_what_went_wrong():
    port = free_port()
    with example("counter", f"127.0.0.1:{port}"):
        connect(port).close()
        done = fetch(f"http://127.0.0.1:{port}/none")
        assert done.returncode == 1 and b"status 404" in done.stderr
    done = fetch(f"http://127.0.0.1:{port}/")
    assert done.returncode == 1 and b"refused" in done.stderr
    assert fetch("ftp://h/").returncode == 1
    assert fetch().returncode == 1


def test_reverse_tells_the_origins_time():
    port = free_port()
    with example("counter", f"127.0.0.1:{port}"):
        connect(port).close()
        with web("reverse", f"localhost:{port}") as client:
            for i in range(1, 4):
                client.request("POST", "/counters/visits", b"x" * 100_000)
                answer = client.getresponse()
                assert (answer.status, answer.read()) == (200, f"{i}\n".encode())
                assert answer.headers["Server-Timing"].startswith("origin;dur=")
                assert answer.headers["Via"] == "1.1 reverse"


def test_reverse_answers_for_an_origin_that_is_not_there():
    with web("reverse", f"127.0.0.1:{free_port() + 1}") as client:
        assert ask(client, "GET", "/")[0] == 502


def test_reverse_says_what_is_wrong():
    for args in (["nonsense", "localhost:1"], ["127.0.0.1:1", "nonsense"], []):
        done = subprocess.run(
            [f"{BUILD}/examples/reverse", *args], capture_output=True, text=True, timeout=20
        )
        assert done.returncode == 1 and done.stderr.startswith("reverse: ")


@contextlib.contextmanager
def counted(program):
    """How often PROGRAM makes each system call meanwhile; filled when that is over."""
    counts = {}
    if "san" in os.path.basename(BUILD):
        pytest.skip("needs a plain build: a sanitizer makes system calls of its own")
    if not shutil.which("strace"):
        pytest.skip("needs strace: it is not installed")
    strace = subprocess.Popen(["strace", "-f", "-c", "-U", "name,calls", "-p", str(program.pid)],
                              stderr=subprocess.PIPE, text=True)
    said = strace.stderr.readline()
    if "attached" not in said:
        strace.kill()
        strace.wait()
        assert program.poll() is None, "the program has ended, so there is nothing to count"
        pytest.skip(f"needs ptrace: strace may not attach: {said.strip()}")
    yield counts
    strace.send_signal(signal.SIGINT)
    for line in strace.communicate(timeout=20)[1].splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit():
            counts[words[0]] = int(words[1])


REQUESTS = 200


def ask_often(port, path):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(10):
        assert ask(client, "GET", path)[0] == 200
    yield
    # One more: its last call may not have come back when the counting ends.
    for _ in range(REQUESTS + 1):
        assert ask(client, "GET", path)[0] == 200
    client.close()
    yield


def assert_calls(counts, reads, writes):
    """Reads and writes are these a request, waiting is amortised, and there is nothing else."""
    slack = 10
    received = counts.pop("recvfrom", 0) + counts.pop("recvmsg", 0)
    sent = counts.pop("sendmsg", 0) + counts.pop("sendto", 0)
    waited = counts.pop("epoll_pwait2", 0)
    assert reads * REQUESTS <= received <= reads * REQUESTS + slack, received
    assert writes * REQUESTS <= sent <= writes * REQUESTS + slack, sent
    assert waited <= reads * REQUESTS + slack, waited
    counts.pop("total", None)
    assert sum(counts.values()) <= slack, counts


def test_keep_alive_request_costs_one_read_and_one_write():
    port = free_port()
    with example("hello", f"127.0.0.1:{port}") as hello:
        connect(port).close()
        often = ask_often(port, "/you")
        next(often)
        with counted(hello) as counts:
            next(often)
        assert_calls(counts, 1, 1)


def test_proxied_keep_alive_request_costs_two_reads_and_two_writes():
    port = free_port()
    origin = port + 1  # free_port() would say the same one again
    with example("hello", f"127.0.0.1:{origin}"):
        connect(origin).close()
        with example("reverse", f"127.0.0.1:{port}", f"127.0.0.1:{origin}") as reverse:
            connect(port).close()
            often = ask_often(port, "/you")
            next(often)
            with counted(reverse) as counts:
                next(often)
            assert_calls(counts, 2, 2)
