# SPDX-License-Identifier: MIT
"""Hostile and ordinary bytes through the daemon to an origin that records what it sees: each case
is answered as its class says, and what the origin saw has one reading. The cases are those of
../shared/corpus where it is there, else the few below."""
import os
import random
import re
import socket

import pytest

from harness import build, net
from harness.http_record import Ambiguous, Reader, RecordingOrigin
from harness.weir import Weir

pytestmark = [pytest.mark.asan]

CORPUS = os.path.join(build.ROOT, "../shared/corpus/h1-corpus.tsv")
HOST = r"Host: example.test\r\n"
SMUGGLED = r"GET /smuggled HTTP/1.1\r\n" + HOST + r"\r\n"
POST = r"POST / HTTP/1.1\r\n" + HOST

# id, raw, expected class, other classes, how it is sent, what must hold
CASES = [
    ("get", r"GET / HTTP/1.1\r\n" + HOST + r"\r\n", "accept", "", "plain", ""),
    ("post", POST + r"Content-Length: 5\r\n\r\nhello", "accept", "", "plain", "body is hello"),
    ("chunked", POST + r"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
     "accept", "", "plain", "body is hello"),
    ("pipeline", r"GET / HTTP/1.1\r\n" + HOST + r"\r\nGET /2 HTTP/1.1\r\n" + HOST + r"\r\n",
     "accept", "", "plain", "2 responses"),
    ("no-host", r"GET / HTTP/1.1\r\n\r\n", "reject-400", "", "plain", ""),
    ("two-hosts", r"GET / HTTP/1.1\r\n" + HOST + HOST + r"\r\n", "reject-400", "", "plain", ""),
    ("cl-te", POST + r"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
     "reject-400", "", "plain", "upstream never sees /smuggled"),
    ("cl-differ", POST + r"Content-Length: 5\r\nContent-Length: 51\r\n\r\nhello" + SMUGGLED,
     "reject-400", "", "plain", "upstream never sees /smuggled"),
    ("cl-list", POST + r"Content-Length: 5, 5\r\n\r\nhello" + SMUGGLED,
     "reject-400", "", "plain", "upstream never sees /smuggled"),
    ("te-gzip", POST + r"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
     "reject-other", "", "plain", "upstream never sees /smuggled"),
    ("te-http10", r"POST / HTTP/1.0\r\n" + HOST + r"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "reject-400", "", "plain", ""),
    ("bare-lf", r"GET / HTTP/1.1\n" + HOST + r"\n", "reject-400", "", "plain", ""),
    ("obs-fold", r"GET / HTTP/1.1\r\n" + HOST + r"X-A: b\r\n c\r\n\r\n", "reject-400", "",
     "plain", ""),
    ("nul", r"GET / HTTP/1.1\r\n" + HOST + r"X-A: b\000\r\n\r\n", "reject-400", "", "plain", ""),
    ("space-colon", r"GET / HTTP/1.1\r\nHost : example.test\r\n\r\n", "reject-400", "", "plain", ""),
    ("chunk-size", POST + r"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n" + SMUGGLED,
     "reject-400", "close", "plain", "upstream never sees /smuggled"),
    ("chunk-cut", POST + r"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "close",
     "reject-400,reject-other", "eof", "upstream message not completed"),
    ("http2", r"GET / HTTP/2.0\r\n" + HOST + r"\r\n", "reject-other", "", "plain", ""),
    ("nominates-length", POST + r"Connection: Content-Length\r\nContent-Length: 46\r\n\r\n" +
     SMUGGLED, "accept", "", "plain", "upstream never sees /smuggled"),
    ("h2c", r"GET / HTTP/1.1\r\n" + HOST + r"Connection: Upgrade, HTTP2-Settings\r\n"
     r"Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n", "accept", "", "plain",
     "upstream sees no Upgrade: h2c and no HTTP2-Settings"),
    ("hop", r"GET / HTTP/1.1\r\n" + HOST + r"Connection: X-Hop, close\r\nX-Hop: 1\r\n\r\n", "accept",
     "", "plain", "upstream sees no X-Hop"),
    ("absolute", r"GET http://example.test/a HTTP/1.1\r\nHost: evil.test\r\n\r\n", "accept", "",
     "plain", "upstream Host is example.test, routed as example.test"),
    ("underscores", r"GET / HTTP/1.1\r\n" + HOST + r"Transfer_Encoding: chunked\r\n\r\n", "accept",
     "", "plain", "not seen as Transfer-Encoding by any upstream"),
    ("tls", r"\026\003\001\000/\001", "close", "reject-400", "eof", ""),
]

NAMED = {"n": 10, "r": 13, "t": 9, "a": 7, "b": 8, "f": 12, "v": 11}


def unescape(text):
    """C escapes, octal for other bytes."""
    def byte(match):
        escape = match[1]
        if escape[0] in "01234567":
            return chr(int(escape, 8))
        return chr(NAMED.get(escape, ord(escape)))
    return re.sub(r"\\([0-7]{1,3}|.)", byte, text, flags=re.S).encode("latin-1")


def cases():
    try:
        with open(CORPUS, encoding="utf-8", newline="\n") as file:
            rows = [line.rstrip("\n").split("\t") for line in file][1:]
    except OSError:
        return CASES
    return [(name, raw, expect, also, send, invariant)
            for name, raw, expect, _why, also, send, invariant in rows]


class Answers:
    """What a client got."""

    def __init__(self, raw):
        self.raw = raw
        self.interim = []
        self.final = []

    def read(self, reader):
        bodiless = self.raw.startswith(b"HEAD ")
        while True:
            message = reader.response(bodiless and not self.final)
            if not message:
                return False
            if message.start[0] >= 200:
                self.final.append(message)
                return True
            self.interim.append(message)

    def statuses(self):
        return [message.start[0] for message in self.final]

    def kind(self):
        if not self.final:
            return "close"
        status = self.final[0].start[0]
        return "accept" if status < 400 else "reject-400" if status == 400 else "reject-other"


def exchange(address, raw, send):
    """Sends RAW; after the first answer, or at once, says that nothing more will come, and reads to
    the end."""
    answers = Answers(raw)
    with net.connect(address) as sock:
        reader = Reader(sock)
        try:
            sock.sendall(raw)
            if send == "eof":
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was refused before its end
        going = answers.read(reader)
        if going and send != "eof":
            try:
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        while going:
            going = answers.read(reader)
    return answers


@pytest.fixture(scope="module")
def origin():
    origin = RecordingOrigin()
    yield origin
    origin.close()


def http_config(listen, origin_address, **http):
    return {"listeners": [{"name": "web", "address": listen,
                           "http": {"routes": [{"to": "out"}],
                                    "timeouts": {"head": "5s", "body_idle": "5s"}, **http}}],
            "upstreams": [{"name": "out", "endpoints": [origin_address]}]}


@pytest.fixture(scope="module")
def address(origin):
    listen = net.free_address()
    daemon = Weir(http_config(listen, origin.address))
    daemon.start()
    yield listen
    daemon.stop()


def none_has(requests, name):
    assert not any(request.values(name) for request in requests), (name, requests)


# What a case's invariant says in words, as a check of the answers and the recorded requests.
RULES = {
    r"never (sees|gets) /smuggled": lambda answers, requests: check_smuggled(requests),
    r"body (upstream )?is hello": lambda answers, requests: check_body(answers, requests),
    r"^2 responses": lambda answers, requests: check_count(answers, 2),
    r"sees no X-Hop": lambda answers, requests: none_has(requests, "X-Hop"),
    r"X-T never among": lambda answers, requests: none_has(requests, "X-T"),
    r"no trailer field becomes": lambda answers, requests: check_not_merged(requests),
    r"no Upgrade: h2c": lambda answers, requests: none_has(requests, "Upgrade"),
    r"no HTTP2-Settings": lambda answers, requests: none_has(requests, "HTTP2-Settings"),
    r"Host (is|stays) example.test|Host example.test": lambda answers, requests:
        check_host(answers, requests),
    r"no 10[01]": lambda answers, requests: check_interim(answers),
    r"message not completed": lambda answers, requests: check_incomplete(requests),
    r"200 then 400": lambda answers, requests: check_statuses(answers, [200, 400]),
    r"not seen as Transfer-Encoding": lambda answers, requests:
        none_has(requests, "Transfer_Encoding"),
    r"no request to evil.test": lambda answers, requests: check_evil(requests),
}


def check_smuggled(requests):
    assert not any(b"smuggled" in request.start[1] for request in requests), requests


def check_body(answers, requests):
    if answers.kind() == "accept":
        assert requests and requests[0].body == b"hello", requests


def check_count(answers, count):
    assert len(answers.final) == count, answers.statuses()


def check_statuses(answers, statuses):
    assert answers.statuses() == statuses


def check_not_merged(requests):
    for request in requests:
        assert request.values("Host") == ["example.test"], request
        assert not any("6.6.6.6" in value for value in request.values("X-Forwarded-For")), request


def check_host(answers, requests):
    if answers.kind() == "accept":
        assert requests[0].value("Host").lower() == "example.test", requests


def check_interim(answers):
    assert not answers.interim, answers.interim


def check_incomplete(requests):
    assert not any(request.complete for request in requests), requests


def check_evil(requests):
    assert not any("evil" in request.value("Host") for request in requests), requests


@pytest.mark.parametrize("case", cases(), ids=lambda case: case[0])
def test_case(case, address, origin):
    _name, raw, expect, also, send, invariant = case
    origin.take()
    answers = exchange(address, unescape(raw), send)
    requests = origin.take()
    assert answers.kind() in [expect, *also.split(",")], (answers.statuses(), answers.final)
    if "2 requests" not in invariant:
        check_smuggled(requests)
    for words, rule in RULES.items():
        if re.search(words, invariant):
            rule(answers, requests)
    refused = [message for message in answers.final if message.start[0] in (400, 413, 414, 431, 501)]
    assert not refused or refused[-1] is answers.final[-1], "something was answered after a refusal"


# ---- cases of the same kinds that nobody wrote down -----------------------------------------------

PIECES = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b"0\r\n\r\n", b"5", b"\0", b"\x0b",
          b"\xff", b"_", b"%00", b"chunked", b"close", b"Content-Length: 5\r\n", b"Connection: ",
          b"Transfer-Encoding: chunked\r\n", b"Host: a\r\n", b"HTTP/1.1", b"HTTP/1.0",
          b"Trailer: X\r\n", b"Upgrade: websocket\r\nConnection: upgrade\r\n",
          b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"]


def mutate(rng, seeds):
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[at:at] = rng.choice(PIECES)
        elif kind == 1:
            del data[at:at + rng.randint(1, 4)]
        elif kind == 2:
            data[at:at + 1] = bytes([rng.randrange(256)])
        elif kind == 3:
            data += rng.choice(seeds)
        else:
            lines = bytes(data).split(b"\r\n")
            lines.insert(rng.randrange(len(lines) + 1), lines.pop(rng.randrange(len(lines))))
            data = bytearray(b"\r\n".join(lines))
    return bytes(data)


def test_mutated_cases(weir):
    """Whatever a client sends: the origin has got as many whole requests as the client has got
    answers of it, and each had one reading."""
    origin = RecordingOrigin()
    listen = net.free_address()
    config = http_config(listen, origin.address)
    config["listeners"][0]["http"]["timeouts"] = {"head": "200ms", "body_idle": "200ms"}
    weir(config)
    rng = random.Random(9112)
    seeds = [raw for raw in (unescape(case[1]) for case in cases()) if len(raw) < 2000]
    for _ in range(1000):
        raw = mutate(rng, seeds)
        if b"HEAD " in raw or b"Expect" in raw:
            continue  # the first makes this client's reader guess, the second waits for the origin
        answers = exchange(listen, raw, "plain")
        whole = [request for request in origin.take() if request.complete]
        assert answers.statuses().count(200) == len(whole), (raw, answers.final, whole)
    origin.close()


# ---- what an origin may say ---------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"
BAD_HEADS = {
    "garbage": b"\x16\x03\x01\x00\x02\r\n\r\n",
    "http09": b"<html>hello</html>",
    "version-2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status-text": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "status-four-digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "cl-and-te": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "cl-twice": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "cl-list": OK + b"Content-Length: 3, 3\r\n\r\nabc",
    "cl-negative": OK + b"Content-Length: -1\r\n\r\n",
    "te-gzip": OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "te-twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-http10": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "obs-fold": OK + b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "space-colon": OK + b"Content-Length : 0\r\n\r\n",
    "nul": OK + b"X-A: \0\r\nContent-Length: 0\r\n\r\n",
    "204-with-length": b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
    "too-many-fields": OK + b"X-A: b\r\n" * 200 + b"Content-Length: 0\r\n\r\n",
    "head-too-long": OK + b"X-A: " + b"b" * 40000 + b"\r\nContent-Length: 0\r\n\r\n",
    "cut-in-head": OK + b"Content-Le",
    "nothing": b"",
}

BAD_BODIES = {
    "cut-length": OK + b"Content-Length: 10\r\n\r\nhello",
    "cut-chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "no-last-chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "bad-chunk-size": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n+5\r\nhello\r\n0\r\n\r\n",
    "bad-chunk-end": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
    "bad-trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX : a\r\n\r\n",
}


class Saying(RecordingOrigin):
    """Sends what its test says, and closes."""
    says = b""

    def __init__(self):
        super().__init__(lambda request: self.says)

    def serve_one(self, sock, reader):
        super().serve_one(sock, reader)
        return False


@pytest.fixture(scope="module")
def saying():
    origin = Saying()
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def saying_address(saying):
    listen = net.free_address()
    daemon = Weir(http_config(listen, saying.address))
    daemon.start()
    yield listen
    daemon.stop()


GET = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"


@pytest.mark.parametrize("name", BAD_HEADS)
def test_bad_response_is_502(name, saying, saying_address):
    saying.says = BAD_HEADS[name]
    answers = exchange(saying_address, GET, "plain")
    assert answers.statuses() == [502], answers.final


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_body_is_never_complete(name, saying, saying_address):
    """A response that breaks off, or is not what it said, does not look whole to the client."""
    saying.says = BAD_BODIES[name]
    answers = exchange(saying_address, GET, "plain")
    if answers.statuses() != [502]:
        assert answers.statuses() in ([], [200]), answers.final
        assert not any(message.complete for message in answers.final), answers.final


def test_bytes_behind_a_response_go_nowhere(saying, saying_address):
    """A second response that nobody asked for is not the answer to the next request."""
    saying.says = OK + b"Content-Length: 5\r\n\r\nfirst" + OK + b"Content-Length: 6\r\n\r\nsecond"
    answers = exchange(saying_address, GET * 2, "plain")
    assert [message.body for message in answers.final] == [b"first", b"first"]


def test_response_fields_of_one_hop(saying, saying_address):
    saying.says = (OK + b"Connection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
                   b"Proxy-Connection: close\r\nUpgrade: h2c\r\nset-COOKIE: a=1\r\nSet-Cookie: b=2\r\n"
                   b"Content-Length: 2\r\n\r\nok")
    answers = exchange(saying_address, GET, "plain")
    message = answers.final[0]
    for name in ("X-Hop", "Keep-Alive", "Proxy-Connection", "Upgrade"):
        assert not message.values(name), message
    cookies = [field for field in message.fields if field[0].lower() == b"set-cookie"]
    assert cookies == [(b"set-COOKIE", b"a=1"), (b"Set-Cookie", b"b=2")]


# ---- requests that break off ------------------------------------------------------------------

def upload(framing, size):
    """(head, a part of the body that is not all of it)"""
    head = b"POST / HTTP/1.1\r\nHost: example.test\r\n"
    if framing == "chunked":
        return head + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % size + b"a" * (size // 2)
    return head + b"Content-Length: %d\r\n\r\n" % size, b"a" * (size // 2)


UPLOADS = [(framing, size) for framing in ("length", "chunked") for size in (100, 1_000_000)]


@pytest.mark.parametrize("framing, size", UPLOADS)
@pytest.mark.parametrize("how", ["cut", "stalled"])
def test_broken_upload(framing, size, how, weir, origin):
    """It is the client's fault, whoever moves the bytes, and no request for the origin."""
    origin.take()
    listen = net.free_address()
    config = http_config(listen, origin.address)
    config["listeners"][0]["http"]["timeouts"]["body_idle"] = "500ms"
    weir(config, workers=1)
    head, part = upload(framing, size)
    answers = exchange(listen, head + part, "eof" if how == "cut" else "plain")
    assert answers.statuses() == [400 if how == "cut" else 408], answers.final
    assert not any(request.complete for request in origin.take())


@pytest.mark.parametrize("part", [b"GET / HT", b"GET / HTTP/1.1\r\nHost: exam", b"\r\n"])
def test_slow_head(part, weir, origin):
    """A head that does not get ready in time, whatever drips in."""
    origin.take()
    listen = net.free_address()
    config = http_config(listen, origin.address)
    config["listeners"][0]["http"]["timeouts"]["head"] = "500ms"
    weir(config, workers=1)
    answers = exchange(listen, part, "plain")
    assert answers.statuses() == [408], answers.final
    assert not origin.take()


# ---- upgrades -------------------------------------------------------------------------------------

UPGRADE = (b"GET /chat HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade\r\n"
           b"Upgrade: websocket\r\n\r\n")


class Upgrading(RecordingOrigin):
    """Answers an upgrade with 101, tells what has come by then, and echoes."""

    def __init__(self):
        self.early = []
        super().__init__()

    def serve_one(self, sock, reader):
        request = reader.request()
        if not request:
            return False
        with self.lock:
            self.requests.append(request)
        sock.setblocking(False)
        try:
            self.early.append(sock.recv(4096))
        except BlockingIOError:
            self.early.append(b"")
        sock.setblocking(True)
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                     b"Upgrade: websocket\r\n\r\nwelcome")
        while True:
            data = sock.recv(65536)
            if not data:
                return False
            sock.sendall(data)


def test_upgrade_passes_bytes_once_and_late(weir):
    """What the client sends with its request waits for the 101, and arrives once."""
    origin = Upgrading()
    listen = net.free_address()
    weir(http_config(listen, origin.address))
    data = net.payload(300_000)
    with net.connect(listen) as sock:
        sock.sendall(UPGRADE + data[:1000])
        reader = Reader(sock)
        message = reader.response()
        assert message.start[0] == 101 and message.value("Upgrade") == "websocket"
        later = net.Later(lambda: (sock.sendall(data[1000:]), sock.shutdown(socket.SHUT_WR)))
        net.same(reader.rest(), b"welcome" + data)
        later.result()
    assert origin.early == [b""]
    assert origin.take()[0].value("Upgrade") == "websocket"
    origin.close()


def test_connect_goes_nowhere(address, origin):
    """An origin that says 200 to everything would read what follows without anybody between."""
    origin.take()
    answers = exchange(address, b"CONNECT example.test:80 HTTP/1.1\r\nHost: example.test:80\r\n\r\n"
                       b"GET /smuggled HTTP/1.1\r\nHost: example.test\r\nX-Forwarded-For: 6.6.6.6\r\n"
                       b"\r\n", "plain")
    assert answers.statuses()[0] == 501
    assert not any(request.start[0] == b"CONNECT" for request in origin.take())


def test_upgrade_that_is_refused(address, origin):
    """Without a 101 the bytes behind the request are the next request, or nothing."""
    origin.take()
    answers = exchange(address, UPGRADE + GET, "plain")
    assert answers.statuses() == [200, 200]
    assert [request.start[1] for request in origin.take()] == [b"/chat", b"/"]
    answers = exchange(address, UPGRADE + b"\x81\x05hello", "plain")
    assert answers.statuses() == [200, 400]
    assert [request.start[1] for request in origin.take()] == [b"/chat"]


def test_readers_are_strict():
    """The readers above refuse what they should: else the rest proves nothing."""
    for raw in (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\nHost: a\r\n\r\n",
                b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: a\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
                b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
                b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n"):
        one, two = socket.socketpair()
        with one, two:
            one.sendall(raw)
            one.shutdown(socket.SHUT_WR)
            with pytest.raises(Ambiguous):
                Reader(two).request()
