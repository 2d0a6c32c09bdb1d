# SPDX-License-Identifier: MIT
"""How connections end: halves, resets, ends that come with data."""
import socket
import time

import pytest

from harness import net

pytestmark = [pytest.mark.asan, pytest.mark.tsan]
BIG = 5_000_000


@pytest.fixture(params=["client", "upstream"])
def ends(request, pair):
    """(first, second): who acts first, from both sides."""
    client, upstream = pair.join()
    return (client, upstream) if request.param == "client" else (upstream, client)


@pytest.fixture
def weir_only(request):
    if request.config.getoption("--proxy") != "weir":
        pytest.skip("needs weir: other proxies turn some resets into ends")


@pytest.mark.parametrize("size", [0, 1, BIG])
def test_half_close(ends, size):
    """The end of one direction arrives after its data; the other goes on for as long as it likes."""
    first, second = ends
    data = net.payload(size)
    sent = net.Later(lambda: (first.sendall(data), first.shutdown(socket.SHUT_WR)))
    net.same(net.read_to_end(second), data)
    sent.result()
    time.sleep(0.1)
    back = net.payload(BIG, 2)
    sent = net.Later(lambda: (second.sendall(back), second.shutdown(socket.SHUT_WR)))
    net.same(net.read_to_end(first), back)
    sent.result()


def test_half_close_after_messages(ends):
    """The same once the flow is settled on its path."""
    first, second = ends
    for _ in range(100):
        first.sendall(b"ping")
        assert net.read_exactly(second, 4) == b"ping"
        second.sendall(b"pong")
        assert net.read_exactly(first, 4) == b"pong"
    first.sendall(b"last")
    first.shutdown(socket.SHUT_WR)
    assert net.read_to_end(second) == b"last"
    second.sendall(b"and the answer")
    second.close()
    assert net.read_to_end(first) == b"and the answer"


def test_both_halves_at_once(ends):
    first, second = ends
    data = net.payload(BIG)
    up = net.Later(lambda: (first.sendall(data), first.shutdown(socket.SHUT_WR)))
    down = net.Later(lambda: (second.sendall(data), second.shutdown(socket.SHUT_WR)))
    one, two = net.Later(net.read_to_end, first), net.Later(net.read_to_end, second)
    net.same(one.result(), data)
    net.same(two.result(), data)
    up.result()
    down.result()


def test_end_with_the_first_data(pair):
    """Request and FIN are there before the proxy has connected; the origin answers later."""
    client = net.connect(pair.address)
    client.sendall(b"all there is")
    client.shutdown(socket.SHUT_WR)
    time.sleep(0.1)
    server = pair.listener.accept()[0]
    server.settimeout(20)
    assert net.read_to_end(server) == b"all there is"
    data = net.payload(BIG)
    sent = net.Later(lambda: (server.sendall(data), server.close()))
    net.same(net.read_to_end(client), data)
    sent.result()
    client.close()


def test_origin_speaks_and_ends_at_once(pair):
    for _ in range(20):
        client, server = pair.join()
        server.sendall(b"220 and goodbye")
        server.close()
        assert net.read_to_end(client) == b"220 and goodbye"
        client.close()


def test_close_without_a_byte(ends):
    first, second = ends
    first.close()
    assert net.ended(second) == "end"


def test_reset(ends, weir_only):
    first, second = ends
    first.sendall(b"before")
    assert net.read_exactly(second, 6) == b"before"
    net.reset(first)
    assert net.ended(second) == "reset"


def test_reset_after_messages(ends, weir_only):
    first, second = ends
    for _ in range(100):
        first.sendall(b"ping")
        assert net.read_exactly(second, 4) == b"ping"
        second.sendall(b"pong")
        assert net.read_exactly(first, 4) == b"pong"
    net.reset(first)
    assert net.ended(second) == "reset"


def test_reset_after_half_close(ends, weir_only):
    """The one who waits for the answer resets: nobody may be left hanging."""
    first, second = ends
    first.sendall(b"x")
    first.shutdown(socket.SHUT_WR)
    assert net.read_to_end(second) == b"x"
    net.reset(first)
    second.settimeout(10)

    def notice():
        for _ in range(100):
            second.send(b"y" * 1000)
            time.sleep(0.02)

    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        notice()


def test_reset_in_full_flow(ends, weir_only):
    """A reset of the reader stops the writer."""
    first, second = ends
    data = net.payload(1_000_000)

    def pour():
        for _ in range(200):
            second.sendall(data)

    poured = net.Later(pour)
    net.read_exactly(first, 3_000_000)
    net.reset(first)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        poured.result(20)


def test_abort_with_unread_data(ends, weir_only):
    """close() with data unread is a reset, too."""
    first, second = ends
    second.sendall(b"never read")
    time.sleep(0.2)
    first.close()
    assert net.ended(second) == "reset"
