# SPDX-License-Identifier: MIT
"""`weir send` against nginx, as a server and as a proxy, and against what answers wrongly."""
import hashlib
import os
import socket
import subprocess
import threading

import pytest

from harness import build, net
from harness.website import Website

NGINX = """keepalive_timeout 60;
    server {{
        listen {address};
        location / {{ root {folder}/www; dav_methods PUT DELETE; }}
        location = /who {{ return 200 "$request_method $host $http_user_agent|$http_x_a|$http_accept|$http_authorization\\n"; }}
        location = /moved {{ return 302 /who; }}
        location = /away {{ return 302 http://{other}/who; }}
        location = /kept {{ return 307 /put.txt; }}
        location = /loop {{ return 302 /loop; }}
        location = /no {{ return 404 "nothing here\\n"; }}
        location = /none {{ return 204; }}
    }}
    server {{
        listen {other};
        location / {{ return 200 "other $request_method|$http_authorization\\n"; }}
    }}
    server {{
        listen {proxy};
        location / {{ proxy_pass http://$http_host$request_uri; proxy_set_header Host $http_host;
                      add_header X-Proxied "$request"; }}
    }}
"""


@pytest.fixture(scope="module")
def site():
    made = Website()
    made.start(NGINX, ("address", "other", "proxy"))
    made.write("hello.txt", b"hello\n")
    made.write("big", os.urandom(1 << 20) * 20)
    yield made
    made.close()


def send(*arguments, data=b"", status=0):
    done = subprocess.run([build.program("weir"), "send", *map(str, arguments)], input=data, capture_output=True,
                          timeout=60, check=False)
    assert done.returncode == status, (done.returncode, done.stderr)
    return done


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.mark.asan
def test_get(site):
    assert send(f"http://{site.address}/hello.txt").stdout == b"hello\n"
    assert send(f"{site.address}/hello.txt?a=b#c").stdout == b"hello\n"
    assert send(f"{site.address}/who").stdout.startswith(b"GET 127.0.0.1 weir/")
    assert send(f"{site.address}/no").stdout == b"nothing here\n"
    assert send(f"{site.address}/none").stdout == b""


@pytest.mark.asan
def test_heads(site):
    done = send("-i", f"{site.address}/hello.txt")
    head, body = done.stdout.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nServer: nginx") and body == b"hello\n"
    assert b"\r\nContent-Length: 6" in head
    done = send("-X", "HEAD", "-i", f"{site.address}/hello.txt")
    assert done.stdout.endswith(b"\r\n\r\n") and b"Content-Length: 6" in done.stdout
    said = send("-v", f"{site.address}/hello.txt").stderr
    assert b"> GET /hello.txt HTTP/1.1\r\n> Host: " in said and b"< HTTP/1.1 200 OK\r\n" in said
    assert f"* answered by {site.address}\n".encode() in said


@pytest.mark.asan
def test_fields(site):
    url = f"{site.address}/who"
    done = send("-v", "-H", "x-a: 1", "-H", "X-A: 2", url)
    assert b"> x-a: 1\r\n> X-A: 2\r\n" in done.stderr and done.stdout.split(b"|")[1][:1] == b"1"
    assert send("-H", "User-Agent:", url).stdout.startswith(b"GET 127.0.0.1 |")
    assert send("-H", "Host: a.example", "-H", "User-Agent: me", url).stdout.startswith(
        b"GET a.example me|")
    for wrong in ("no colon", "a b: c", "Connection: close", "Content-Length: 5",
                  "transfer-encoding: chunked", "x: a\nb"):
        assert b"header field" in send("-H", wrong, url, status=2).stderr or \
            b"written by weir" in send("-H", wrong, url, status=2).stderr


@pytest.mark.asan
def test_data(site, tmp_path):
    assert send("-X", "PUT", "-d", "a=1", "-d", "b=2", f"{site.address}/put.txt").stdout == b""
    with open(site.file("put.txt"), "rb") as file:
        assert file.read() == b"a=1&b=2"
    big = tmp_path / "big"
    big.write_bytes(os.urandom(3 << 20))
    send("-X", "PUT", "-d", f"@{big}", f"{site.address}/up")
    assert digest(site.file("up")) == digest(big)
    send("-X", "PUT", "-d", "@-", "-H", "Expect: 100-continue", f"{site.address}/up2",
         data=b"from here")
    with open(site.file("up2"), "rb") as file:
        assert file.read() == b"from here"
    assert send("-d", "x", f"{site.address}/who").stdout.startswith(b"POST ")
    send("-X", "DELETE", f"{site.address}/up2")
    assert not os.path.exists(site.file("up2"))
    assert b"No such file" in send("-d", "@/does/not/exist", site.address, status=1).stderr


@pytest.mark.asan
def test_output(site, tmp_path):
    target = tmp_path / "out"
    assert send("-o", target, f"{site.address}/big").stdout == b""
    assert digest(target) == digest(site.file("big"))
    assert b"Is a directory" in send("-o", tmp_path, site.address, status=1).stderr
    with open("/dev/full", "wb") as full:
        done = subprocess.run([build.program("weir"), "send", f"{site.address}/big"], stdout=full,
                              stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1 and b"cannot write" in done.stderr


@pytest.mark.asan
def test_redirections(site):
    assert b"302" in send("-i", f"{site.address}/moved").stdout
    assert send("-L", f"{site.address}/moved").stdout.startswith(b"GET ")
    # A form that was moved is asked for without its data; 307 keeps method and data.
    assert send("-L", "-d", "x", f"{site.address}/moved").stdout.startswith(b"GET ")
    send("-L", "-X", "PUT", "-d", "kept", f"{site.address}/kept")
    with open(site.file("put.txt"), "rb") as file:
        assert file.read() == b"kept"
    done = send("-L", "-H", "Authorization: secret", f"{site.address}/moved")
    assert b"secret" in done.stdout
    assert send("-L", "-H", "Authorization: secret", f"{site.address}/away").stdout == \
        b"other GET|\n"
    assert b"more than 10 redirections" in send("-L", f"{site.address}/loop", status=1).stderr


@pytest.mark.asan
def test_proxy(site):
    done = send("-x", f"http://{site.proxy}", "-i", f"http://{site.other}/a?b=c")
    assert b"other GET" in done.stdout
    assert f"X-Proxied: GET http://{site.other}/a?b=c HTTP/1.1".encode() in done.stdout
    gone = net.free_address()
    assert f"through {gone}".encode() in send("-x", gone, site.other, status=1).stderr


def test_wrong_usage(site):
    for arguments, said in (((), "which URL"), (("a", "b"), "one URL"),
                            (("-X", "A B", "a"), "no method"), (("--what", "a"), "what")):
        assert said.encode() in send(*arguments, status=2).stderr
    for url, said in ((f"https://{site.address}/", "wrong version number"),
                      ("ftp://127.0.0.1/", "is no URL"),
                      ("ws://127.0.0.1/", "is no URL"),
                      ("http://user:secret@127.0.0.1/", "is no URL"),
                      ("http:///x", "is no URL"), ("http://a:99999/", "is no"),
                      ("http://does-not-exist.invalid/", "does-not-exist.invalid")):
        assert said.encode() in send(*url.split(), status=1).stderr, url


ANSWERS = (
    (b"", "reset"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "broke off"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "protocol"),
    (b"220 smtp.example ESMTP\r\n", "protocol"),
)


@pytest.mark.asan
@pytest.mark.parametrize("answer,said", ANSWERS, ids=["nothing", "short", "two lengths", "smtp"])
def test_wrong_answers(answer, said):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            conn, _ = server.accept()
            with conn:
                conn.recv(65536)
                conn.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        done = send(f"127.0.0.1:{server.getsockname()[1]}", status=1)
        thread.join()
    assert said.encode() in done.stderr
