# SPDX-License-Identifier: MIT
"""What becomes of connections whose endpoint is taken away while they are in use, on every path."""
import pytest

from harness import build, load, net
from harness.process import wait_for
from harness.weir import config_of

pytestmark = [pytest.mark.asan, pytest.mark.tsan]


class Origin:
    """Holds what it accepts."""

    def __init__(self):
        self.listener = net.listen(net.free_address())
        self.address = "%s:%d" % self.listener.getsockname()

    def accept(self):
        sock = self.listener.accept()[0]
        sock.settimeout(20)
        return sock

    def close(self):
        self.listener.close()


@pytest.fixture
def origins():
    both = [Origin(), Origin()]
    yield both
    for one in both:
        one.close()


def talk(client, server, turns=40):
    """Until the flow is settled on its path."""
    for turn in range(turns):
        client.sendall(b"%07d?" % turn)
        assert net.read_exactly(server, 8) == b"%07d?" % turn
        server.sendall(b"%07d!" % turn)
        assert net.read_exactly(client, 8) == b"%07d!" % turn


class Case:
    """One connection to each of two endpoints, both in use."""

    def __init__(self, weir, path, origins, established):
        self.address = net.free_address()
        self.config = config_of(self.address, [o.address for o in origins], path,
                                upstream={"established": established} if established else None)
        self.daemon = weir(self.config)
        self.pairs = {}
        while len(self.pairs) < 2:
            client = net.connect(self.address)
            endpoint = wait_for(lambda c=client: self.endpoint_of(c), 5 * build.SLOWER, "the flow")
            if endpoint in self.pairs:
                client.close()
                continue
            server = origins[[o.address for o in origins].index(endpoint)].accept()
            self.pairs[endpoint] = (client, server)
        for client, server in self.pairs.values():
            talk(client, server)

    def endpoint_of(self, client):
        here = "%s:%d" % client.getsockname()
        return next((f["endpoint"] for f in self.daemon.get("/v1/flows") if f["client"] == here),
                    None)

    def close(self):
        for pair in self.pairs.values():
            for sock in pair:
                sock.close()


def expect(pair, established):
    client, server = pair
    if established == "close":
        assert net.ended(client) == "reset"
        assert net.ended(server) == "reset"
    else:
        talk(client, server)


@pytest.mark.parametrize("established", ["keep", "close", None])
def test_endpoint_removed_by_reload(weir, path, origins, established):
    case = Case(weir, path, origins, established)
    gone, stays = origins[0].address, origins[1].address
    case.config["upstreams"][0]["endpoints"] = [stays]
    assert case.daemon.reload(case.config)[0] == 200
    expect(case.pairs[gone], established)
    talk(*case.pairs[stays])
    case.close()


@pytest.mark.parametrize("established", ["keep", "close"])
def test_endpoint_drained(weir, path, origins, established):
    case = Case(weir, path, origins, established)
    gone, stays = origins[1].address, origins[0].address
    case.daemon.ctl("upstream", "out", "drain", gone)
    expect(case.pairs[gone], established)
    talk(*case.pairs[stays])
    case.close()


def test_new_rule_counts(weir, path, origins):
    """`close` that comes with the very reload that removes the endpoint."""
    case = Case(weir, path, origins, "keep")
    gone, stays = origins[0].address, origins[1].address
    case.config["upstreams"][0].update(endpoints=[stays], established="close")
    assert case.daemon.reload(case.config)[0] == 200
    expect(case.pairs[gone], "close")
    talk(*case.pairs[stays])
    case.close()


def test_whole_upstream_removed(weir, path, origins):
    case = Case(weir, path, origins, "close")
    other = {"name": "other", "endpoints": [origins[0].address]}
    case.config["upstreams"] = [other]
    case.config["listeners"][0]["tcp"]["to"] = "other"
    assert case.daemon.reload(case.config)[0] == 200
    for pair in case.pairs.values():
        expect(pair, "close")
    case.close()


@pytest.mark.parametrize("established", ["keep", "close"])
def test_under_load(weir, path, origin, established):
    """In full flow: those to the endpoint that goes end or stay, the others notice nothing."""
    address = net.free_address()
    gone, stays = origin["ipv6"], origin["ipv4"]
    config = config_of(address, [stays, gone], path, upstream={"established": established})
    daemon = weir(config)
    traffic = load.Load("echo", address, "-c", 20, "-n", 20, "-r", 0, "-s", 100, "-t", 1.5)
    wait_for(lambda: len(daemon.get("/v1/flows")) == 20, 5 * build.SLOWER, "20 flows")
    there = sum(flow["endpoint"] == gone for flow in daemon.get("/v1/flows"))
    assert 0 < there < 20
    config["upstreams"][0]["endpoints"] = [stays]
    assert daemon.reload(config)[0] == 200
    result = traffic.result()
    assert result["failed"] == (there if established == "close" else 0), result
    load.run("echo", address, "-c", 10, "-n", 50)


def test_end_is_logged(weir, path, origins, folder):
    """With its reason, and with the bytes that went either way."""
    log = f"{folder}/access.log"
    address = net.free_address()
    config = config_of(address, origins[0].address, path, layers=[{"access_log": {"file": log}}],
                       upstream={"established": "close"})
    daemon = weir(config)
    client, server = net.connect(address), origins[0].accept()
    talk(client, server)
    config["upstreams"][0]["endpoints"] = [origins[1].address]
    assert daemon.reload(config)[0] == 200
    expect((client, server), "close")

    def line():
        with open(log, encoding="utf-8") as file:
            return next((line for line in file if "endpoint_removed" in line), None)

    wait_for(line, 5 * build.SLOWER, "the access log's line")
    words = line().split()
    assert "bytes_up=320" in words and "bytes_down=320" in words, words  # 40 turns of 8 bytes
    client.close()
    server.close()
