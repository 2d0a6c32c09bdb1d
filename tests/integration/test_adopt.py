# SPDX-License-Identifier: MIT
"""Flows in the kernel outlive the daemon: every byte, every end, every count, after SIGKILL."""
import json
import os
import random
import re
import signal
import socket
import threading
import time

import pytest

from harness import build, load, net
from harness.process import wait_for
from harness.weir import config_of

pytestmark = pytest.mark.asan
SLOWER = build.SLOWER


@pytest.fixture(autouse=True)
def needs_kernel(kernel_path):
    if kernel_path:
        pytest.skip(f"needs bpf: {kernel_path}")


class Kept:
    """A daemon under a keeper, all flows in the kernel, with both ends in the test's hands."""

    def __init__(self, weir, folder, tcp=None, layers=(), upstream=None, paths=("sockmap",),
                 **options):
        self.listener = net.listen(net.free_address())
        self.address = net.free_address()
        self.log_path = os.path.join(folder, "access.log")
        self.open = []
        self.config = config_of(
            self.address, "%s:%d" % self.listener.getsockname(), [*paths], tcp=tcp,
            layers=[{"access_log": {"file": self.log_path, "format": "json"}}, *layers],
            upstream=upstream)
        self.daemon = weir(self.config, keeper=True, **{"options": ["--restarts", "0", "--backoff", "0"], **options})

    def join(self):
        """(client, server) of a new flow that the kernel carries."""
        client = net.connect(self.address)
        server = self.listener.accept()[0]
        server.settimeout(20)
        self.open += [client, server]
        exchange(client, server)
        known = {flow["client"] for flow in self.flows() if flow["path"] == "sockmap"}
        assert "%s:%d" % client.getsockname() in known
        self.wait_held([client])
        return client, server

    def wait_held(self, clients):
        """The keeper is told of a flow a moment after it went into the kernel. Until then a flow
        dies with its daemon."""
        ends = {client.getsockname() for client in clients}
        keeper = self.keeper()
        wait_for(lambda: ends <= {*map(net.peer_of, net.sockets_of(keeper))},
                 10 * SLOWER, "the keeper to hold the flow")

    def keeper(self):
        """The daemon's parent, which need not be what the test has started."""
        with open(f"/proc/{self.daemon.pid()}/stat", encoding="utf-8") as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[1])

    def flows(self):
        return self.daemon.get("/v1/flows")

    def kill(self):
        pid = self.daemon.pid()
        os.kill(pid, signal.SIGKILL)
        return pid

    def replaced(self, pid):
        def look():
            try:
                return self.daemon.pid() != pid
            except (OSError, AssertionError):
                return False
        wait_for(look, 20 * SLOWER, "another daemon")

    def restart(self):
        self.replaced(self.kill())

    def lines(self, n):
        """The access log once it has N lines."""
        def read():
            try:
                with open(self.log_path, encoding="utf-8") as file:
                    lines = [json.loads(line) for line in file]
            except FileNotFoundError:
                return None
            return lines if len(lines) >= n else None
        lines = wait_for(read, 10 * SLOWER, f"{n} lines in the access log")
        assert len(lines) == n, lines
        return lines

    def close(self):
        for sock in [*self.open, self.listener]:
            sock.close()


def exchange(client, server, up=b"up", down=b"down"):
    client.sendall(up)
    assert net.read_exactly(server, len(up)) == up
    server.sendall(down)
    assert net.read_exactly(client, len(down)) == down


@pytest.fixture
def kept(weir, folder):
    made = []

    def make(**options):
        made.append(Kept(weir, folder, **options))
        return made[-1]
    yield make
    for it in made:
        it.close()


@pytest.mark.tsan
def test_a_flow_goes_on(kept):
    """While nobody is there, and after it was adopted; then one line with all of it."""
    it = kept()
    client, server = it.join()
    before = it.flows()[0]
    up = 'weir_forward_bytes_total{listener="in",upstream="out",direction="up"}'
    counted = it.daemon.metrics().get(up, 0)  # what userspace carried, before the kernel did
    pid = it.kill()
    exchange(client, server, b"meanwhile", b"as well")
    it.replaced(pid)
    it.daemon.wait_log("flows are adopted adopted=1 reset=0")
    exchange(client, server, b"after", b"that")
    after = it.flows()[0]
    assert after["id"] == before["id"] and after["path"] == "sockmap"
    assert after["client"] == before["client"] and after["endpoint"] == before["endpoint"]
    assert after["bytes_up"] == len("upmeanwhileafter")
    assert after["bytes_down"] == len("downas wellthat")
    assert after["age_ms"] > before["age_ms"]
    status = it.daemon.get("/v1/status")
    assert status["connections"] == {"active": 1, "accepted": 0}
    metrics = it.daemon.metrics()
    assert metrics["weir_flows_adopted_total"] == 1
    assert metrics['weir_connections_active{listener="in"}'] == 1
    assert metrics['weir_forward_connections_active{listener="in",upstream="out"}'] == 1
    client.close()
    assert net.ended(server) == "end"
    server.close()
    line = it.lines(1)[0]
    assert line["bytes_up"] == len("upmeanwhileafter")
    assert line["bytes_down"] == len("downas wellthat")
    assert line["id"] == before["id"] and line["end"] == "client_closed", line
    assert line["upstream"] == "out" and line["path"] == "sockmap" and line["connect_ms"] > 0
    metrics = it.daemon.metrics()
    assert counted + metrics[up] == len("upmeanwhileafter")
    assert metrics['weir_connections_active{listener="in"}'] == 0


def test_ids_go_on(kept):
    """No connection has the number of another one, before or after."""
    it = kept()
    it.join()
    it.restart()
    it.join()
    it.restart()
    it.join()
    ids = [flow["id"] for flow in it.flows()]
    assert len(set(ids)) == 3, ids


@pytest.mark.parametrize("when", ("before", "between", "after"))
@pytest.mark.parametrize("who", ("client", "server"))
def test_half_close(kept, who, when):
    """The end of one side, before the death, while nobody is there, or after the adoption."""
    it = kept()
    pair = it.join()
    one, other = pair if who == "client" else pair[::-1]
    if when == "before":
        one.shutdown(socket.SHUT_WR)
        assert net.ended(other) == "end"
    pid = it.kill()
    if when == "between":
        one.sendall(b"last")
        one.shutdown(socket.SHUT_WR)
    it.replaced(pid)
    if when == "after":
        it.daemon.wait_log("flows are adopted adopted=1")
        one.shutdown(socket.SHUT_WR)
    if when == "between":
        assert net.read_exactly(other, 4) == b"last"
    if when != "before":
        assert net.ended(other) == "end"
    other.sendall(b"still here")
    assert net.read_exactly(one, 10) == b"still here"
    other.shutdown(socket.SHUT_WR)
    assert net.ended(one) == "end"
    line = it.lines(1)[0]
    assert line["end"] == ("client_closed" if who == "client" else "upstream_closed"), line


@pytest.mark.parametrize("when", ("between", "after"))
@pytest.mark.parametrize("who", ("client", "server"))
def test_reset(kept, who, when):
    it = kept()
    pair = it.join()
    one, other = pair if who == "client" else pair[::-1]
    pid = it.kill()
    if when == "between":
        net.reset(one)
    it.replaced(pid)
    if when == "after":
        it.daemon.wait_log("flows are adopted adopted=1")
        net.reset(one)
    assert net.ended(other) == "reset"
    line = it.lines(1)[0]
    assert line["end"] == ("client_reset" if who == "client" else "upstream_reset"), line


def test_spill_while_nobody_is_there(kept):
    """What outruns the receiver waits in the sockets; then it comes, in order, and no byte less."""
    it = kept()
    client, server = it.join()
    data = net.payload(16 << 20)
    pid = it.kill()
    sender = net.Later(client.sendall, data)
    time.sleep(0.2)
    it.replaced(pid)
    net.same(net.read_exactly(server, len(data)), data)
    sender.result()
    it.restart()
    exchange(client, server)
    client.close()
    assert net.ended(server) == "end"
    server.close()
    assert it.lines(1)[0]["bytes_up"] == len(data) + 4


def fill(it, client):
    """Sends until nothing is taken any more: the daemon has to do with the flow, and waits. What
    was sent."""
    data = net.payload(96 << 20)
    client.setblocking(False)
    sent, quiet = 0, time.monotonic()
    while time.monotonic() < quiet + 1:
        try:
            sent += client.send(data[sent:sent + 65536])
            quiet = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    client.settimeout(20)
    return data[:sent]


def test_a_receiver_that_does_not_read(kept):
    """All is full on the way, at several deaths. Then it reads, and nothing is missing."""
    it = kept()
    client, server = it.join()
    data = fill(it, client)
    assert len(data) > 1 << 20
    for _ in range(3):
        it.restart()
        time.sleep(0.2)
    net.same(net.read_exactly(server, len(data)), data)
    exchange(client, server)
    assert "cannot be adopted" not in it.daemon.log()


def steal(it, client, size):
    """Reads SIZE bytes of the flow behind the daemon's back, from its own socket: as though it had
    read them itself, and died."""
    stolen = b""
    for sock in net.sockets_of(it.daemon.pid()):
        if net.peer_of(sock) == client.getsockname():
            stolen = sock.recv(size, socket.MSG_DONTWAIT)
    assert len(stolen) == size


def test_bytes_in_the_hands_of_the_dead(kept):
    """They are gone with it: both sides see a reset, not a stream with a hole or an end that looks
    orderly."""
    it = kept()
    client, server = it.join()
    data = fill(it, client)
    steal(it, client, 1000)
    it.restart()
    it.daemon.wait_log("bytes of it were in the hands of the daemon that died")
    received = bytearray()
    with pytest.raises(ConnectionResetError):
        while piece := server.recv(1 << 20):
            received += piece
    net.same(bytes(received), data[:len(received)])
    assert it.lines(1)[0]["end"] == "error"
    cause = 'weir_flows_not_adopted_total{cause="bytes_lost"}'
    assert it.daemon.metrics()[cause] == 1


def test_idle_timeout_goes_on(kept):
    """Time that had passed before counts."""
    idle = 3 + SLOWER
    it = kept(tcp={"idle_timeout": f"{idle}s"})
    client, server = it.join()
    began = time.monotonic()
    it.restart()
    assert it.flows(), "it has ended too early"
    assert net.ended(client) == "reset" and net.ended(server) == "reset"
    assert time.monotonic() - began >= idle - 0.5, it.lines(1)
    assert it.lines(1)[0]["end"] == "idle"


def test_lifetime_goes_on(kept):
    it = kept(tcp={"lifetime": f"{3 * SLOWER}s"}, layers=[{"timeout": {"lifetime": "1h"}}])
    client, server = it.join()
    stop = time.monotonic() + 2 * SLOWER
    it.restart()
    while time.monotonic() < stop:
        exchange(client, server)
        time.sleep(0.05)
    assert net.ended(client) == "reset"
    assert it.lines(1)[0]["end"] == "lifetime"


def test_orders_after_adoption(kept):
    """An operator closes one of two flows."""
    it = kept()
    one, two = it.join(), it.join()
    it.restart()
    it.daemon.wait_log("adopted=2 reset=0")
    flows = it.flows()
    assert it.daemon.api("POST", f"/v1/flows/{flows[0]['id']}/close")[0] == 200
    assert net.ended(one[0]) == "reset"
    exchange(*two)


def test_paths_after_adoption(kept):
    """Out of the kernel, and in again, in a process that did not bring it there. While it is out it
    dies with its daemon."""
    it = kept(paths=("sockmap", "copy"))
    client = net.connect(it.address)
    server = it.listener.accept()[0]
    server.settimeout(20)
    it.open += [client, server]
    exchange(client, server)

    def move(path):
        flow = it.flows()[0]
        assert it.daemon.api("POST", f"/v1/flows/{flow['id']}/path?path={path}")[0] == 200
        wait_for(lambda: it.flows()[0]["path"] == path, 10 * SLOWER, path)
        exchange(client, server)

    move("sockmap")
    it.wait_held([client])
    it.restart()
    it.daemon.wait_log("adopted=1 reset=0")
    move("copy")
    move("sockmap")
    it.wait_held([client])
    it.restart()
    wait_for(it.flows, 10 * SLOWER, "the flow")
    assert it.flows()[0]["bytes_up"] == 2 * 4
    move("copy")
    it.restart()
    assert net.ended(client) == "reset" and net.ended(server) == "reset"


def test_limits_count_adopted_flows(kept):
    """Of the endpoint and of the listener, both."""
    it = kept(layers=[{"limit": {"connections": 3}}],
              upstream={"limit": {"connections": 2, "queue": 0}})
    pairs = [it.join(), it.join()]
    it.restart()
    it.daemon.wait_log("adopted=2 reset=0")
    active = it.daemon.get("/v1/upstreams")[0]["endpoints"][0]["active"]
    assert active == 2, active
    assert net.is_refused(it.address)
    pairs[0][0].close()
    assert net.ended(pairs[0][1]) == "end"
    pairs[0][1].close()
    wait_for(lambda: len(it.flows()) == 1, 10 * SLOWER, "the end of one")
    it.join()


def test_adopted_as_the_new_configuration_says(kept):
    """A flow whose listener is gone is reset, and said; others go on."""
    it = kept()
    client, server = it.join()
    config = json.loads(json.dumps(it.config))
    config["listeners"][0]["name"] = "other"
    it.daemon.write(config)
    it.restart()
    assert net.ended(client) == "reset" and net.ended(server) == "reset"
    it.daemon.wait_log("its listener is no longer configured")
    cause = 'weir_flows_not_adopted_total{cause="no_listener"}'
    assert it.daemon.metrics()[cause] == 1


def test_userspace_is_reset(weir, origin):
    """Connections that the daemon itself carried end with a reset, not with an end that looks
    orderly, and are counted."""
    listener = net.listen(net.free_address())
    address = net.free_address()
    daemon = weir(config_of(address, "%s:%d" % listener.getsockname(), ["copy"]), keeper=True,
                  options=["--restarts", "0", "--backoff", "0"])
    pairs = []
    for _ in range(5):
        client = net.connect(address)
        server = listener.accept()[0]
        server.settimeout(20)
        exchange(client, server)
        pairs.append((client, server))
    pid = daemon.pid()
    os.kill(pid, signal.SIGKILL)
    for client, server in pairs:
        assert net.ended(client) == "reset" and net.ended(server) == "reset"
    daemon.wait_log("lost_in_userspace=5")
    wait_for(lambda: daemon.metrics()["weir_connections_lost_total"] == 5, 10 * SLOWER, "a count")
    for pair in pairs:
        for sock in pair:
            sock.close()
    listener.close()


# ---- many deaths under traffic -------------------------------------------------------------------

class Talk:
    """A flow on which both sides send numbered pieces of random sizes, all checked, until stop().
    Some sides are slow, so that there are spills."""

    def __init__(self, it, seed):
        self.client, self.server = it.join()
        self.stopping = threading.Event()
        self.sent = {}
        self.random = random.Random(seed)
        slow = self.random.random() < 0.3
        self.parts = [net.Later(self.send, self.client, "up", seed),
                      net.Later(self.send, self.server, "down", seed + 1),
                      net.Later(self.receive, self.server, "up", seed, slow),
                      net.Later(self.receive, self.client, "down", seed + 1, False)]

    @staticmethod
    def stream(seed):
        generator = random.Random(seed)
        while True:
            yield generator.randbytes(4096)

    def send(self, sock, way, seed):
        sizes = random.Random(-seed - 1)
        total, rest = 0, b""
        pieces = self.stream(seed)
        while not self.stopping.is_set():
            size = sizes.choice((1, 10, 100, 1000, 60000))
            while len(rest) < size:
                rest += next(pieces)
            sock.sendall(rest[:size])
            rest, total = rest[size:], total + size
            time.sleep(sizes.choice((0, 0, 0.001, 0.01)))
        self.sent[way] = total
        sock.shutdown(socket.SHUT_WR)

    def receive(self, sock, way, seed, slow):
        pieces, expected, total = self.stream(seed), b"", 0
        while True:
            data = sock.recv(65536)
            if not data:
                return way, total
            while len(expected) < len(data):
                expected += next(pieces)
            if not expected.startswith(data):
                net.same(data, expected[:len(data)])
            expected, total = expected[len(data):], total + len(data)
            if slow:
                time.sleep(0.002)

    def stop(self):
        """{way: bytes} that were sent and came."""
        self.stopping.set()
        came = dict(part.result(120 * SLOWER) for part in self.parts[2:])
        for part in self.parts[:2]:
            part.result()
        assert came == self.sent
        return came


@pytest.mark.slow
def test_many_deaths_under_traffic(kept):
    """SIGKILL at random moments: of the flows that are adopted no byte is wrong or missing. A flow
    that dies with bytes in the daemon's hands is reset, and said to be."""
    it = kept()
    deaths = 15 if build.VARIANT == "gcc" else 8
    chance = random.Random(4711)
    talks = [Talk(it, 10 * i) for i in range(8)]
    for _ in range(deaths):
        it.restart()
        time.sleep(chance.random() * 0.3)
    it.daemon.wait_log("flows are adopted")
    good, broken = 0, 0
    for talk in talks:
        try:
            talk.stop()
            good += 1
        except (ConnectionResetError, BrokenPipeError):
            broken += 1
    said = sum(int(n) for n in re.findall(r"adopted=\d+ reset=(\d+)", it.daemon.log()))
    assert broken == said, it.daemon.log()[-3000:]
    assert good >= 1
    wait_for(lambda: not it.flows(), 10 * SLOWER, "the end of all flows")
    lines = it.lines(len(talks))
    assert len({line["id"] for line in lines}) == len(talks)
    assert "audit" not in " ".join(str(line) for line in lines)


def test_interactive_flows_are_never_lost(kept):
    """Requests and responses, many deaths: not one flow is reset, and the counts are exact."""
    it = kept()
    pairs = [it.join() for _ in range(10)]
    stopping = threading.Event()

    def talk(client, server, seed):
        messages, n = random.Random(seed), 0
        while not stopping.is_set():
            up, down = messages.randbytes(64), messages.randbytes(200)
            exchange(client, server, up, down)
            n += 1
        return n

    talks = [net.Later(talk, *pair, seed) for seed, pair in enumerate(pairs)]
    chance = random.Random(1)
    for _ in range(20 if build.VARIANT == "gcc" else 8):
        it.restart()
        time.sleep(chance.random() * 0.1)
    stopping.set()
    counts = [part.result() for part in talks]
    for client, server in pairs:
        client.close()
        assert net.ended(server) == "end"
        server.close()
    ups = sorted(line["bytes_up"] for line in it.lines(len(pairs)))
    assert ups == sorted(2 + 64 * n for n in counts)
    assert "cannot be adopted" not in it.daemon.log()


@pytest.mark.tsan
def test_thousand_flows(kept, origin):
    """As many descriptors as that go through the keeper in batches, and back."""
    it = kept()
    config = json.loads(json.dumps(it.config))
    config["upstreams"][0]["endpoints"] = [origin["ipv4"]]
    assert it.daemon.reload(config)[0] == 200
    held = load.hold(it.address, 1000)
    wait_for(lambda: sum(f["path"] == "sockmap" for f in it.flows()) == 1000, 30 * SLOWER, "flows")
    # Both sockets of each, and listeners.
    keeper = it.keeper()
    wait_for(lambda: sum(1 for _ in net.sockets_of(keeper)) > 2000, 30 * SLOWER,
             "the keeper to hold them")
    it.restart()
    it.daemon.wait_log("adopted=1000 reset=0 lost_in_userspace=0", 30)
    held.release()
    assert held.result()["good"] == 1000
