# SPDX-License-Identifier: MIT
"""What goes in comes out, byte for byte, on every path."""
import itertools

import pytest

from conftest import PATHS, marked
from harness import build, load, net
from harness.process import wait_for
from harness.weir import config_of

SIZES = [0, 1, 1447, 65535, 65536, 65537, (1 << 20) + 1, 20_000_003]


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("way", ["up", "down", "both"])
def test_sizes_around_the_buffers(carried, way):
    for size in SIZES:
        up = size if way != "down" else 0
        down = size if way != "up" else 0
        load.run("transfer", carried, "-c", 2, "-u", up, "-d", down, "-v")


@pytest.mark.asan
@pytest.mark.parametrize("write", [100, 4096, 16384, 131072])
def test_sizes_of_writes(carried, write):
    size = 300_000 if write == 100 else 30_000_000
    load.run("transfer", carried, "-u", size, "-d", size, "-w", write, "-v")


@pytest.mark.tsan
def test_many_flows_in_bulk(carried):
    load.run("transfer", carried, "-c", 8, "-u", 20_000_000, "-d", 20_000_000, "-v")


@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("size", [1, 100, 16384, 65537, 200_000])
def test_messages_of_one_size(carried, size):
    rounds = 2000 if size < 1000 else 100
    result = load.run("echo", carried, "-c", 4, "-r", rounds, "-s", size)
    assert result["requests"] == 4 * rounds


@pytest.mark.slow
@pytest.mark.parametrize("path,way", marked(itertools.product(PATHS, ["up", "down"]),
                                            [("copy", "up"), ("splice", "down")],
                                            pytest.mark.asan, pytest.mark.tsan),
                         indirect=["path"])
def test_more_than_4_gib(proxy, path, origin, way):
    """Counters and offsets of 32 bits would show, and the stall of old kernels at 2 GiB. What the
    bytes are is looked at where that costs little."""
    address = net.free_address()
    daemon = proxy(config_of(address, origin["ipv4"], path))
    size = (1 << 32) + 123_456_789
    verify = ["-v"] if build.VARIANT == "gcc" else []
    done = load.run("transfer", address, "-u" if way == "up" else "-d", size, "-w", 262144, *verify)
    assert done[f"bytes_{way}"] >= size
    if daemon.name != "weir":
        return
    wait_for(lambda: not daemon.get("/v1/flows"), 5 * build.SLOWER, "the flow's end")
    assert daemon.get("/v1/status")["bytes"] == {"up": done["bytes_up"], "down": done["bytes_down"]}


def test_bulk_and_messages_by_turns(pair):
    """A flow that changes its behaviour, and with it the path, again and again."""
    client, server = pair.join()
    bulk = net.payload(3_000_000, 1)
    for turn in range(6):
        for _ in range(60):
            client.sendall(b"q%07d" % turn)
            assert net.read_exactly(server, 8) == b"q%07d" % turn
            server.sendall(b"answer")
            assert net.read_exactly(client, 6) == b"answer"
        source, sink = (client, server) if turn % 2 else (server, client)
        sent = net.Later(source.sendall, bulk)
        net.same(net.read_exactly(sink, len(bulk)), bulk)
        sent.result()


@pytest.mark.asan
def test_one_byte_segments(pair):
    client, server = pair.join()
    data = net.payload(3000)

    def trickle(sock):
        for i in range(len(data)):
            sock.send(data[i:i + 1])

    up, down = net.Later(trickle, client), net.Later(trickle, server)
    net.same(net.read_exactly(server, len(data)), data)
    net.same(net.read_exactly(client, len(data)), data)
    up.result()
    down.result()


FAMILIES = ["ipv4", "ipv6", "unix", "abstract"]


@pytest.mark.asan
@pytest.mark.parametrize("client,upstream", marked(itertools.product(FAMILIES, FAMILIES),
                                                   [("ipv6", "unix"), ("unix", "ipv6")],
                                                   pytest.mark.tsan))
def test_families(request, proxy, path, origin, folder, client, upstream):
    """Every kind of socket in front and behind; the kernel path may decline, not fail."""
    if request.config.getoption("--proxy") == "haproxy" and "abstract" in (client, upstream):
        pytest.skip("needs weir: HAProxy pads abstract names")
    address = {"ipv4": net.free_address, "ipv6": lambda: net.free_address("::1"),
               "unix": lambda: f"unix:{folder}/in.sock",
               "abstract": lambda: f"unix:@weir-test-in-{net.free_port()}"}[client]()
    proxy(config_of(address, origin[upstream], path))
    load.run("transfer", address, "-c", 2, "-u", 3_000_000, "-d", 3_000_000, "-v")
    load.run("echo", address, "-c", 4, "-r", 200, "-s", 100)


def test_dual_stack_port(weir, origin):
    """A bare port takes IPv4 and IPv6."""
    port = net.free_port("::")
    weir(config_of(str(port), origin["ipv4"]))
    load.run("echo", f"127.0.0.1:{port}", "-r", 10)
    load.run("echo", f"[::1]:{port}", "-r", 10)
