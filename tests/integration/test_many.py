# SPDX-License-Identifier: MIT
"""Numbers: many connections one after the other, many at once, and too many."""
import select
import time

import pytest

from harness import build, load, net
from harness.process import wait_for
from harness.weir import config_of


@pytest.mark.asan
@pytest.mark.tsan
def test_5000_short_connections(carried):
    result = load.run("echo", carried, "-c", 32, "-n", 5000, "-r", 1, "-s", 200)
    assert result["good"] == 5000


@pytest.mark.asan
def test_5000_short_connections_closed_abruptly(carried):
    load.run("echo", carried, "-c", 32, "-n", 5000, "-r", 1, "-s", 200, "-x")


@pytest.mark.asan
@pytest.mark.tsan
def test_1000_connections_at_once(carried):
    load.run("transfer", carried, "-c", 1000, "-u", 20_000, "-d", 20_000, "-v")


@pytest.mark.asan
def test_1000_idle_connections(weir, path, origin):
    """They hold their place, still work after a while, and leave nothing behind."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], path))
    load.run("echo", address, "-c", 10, "-n", 100)
    wait_for(lambda: daemon.get("/v1/status")["connections"]["active"] == 0, 5 * build.SLOWER,
             "an empty daemon")
    before = daemon.descriptors()
    held = load.hold(address, 1000)
    assert daemon.get("/v1/status")["connections"]["active"] == 1000
    assert len(daemon.get("/v1/flows")) == 1000
    held.release()
    result = held.result()
    assert result["good"] == 1000, result
    wait_for(lambda: daemon.get("/v1/status")["connections"]["active"] == 0, 5 * build.SLOWER,
             "an empty daemon")
    # Pipes and the like may be kept for reuse, not more.
    assert daemon.descriptors() <= before + 80


@pytest.mark.asan
@pytest.mark.tsan
def test_out_of_descriptors(weir, path, origin):
    """With far too few descriptors for its clients the daemon takes those that it can serve; the
    others wait. It resets nobody, never spins, and everybody gets a turn."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], path), files=100)
    load.run("echo", address, "-c", 300, "-n", 900, "-r", 2)
    clients = [net.connect(address) for _ in range(300)]
    time.sleep(0.5)
    assert len(daemon.get("/v1/flows")) > 5
    busy = cpu_seconds(daemon)
    time.sleep(1)
    assert cpu_seconds(daemon) - busy < 0.5, "it spins while it waits for descriptors"
    assert daemon.process.is_running()
    assert not select.select(clients, [], [], 0)[0], "some were reset"
    assert not [n for n in daemon.metrics() if n.startswith("weir_forward_refusals_total")]
    for client in clients:
        client.close()
    wait_for(lambda: load.Load("echo", address, "-c", 5, "-n", 50).result()["failed"] == 0,
             10 * build.SLOWER, "good sessions after the flood", 0.2)
    load.run("echo", address, "-c", 10, "-n", 500, "-r", 2)
    load.run("transfer", address, "-c", 5, "-u", 1_000_000, "-d", 1_000_000, "-v")


def cpu_seconds(daemon):
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.slow
def test_memory_does_not_grow(weir, path, origin):
    """The same work again and again in the same memory."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], path))

    def work():
        load.run("echo", address, "-c", 100, "-n", 5000, "-r", 2, "-s", 100)
        return daemon.rss()

    work()
    first = work()
    last = [work() for _ in range(4)][-1]
    if build.VARIANT == "gcc":
        assert last < first + (2 << 20), f"{first} to {last} bytes"
