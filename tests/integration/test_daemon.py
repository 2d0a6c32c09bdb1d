# SPDX-License-Identifier: MIT
"""The daemon's life under traffic: reload, drain, kill, limits, failing upstreams."""
import os
import re
import signal
import stat
import time

import pytest

from harness import build, load, net
from harness.process import wait_for
from harness.weir import config_of

pytestmark = pytest.mark.asan
SLOWER = build.SLOWER


@pytest.fixture
def nobody():
    """An address where nobody listens."""
    return net.free_address()


@pytest.mark.tsan
def test_reload_under_load(weir, path, origin):
    """Not one connection fails while the configuration changes."""
    address = net.free_address()
    config = config_of(address, origin["ipv4"], path)
    daemon = weir(config)
    traffic = load.Load("echo", address, "-c", 20, "-r", 3, "-s", 100, "-t", 4)
    held = load.hold(address, 50)
    for turn in range(8):
        config["listeners"][0]["tcp"]["idle_timeout"] = f"{60 + turn}s"
        status, answer = daemon.reload(config)
        assert status == 200, answer
        time.sleep(0.3)
    result = traffic.result()
    assert result["failed"] == 0 and result["good"] > 100, result
    held.release()
    assert held.result()["good"] == 50


def test_reload_by_signal(weir, origin):
    one, two = net.free_address(), net.free_address()
    daemon = weir(config_of(one, origin["ipv4"]))
    daemon.write(config_of(two, origin["ipv4"]))
    daemon.process.send(signal.SIGHUP)
    wait_for(lambda: net.can_connect(two), 5 * SLOWER, "the new listener")
    wait_for(lambda: not net.can_connect(one), 5 * SLOWER, "the end of the old one")


def test_reload_with_a_mistake(weir, origin):
    """The old configuration goes on; the caller is told file, line and remedy."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"]))
    before = daemon.get("/v1/status")["generation"]
    status, answer = daemon.reload("listeners:\n  - { name: in, adress: '127.0.0.1:1' }\n")
    assert status == 400, answer
    error = answer["error"]
    assert error["line"] == 2 and error["file"].endswith("weir.yaml") and error["message"], error
    assert daemon.get("/v1/status")["generation"] == before
    load.run("echo", address, "-c", 4, "-n", 40)


@pytest.mark.tsan
def test_drain(weir, path, origin):
    """SIGTERM: no new ones, and those that are there may end in peace."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], path))
    held = load.hold(address, 20)
    daemon.process.send(signal.SIGTERM)
    wait_for(lambda: not net.can_connect(address), 5 * SLOWER, "a closed listener")
    assert daemon.process.is_running()
    held.release()
    assert held.result()["good"] == 20
    assert daemon.process.wait(10 * SLOWER) == 0


@pytest.mark.tsan
@pytest.mark.parametrize("keeper", (False, True))
def test_signals_until_the_end(weir, origin, keeper):
    """None is lost, and none that comes while it ends makes an orderly end a death by signal."""
    for _ in range(5):
        daemon = weir(config_of(net.free_address(), origin["ipv4"]), keeper=keeper)
        while daemon.process.is_running():
            daemon.process.send(signal.SIGTERM)
        assert daemon.process.wait(1) == 0
        assert "stopped" in daemon.log()


def test_drain_deadline(weir, origin):
    """What does not end is ended."""
    address = net.free_address()
    daemon = weir({**config_of(address, origin["ipv4"]), "shutdown": {"deadline": "1s"}})
    client = net.connect(address)
    # What waits in the backlog is no connection of the daemon's yet.
    wait_for(lambda: daemon.get("/v1/flows"), 5 * SLOWER, "a flow")
    start = time.monotonic()
    daemon.process.send(signal.SIGTERM)
    assert daemon.process.wait(10 * SLOWER) == 0
    assert time.monotonic() - start > 0.8
    assert net.ended(client) in ("reset", "end")
    client.close()


@pytest.mark.tsan
def test_kill_and_restart(weir, path, folder, origin):
    """A killed daemon leaves nothing that keeps the next one from starting."""
    address = f"unix:{folder}/in.sock"
    daemon = weir(config_of(address, origin["ipv4"], path))
    held = load.hold(address, 5)
    daemon.kill()
    held.release()
    assert held.result()["good"] == 0
    daemon.start()
    daemon.expected = 0
    load.run("echo", address, "-c", 4, "-n", 100)


@pytest.mark.tsan
def test_refused_connect_resets_the_client(weir, path, nobody):
    address = net.free_address()
    weir(config_of(address, nobody, path))
    assert net.is_refused(address)


@pytest.mark.tsan
def test_connect_timeout(weir, path):
    """A listener whose queue is full does not answer."""
    full = net.listen(net.free_address(), backlog=0)
    stuffing = [net.connect("%s:%d" % full.getsockname())]
    address = net.free_address()
    daemon = weir(config_of(address, "%s:%d" % full.getsockname(), path,
                            upstream={"connect": {"timeout": "700ms"}, "retry": {"attempts": 1}}))
    start = time.monotonic()
    client = net.connect(address)
    assert net.ended(client) == "reset"
    assert 0.5 < time.monotonic() - start < 5 * SLOWER
    for sock in (client, full, *stuffing):
        sock.close()
    assert daemon.process.is_running()


def test_idle_timeout(weir, path, origin):
    """Silence ends a connection, traffic keeps it."""
    address = net.free_address()
    listener = net.listen(net.free_address())
    weir(config_of(address, "%s:%d" % listener.getsockname(), path, tcp={"idle_timeout": "2s"}))
    client = net.connect(address)
    server = listener.accept()[0]
    server.settimeout(20)
    for _ in range(8):
        client.sendall(b"x")
        assert net.read_exactly(server, 1) == b"x"
        time.sleep(0.3)
    start = time.monotonic()
    assert net.ended(client) == "reset"
    assert time.monotonic() - start > 1
    assert net.ended(server) == "reset"
    for sock in (client, server, listener):
        sock.close()


def test_lifetime(weir, path):
    address = net.free_address()
    listener = net.listen(net.free_address())
    weir(config_of(address, "%s:%d" % listener.getsockname(), path, tcp={"lifetime": "1s"}))
    client = net.connect(address)
    server = listener.accept()[0]
    start = time.monotonic()
    while time.monotonic() - start < 10 * SLOWER:
        try:
            client.sendall(b"x")
            time.sleep(0.05)
        except (ConnectionResetError, BrokenPipeError):
            break
    assert 0.8 < time.monotonic() - start < 6 * SLOWER
    for sock in (client, server, listener):
        sock.close()


def test_connection_limit(weir, origin):
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], layers=[{"limit": {"connections": 5}}]))
    held = load.hold(address, 5)
    assert net.is_refused(address)
    held.release()
    assert held.result()["good"] == 5
    wait_for(lambda: daemon.get("/v1/status")["connections"]["active"] == 0, 5 * SLOWER, "room")
    load.run("echo", address, "-n", 3)


@pytest.mark.tsan
def test_source_limit(weir, origin):
    """One address has used its share, another one has not."""
    address = net.free_address()
    weir(config_of(address, origin["ipv4"], layers=[{"source_limit": {"connections": 3}}]))
    held = load.hold(address, 3)
    assert net.is_refused(address)
    other = net.connect(address, source="127.0.0.77")
    other.settimeout(0.5)
    with pytest.raises(TimeoutError):
        other.recv(1)
    other.close()
    held.release()
    assert held.result()["good"] == 3


def test_source_rate(weir, origin):
    address = net.free_address()
    weir(config_of(address, origin["ipv4"], layers=[{"source_limit": {"rate": 1, "burst": 4}}]))
    result = load.Load("echo", address, "-n", 30).result()
    assert 4 <= result["good"] <= 4 + result["seconds"] + 1, result


def test_bandwidth(weir, origin):
    address = net.free_address()
    weir(config_of(address, origin["ipv4"],
                   layers=[{"bandwidth": {"upload": "2MiB", "download": "2MiB"}}]))
    up = load.run("transfer", address, "-u", 5_000_000, "-v")
    down = load.run("transfer", address, "-d", 5_000_000, "-v")
    assert up["seconds"] > 1.8 and down["seconds"] > 1.8, (up, down)


def test_failover(weir, origin, nobody):
    """A dead endpoint costs no connection."""
    address = net.free_address()
    daemon = weir(config_of(address, [nobody, origin["ipv4"]]))
    load.run("echo", address, "-c", 4, "-n", 200)
    endpoints = daemon.get("/v1/upstreams")[0]["endpoints"]
    assert {e["name"]: e["total"] > 0 for e in endpoints}[origin["ipv4"]]
    assert any(e["failures"] > 0 for e in endpoints)


@pytest.mark.tsan
def test_ejection(weir, origin, nobody):
    address = net.free_address()
    daemon = weir(config_of(address, [nobody, origin["ipv4"]],
                            upstream={"ejection": {"failures": 3, "base": "60s"}}))
    load.run("echo", address, "-c", 4, "-n", 100)
    states = {e["name"]: e["state"] for e in daemon.get("/v1/upstreams")[0]["endpoints"]}
    assert states == {nobody: "ejected", origin["ipv4"]: "healthy"}


@pytest.mark.tsan
def test_health_check(weir, origin, nobody):
    address = net.free_address()
    daemon = weir(config_of(address, [nobody, origin["ipv4"]],
                            upstream={"health": {"tcp": {}, "interval": "100ms"}}))

    def states():
        return {e["name"]: e["state"] for e in daemon.get("/v1/upstreams")[0]["endpoints"]}

    wait_for(lambda: states()[nobody] == "unhealthy", 10 * SLOWER, "the dead endpoint's state")
    listener = net.listen(nobody)
    wait_for(lambda: states()[nobody] == "healthy", 10 * SLOWER, "the endpoint's return")
    listener.close()


def test_backup(weir, origin, nobody):
    address = net.free_address()
    weir(config_of(address, [nobody, {"address": origin["ipv4"], "backup": True}]))
    load.run("echo", address, "-c", 4, "-n", 50)


@pytest.mark.tsan
def test_endpoint_limit_with_a_queue(weir, origin):
    """Forty clients share two places; those who wait get their turn."""
    address = net.free_address()
    weir(config_of(address, origin["ipv4"],
                   upstream={"limit": {"connections": 2, "queue": 100, "queue_timeout": "20s"}}))
    load.run("echo", address, "-c", 40, "-n", 200, "-r", 2)


@pytest.mark.tsan
def test_counts(weir, path, origin):
    """Bytes and connections are what they were, on every path."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], path))
    result = load.run("transfer", address, "-c", 3, "-u", 1_000_000, "-d", 500_000, "-v")
    wait_for(lambda: daemon.get("/v1/status")["connections"]["active"] == 0, 5 * SLOWER, "an end")
    status = daemon.get("/v1/status")
    assert status["connections"]["accepted"] == 3
    assert status["bytes"] == {"up": result["bytes_up"], "down": result["bytes_down"]}
    assert any(name.startswith("weir_") for name in daemon.metrics())


def test_access_log(weir, path, origin):
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], path, layers=[{"access_log": {}}]))
    load.run("transfer", address, "-u", 1000, "-d", 500)
    daemon.wait_log("client_closed")
    line = next(s for s in daemon.log().splitlines() if "client_closed" in s)
    fields = dict(re.findall(r"(\w+)=(\S+)", line))
    assert fields["client"].startswith("127.0.0.1:"), line
    assert (fields["upstream"], fields["endpoint"]) == ("out", origin["ipv4"]), line
    assert (fields["bytes_up"], fields["bytes_down"]) == ("1032", "516"), line


def test_admin_socket_is_private(weir, origin):
    daemon = weir(config_of(net.free_address(), origin["ipv4"]))
    assert stat.S_IMODE(os.stat(daemon.socket_path).st_mode) & 0o007 == 0
    assert daemon.api("GET", "/v1/nothing")[0] == 404
    assert daemon.api("DELETE", "/v1/status")[0] in (404, 405)


@pytest.mark.tsan
def test_flow_is_closed_by_the_operator(weir, path, origin):
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], path))
    client = net.connect(address)
    flow = wait_for(lambda: daemon.get("/v1/flows"), 5 * SLOWER, "a flow")[0]
    assert daemon.api("POST", f"/v1/flows/{flow['id']}/close")[0] in (200, 202, 204)
    assert net.ended(client) == "reset"
    client.close()
