# SPDX-License-Identifier: MIT
"""The control tool and the daemon: every command against a live proxy with a connection in it."""
import json
import shutil
import socket
import subprocess
import threading
import time

import pytest

from harness import build, net
from harness.process import wait_for
from harness.weir import config_of


@pytest.fixture
def echo():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve(client):
        with client:
            while True:
                try:
                    data = client.recv(65536)
                except OSError:
                    return
                if not data:
                    return
                client.sendall(data)

    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"127.0.0.1:{port}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def connect(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    exchange(client, b"hello")
    return client


def exchange(client, data):
    client.sendall(data)
    got = b""
    while len(got) < len(data):
        piece = client.recv(65536)
        assert piece
        got += piece
    assert got == data


def refused(proxy, *words):
    done = subprocess.run([build.program("weirctl"), "-s", proxy.socket_path, *words],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def rows(text):
    return [line.split() for line in text.splitlines()[1:]]


def test_every_command_against_a_live_proxy(weir, echo):
    port = net.free_port()
    proxy = weir(config_of(f"127.0.0.1:{port}", echo))
    with connect(port) as client:
        assert "running" in proxy.ctl("status")
        assert rows(proxy.ctl("listeners"))[0][:4] == ["in", f"127.0.0.1:{port}", "out", "1"]
        assert rows(proxy.ctl("upstreams"))[0][:4] == ["out", "round_robin", echo, "healthy"]
        flow = json.loads(proxy.ctl("flows", "--json"))[0]
        assert flow["bytes_up"] == 5 and flow["listener"] == "in"
        assert rows(proxy.ctl("flows", "-l", "in"))[0][0] == str(flow["id"])
        assert rows(proxy.ctl("flows", "-l", "other")) == []
        assert any(row[1] == "conn" for row in rows(proxy.ctl("tasks", "--stacks")))
        assert "PROBE" in proxy.ctl("kernel")
        assert 'weir_connections_total{listener="in"} 1' in proxy.ctl("metrics")

        proxy.ctl("flow", str(flow["id"]), "path", "splice")
        exchange(client, b"x" * 100000)
        exchange(client, b"y")
        assert json.loads(proxy.ctl("flows", "--json"))[0]["path"] == "splice"
        proxy.ctl("flow", str(flow["id"]), "close")
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass
        code, why = refused(proxy, "flow", "999999", "close")
        assert code == 1 and "999999" in why


def test_drained_endpoints_take_nothing_new(weir, echo):
    port = net.free_port()
    proxy = weir(config_of(f"127.0.0.1:{port}", echo))
    proxy.ctl("upstream", "out", "drain", echo)
    assert rows(proxy.ctl("upstreams"))[0][3] == "draining"
    with pytest.raises((AssertionError, OSError)):
        connect(port).close()
    proxy.ctl("upstream", "out", "resume", echo)
    connect(port).close()
    code, why = refused(proxy, "upstream", "out", "drain", "127.0.0.1:1")
    assert code == 1 and "127.0.0.1:1" in why


def test_reload_says_what_is_wrong(weir, echo):
    port = net.free_port()
    config = config_of(f"127.0.0.1:{port}", echo)
    proxy = weir(config)
    assert proxy.ctl("reload") == "reloaded, generation 2\n"
    config["listeners"][0]["bogus"] = 1
    proxy.write(config)
    code, why = refused(proxy, "reload")
    assert code == 1
    assert why.startswith(f"weirctl: {proxy.config_path}:") and "bogus" in why
    connect(port).close()


def test_log_and_drain(weir, echo):
    port = net.free_port()
    proxy = weir(config_of(f"127.0.0.1:{port}", echo))
    proxy.ctl("log", "debug")
    with connect(port):
        started = time.monotonic()
        assert proxy.ctl("drain", "--deadline", "300ms") == "draining\n"
        proxy.process.wait(30 * build.SLOWER)
        assert time.monotonic() - started < 20 * build.SLOWER
    assert refused(proxy, "status")[0] == 2


@pytest.fixture
def bpffs(folder):
    """A BPF file system of our own."""
    done = subprocess.run(["mount", "-t", "bpf", "weir-test", folder], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"needs root,bpf: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_maps_outlive_a_killed_daemon(weir, echo, bpffs):
    port, pin = net.free_port(), f"{bpffs}/weir"
    proxy = weir({**config_of(f"127.0.0.1:{port}", echo), "offload": {"pin": pin}})
    if not proxy.get("/v1/status")["offload"]["available"]:
        pytest.skip("needs bpf: offload is not available")
    names = {row[1] for row in rows(proxy.ctl("maps", "--pin", pin))}
    assert names
    maps = json.loads(proxy.ctl("maps", "--json", "--pin", pin))
    assert {item["name"] for item in maps} == names
    with connect(port):
        proxy.kill()
    assert {row[1] for row in rows(proxy.ctl("maps", "--pin", pin))} == names
    assert "COUNTER" in proxy.ctl("kernel", "--pin", pin)
    assert "ID" in proxy.ctl("flows", "--pin", pin)
    assert json.loads(proxy.ctl("flows", "--json", "--pin", pin)) == []


def test_flows_in_the_kernel_outlive_a_killed_daemon(weir, bpffs):
    """Both directions with their ends, path and exact bytes: while the daemon is there, and from the
    pinned maps when it was killed; bpftool reads the same."""
    address, pin = net.free_address(), f"{bpffs}/weir"
    listener = net.listen(net.free_address())
    proxy = weir({**config_of(address, "%s:%d" % listener.getsockname(), ["sockmap"]),
                  "offload": {"pin": pin}})
    if not proxy.get("/v1/status")["offload"]["available"]:
        pytest.skip("needs bpf: offload is not available")
    client, server = net.connect(address), listener.accept()[0]
    server.settimeout(20)
    wait_for(lambda: [flow["path"] for flow in proxy.get("/v1/flows")] == ["sockmap"],
             5 * build.SLOWER, "the hand-over")
    for _ in range(50):
        client.sendall(b"question")
        assert net.read_exactly(server, 8) == b"question"
        server.sendall(b"yes")
        assert net.read_exactly(client, 3) == b"yes"
    flow = json.loads(proxy.ctl("flows", "--json"))[0]
    assert flow["path"] == "sockmap" and flow["why"] == "" and flow["spills"] == 0
    assert (flow["bytes_up"], flow["bytes_down"]) == (400, 150)
    titles = proxy.ctl("flows").splitlines()[0]
    for title in ("PATH", "UP", "DOWN", "AGE", "AVERAGE", "SPILLS", "WHY NOT BETTER"):
        assert title in titles
    proxy.kill()
    pinned = {row["way"]: row
              for row in json.loads(proxy.ctl("flows", "--json", "--pin", pin))}
    assert set(pinned) == {"up", "down"}
    for way, size in (("up", 400), ("down", 150)):
        row = pinned[way]
        assert row["before_bytes"] + row["redirected_bytes"] + row["passed_bytes"] == size, row
        assert row["redirected_bytes"] > 0 and row["path"] == "sockmap", row
        assert row["id"] == flow["id"] and row["listener"] == "in", row
    assert pinned["up"]["from"] == "%s:%d" % client.getsockname()
    assert rows(proxy.ctl("flows", "--pin", pin)) != []
    counters = dict(line.split()[:2] for line in
                    proxy.ctl("kernel", "--pin", pin).splitlines()[1:] if line.strip())
    assert int(counters["redirected_segments"]) >= 90
    if shutil.which("bpftool"):
        dump = subprocess.run(["bpftool", "map", "dump", "pinned", f"{pin}/weir_flows"],
                              capture_output=True, text=True, check=True).stdout
        for text in ("WEIR_FLOW_SOCKMAP", "WEIR_FLOW_REDIRECTED", '"listener": "in"'):
            assert text in dump, dump
    for sock in (client, server, listener):
        sock.close()
