# SPDX-License-Identifier: MIT
"""Back-pressure: a slow side slows the other one, and costs bounded memory."""
import select
import time

import pytest

from harness import build, net

RSS_MOST = 32 << 20


def largest(name):
    """How far the kernel lets a socket's buffer grow, in bytes."""
    with open(f"/proc/sys/net/ipv4/{name}", encoding="ascii") as limits:
        return int(limits.read().split()[2])


# Two sockets that receive, two that send, and what the proxy may hold itself.
MOST = 2 * (largest("tcp_rmem") + largest("tcp_wmem")) + RSS_MOST


@pytest.fixture(params=["up", "down"])
def ends(request, pair):
    """(reader, writer)"""
    client, upstream = pair.join()
    return (upstream, client) if request.param == "up" else (client, upstream)


def push(sock, piece, most, quiet=1.0):
    """Sends PIECE again and again until nothing fits for a while; the bytes."""
    sock.setblocking(False)
    sent = 0
    while sent < most:
        if not select.select([], [sock], [], quiet * build.SLOWER)[1]:
            break
        sent += sock.send(piece[sent % len(piece):])
    sock.settimeout(20)
    return sent


@pytest.mark.asan
def test_reader_that_stops(pair, ends):
    """The writer is stopped within bounds; then all of it arrives, in order."""
    reader, writer = ends
    piece = net.payload(1_000_003)
    rss = pair.daemon.rss() if pair.daemon.name == "weir" else 0
    sent = push(writer, piece, 4 * MOST)
    assert sent < MOST, f"{sent} bytes were taken although nobody reads"
    if pair.daemon.name == "weir" and build.VARIANT == "gcc":
        assert pair.daemon.rss() - rss < RSS_MOST
    writer.shutdown(1)
    got = net.Later(net.read_to_end, reader).result(60)
    net.same(got, (piece * (sent // len(piece) + 1))[:sent])


@pytest.mark.asan
@pytest.mark.tsan
def test_slow_reader(ends):
    """A reader with pauses gets everything."""
    reader, writer = ends
    data = net.payload(6_000_000)
    sent = net.Later(lambda: (writer.sendall(data), writer.shutdown(1)))
    got = bytearray()
    while True:
        piece = reader.recv(60_000)
        if not piece:
            break
        got += piece
        time.sleep(0.003)
    sent.result()
    net.same(bytes(got), data)


@pytest.mark.tsan
@pytest.mark.asan
def test_slow_writer(ends):
    """Small pieces with pauses arrive at once, each alone."""
    reader, writer = ends
    for i in range(30):
        piece = net.payload(1 + i * 37, i)
        writer.sendall(piece)
        start = time.monotonic()
        assert net.read_exactly(reader, len(piece)) == piece
        assert time.monotonic() - start < 2 * build.SLOWER
        time.sleep(0.02)


def test_one_stopped_flow_does_not_stop_others(pair):
    """On the same workers another pair goes on."""
    stuck = [pair.join() for _ in range(4)]
    for client, _ in stuck:
        push(client, net.payload(1_000_000), MOST, 0.3)
    client, server = pair.join()
    data = net.payload(3_000_000)
    for _ in range(3):
        sent = net.Later(client.sendall, data)
        net.same(net.read_exactly(server, len(data)), data)
        sent.result()
