# SPDX-License-Identifier: MIT
"""Layers of calls in the daemon, with two workers: what they share, what clients see."""
import gzip
import os
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import build, net
from harness.http import ask, forward_config, get
from harness.process import wait_for


class Origin(ThreadingHTTPServer):
    """Answers as RESPOND(request) says: (status, fields, body, seconds to take)."""
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, respond):
        self.address = net.free_address()
        self.respond = respond
        self.seen = []
        self.active = self.most = 0
        self.lock = threading.Lock()
        super().__init__(net.parse(self.address)[1], Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_call(self):
        origin = self.server
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with origin.lock:
            origin.seen.append((self.command, self.path, dict(self.headers)))
            origin.active += 1
            origin.most = max(origin.most, origin.active)
        status, fields, body, seconds = origin.respond(self)
        time.sleep(seconds)
        with origin.lock:
            origin.active -= 1
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_call


@pytest.fixture
def origin():
    made = []

    def start(respond):
        made.append(Origin(respond))
        return made[-1]
    yield start
    for one in made:
        one.shutdown()
        one.server_close()


def always(status=200, body=b"body", seconds=0, **fields):
    return lambda _: (status, {name.replace("_", "-"): value for name, value in fields.items()},
                      body, seconds)


def together(n, fn):
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(fn, range(n)))


def start(weir, address, *layers, **http):
    listen = net.free_address()
    return listen, weir(forward_config(listen, address, layers=list(layers), **http))


@pytest.mark.asan
@pytest.mark.tsan
def test_one_fetch_for_many_workers(weir, origin):
    """Whoever comes while the first one's answer is on its way waits for it, on either worker."""
    site = origin(always(body=b"x" * 100000, seconds=0.5, Cache_Control="max-age=60", ETag='"1"'))
    listen, daemon = start(weir, site.address, {"cache": {"lock": "60s"}})
    answers = together(30, lambda _: get(listen, "/page"))
    assert all(a.status == 200 and a.body == b"x" * 100000 for a in answers)
    assert len(site.seen) == 1
    assert sum("collapsed" in a["Cache-Status"] for a in answers) >= 1
    assert all(int(a["Age"]) >= 0 for a in answers if "hit" in a["Cache-Status"])
    hit = get(listen, "/page", 'If-None-Match: "1"')
    assert (hit.status, hit.body, len(site.seen)) == (304, b"", 1)
    # What an operator sees, over all workers.
    counts = {name: value for name, value in daemon.metrics().items()
              if name.startswith("weir_http_cache_requests_total")}
    assert sum(counts.values()) == 31 and counts[
        'weir_http_cache_requests_total{cache="weir",result="miss"}'] == 1
    # A reload keeps what is stored; an unsafe method forgets it.
    status, _ = daemon.reload(forward_config(listen, site.address, layers=[{"cache": {"lock": "60s"}}],
                                             server="other"))
    assert status == 200
    assert "hit" in get(listen, "/page")["Cache-Status"]
    assert ask(listen, b"DELETE /page HTTP/1.1\r\nHost: test\r\n\r\n").status == 200
    assert "hit" not in get(listen, "/page")["Cache-Status"]


@pytest.mark.asan
@pytest.mark.tsan
def test_stale_answers_while_the_origin_is_asked(weir, origin):
    version = [1]
    site = origin(lambda _: (200, {"Cache-Control": "max-age=0, stale-while-revalidate=60, "
                                                    "stale-if-error=60",
                                   "ETag": f'"{version[0]}"'}, b"version %d" % version[0], 0))
    listen, _ = start(weir, site.address, {"cache": {}})
    assert get(listen).body == b"version 1"
    version[0] = 2
    assert get(listen).body == b"version 1"
    wait_for(lambda: get(listen).body == b"version 2", 10 * build.SLOWER, "the new version")
    assert all(fields.get("If-None-Match") for _, _, fields in site.seen[1:])
    # It is gone: what is stored still helps.
    site.shutdown()
    site.server_close()
    assert get(listen).body == b"version 2"


@pytest.mark.asan
def test_rates_and_places_are_shared(weir, origin):
    site = origin(always(seconds=0.05))
    listen, daemon = start(weir, site.address, {"rate_limit": {"rate": 0.01, "burst": 7}})
    answers = together(24, lambda _: get(listen))
    assert sorted(a.status for a in answers) == [200] * 7 + [429] * 17
    assert all(int(a["Retry-After"]) > 10 for a in answers if a.status == 429)
    assert daemon.metrics()['weir_http_layer_refusals_total{listener="web",route="",'
                            'layer="rate_limit"}'] == 17
    listen, _ = start(weir, site.address, {"concurrency": {"calls": 2, "queue": 100,
                                                           "queue_timeout": "60s"}})
    site.most = 0
    answers = together(24, lambda _: get(listen))
    assert all(a.status == 200 for a in answers)
    assert site.most == 2


@pytest.mark.asan
def test_codings(weir, origin):
    text = b"all work and no play " * 5000
    site = origin(always(body=text, Content_Type="text/plain", ETag='"1"',
                         Cache_Control="max-age=60"))
    listen, _ = start(weir, site.address, {"compress": {}}, {"cache": {}})
    packed = get(listen, "/", "Accept-Encoding: gzip")
    assert gzip.decompress(packed.body) == text and len(packed.body) < len(text) // 20
    assert (packed["Content-Encoding"], packed["ETag"]) == ("gzip", 'W/"1"')
    assert "Accept-Encoding" in packed["Vary"]
    plain = get(listen, "/")
    assert plain.body == text and plain["Content-Encoding"] is None
    assert len(site.seen) == 1
    head = ask(listen, b"HEAD / HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n", "HEAD")
    assert (head["Content-Encoding"], head["Content-Length"]) == ("gzip", None)
    # The other way: an origin that always compresses, a client that cannot read it.
    site = origin(always(body=gzip.compress(text), Content_Encoding="gzip"))
    listen, _ = start(weir, site.address, {"decompress": {}})
    assert get(listen, "/").body == text
    assert zlib.decompress(get(listen, "/", "Accept-Encoding: gzip").body, 31) == text


@pytest.mark.asan
def test_what_a_site_has_around_it(weir, origin, folder):
    site = origin(always(200, b"in", seconds=0))
    closed, log = os.path.join(folder, "closed"), os.path.join(folder, "access.log")
    users = os.path.join(folder, "users")
    with open(users, "w", encoding="ascii") as file:
        file.write("aladdin:$5$rounds=1000$saltsaltsalt$f2wYLRFl6msv2noHHT1tANC7P7lcQrRkk5J7rIsxClA\n")
    listen, daemon = start(
        weir, site.address,
        {"access_log": {"file": log, "format": "template",
                        "template": "{request_id} {client} {user} {method} {path} {status} {why} "
                                    "{request.User-Agent}"}},
        {"metrics": {}},
        {"request_id": {}},
        {"error_pages": {"pages": [{"status": "all", "content": "<b>{status}</b> {request_id}"}]}},
        {"security_headers": {}},
        {"normalise": {}},
        {"maintenance": {"file": closed, "retry_after": "9s"}},
        {"basic_auth": {"file": users, "hide": True}})
    basic = "Authorization: Basic YWxhZGRpbjpzZXNhbWU="
    answer = get(listen, "/a/./%62", basic, "X-Request-ID: mine", "User-Agent: x\"y")
    assert (answer.status, answer.body) == (200, b"in")
    assert answer["X-Content-Type-Options"] == "nosniff" and answer["X-Request-ID"] == "mine"
    method, path, fields = site.seen[0]
    assert (method, path, fields["X-Request-ID"]) == ("GET", "/a/b", "mine")
    assert "Authorization" not in fields
    refused = get(listen, "/", "X-Request-ID: other")
    assert (refused.status, refused.body) == (401, b"<b>401</b> other")
    assert refused["WWW-Authenticate"].startswith("Basic") and refused["X-Frame-Options"]
    assert get(listen, "/../x", basic).status == 400
    with open(closed, "w", encoding="ascii"):
        pass
    # Each worker looks for the file in its own time, so the next request may still be served.
    def is_closed():
        answer = get(listen, "/", basic)
        assert answer.status == 200 or answer["Retry-After"] == "9"
        return answer.status == 503
    wait_for(is_closed, 5, "maintenance")
    os.unlink(closed)
    wait_for(lambda: get(listen, "/", basic).status == 200, 5, "the end of maintenance")
    # A call is logged and counted when its last byte is gone, which its client may see before.
    def lines():
        with open(log, encoding="ascii") as file:
            return file.read().splitlines()
    wait_for(lambda: 'mine 127.0.0.1 aladdin GET /a/./%62 200 - x\\"y' in lines(), 5, "a line")
    wait_for(lambda: "other 127.0.0.1 - GET / 401 credentials -" in lines(), 5, "a line")
    wait_for(lambda: any(line.endswith(" GET /../x 400 path_dot_segments -") for line in lines()),
             5, "a line")
    series = 'weir_http_route_requests_total{listener="web",route="%s",method="GET",class="%s"}'
    wait_for(lambda: daemon.metrics().get(series % ("all", "2xx"), 0) >= 2 and
             daemon.metrics().get(series % ("", "4xx")) == 2, 5, "the counts")
