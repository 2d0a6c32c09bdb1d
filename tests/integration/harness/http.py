# SPDX-License-Identifier: MIT
"""HTTP by hand: configurations, requests as bytes, origins that misbehave."""
import socket
import threading

from . import net


def http_config(listen, routes, upstreams=None, **http):
    """One listener `web` with these routes; upstreams as {name: endpoint or mapping}."""
    groups = []
    for name, value in (upstreams or {}).items():
        if isinstance(value, str):
            value = {"endpoints": [value]}
        groups.append({"name": name, **value})
    config = {"listeners": [{"name": "web", "address": listen, "http": {"routes": routes, **http}}]}
    if groups:
        config["upstreams"] = groups
    return config


def forward_config(listen, endpoint, upstream=None, **http):
    """Everything to one endpoint."""
    return http_config(listen, [{"name": "all", "to": "origin"}],
                       {"origin": {"endpoints": [endpoint], **(upstream or {})}}, **http)


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __getitem__(self, name):
        found = [value for key, value in self.fields if key.lower() == name.lower()]
        return ", ".join(found) if found else None


def _line(file):
    line = file.readline(65536)
    if not line.endswith(b"\r\n"):
        raise AssertionError(f"the end came in a line: {line!r}")
    return line[:-2]


def _fields(file):
    fields = []
    while line := _line(file):
        name, _, value = line.decode("latin-1").partition(":")
        fields.append((name, value.strip()))
    return fields


def _chunks(file):
    body = bytearray()
    while size := int(_line(file).split(b";")[0], 16):
        body += file.read(size)
        assert _line(file) == b""
    _fields(file)
    return bytes(body)


def read_answer(file, method="GET"):
    """The next response of a socket's file, interim ones too."""
    version, status = _line(file).split(b" ", 2)[:2]
    assert version in (b"HTTP/1.1", b"HTTP/1.0"), version
    answer = Answer(int(status), _fields(file), b"")
    if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
        return answer
    if answer["Transfer-Encoding"] == "chunked":
        answer.body = _chunks(file)
    elif answer["Content-Length"] is not None:
        size = int(answer["Content-Length"])
        answer.body = file.read(size)
        assert len(answer.body) == size, f"{len(answer.body)} of {size} bytes"
    else:
        answer.body = file.read()
    return answer


def ask(address, data, method="GET"):
    """Sends bytes on a connection of its own; the answer."""
    with net.connect(address) as sock:
        sock.sendall(data)
        with sock.makefile("rb") as file:
            return read_answer(file, method)


def get(address, path="/", *fields):
    return ask(address, ("\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *fields,
                                      "Connection: close"]) + "\r\n\r\n").encode())


class ScriptedOrigin:
    """Accepts and hands each connection to FN(socket, number of the connection) in a thread."""

    def __init__(self, fn):
        self.address = net.free_address()
        self.listener = net.listen(self.address)
        self.fn = fn
        self.accepted = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(sock, self.accepted), daemon=True).start()

    def _serve(self, sock, number):
        sock.settimeout(20)
        try:
            self.fn(sock, number)
        except OSError:
            pass
        finally:
            sock.close()

    def close(self):
        self.listener.close()


def read_head(sock):
    """Bytes up to the empty line; what came after it is lost, so requests must have no body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    return data
