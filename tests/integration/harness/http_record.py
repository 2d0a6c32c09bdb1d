# SPDX-License-Identifier: MIT
"""An origin that records every byte, and readers of HTTP/1.1 that take nothing but the plainest
reading of RFC 9112: what they do not understand, somebody else could understand otherwise."""
import re
import socket
import threading

from . import net
from .process import wait_for

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.1")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")
FIELD = re.compile(rb"(" + TOKEN + rb"): ((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
                   rb"[\x21-\x7e\x80-\xff])?)?)")
ONE_HOP = ("keep-alive", "proxy-connection", "transfer-encoding", "te", "upgrade", "connection")


class Ambiguous(Exception):
    """What came can be read in more than one way, or in none."""


class Message:
    def __init__(self, start, fields):
        self.start = start
        self.fields = fields
        self.body = b""
        self.trailers = []
        self.complete = False

    def values(self, name):
        return [value.decode("latin-1") for key, value in self.fields
                if key.decode().lower() == name.lower()]

    def value(self, name):
        values = self.values(name)
        assert len(values) == 1, f"{len(values)} of {name} in {self}"
        return values[0]

    def __repr__(self):
        return f"<{self.start} {self.fields} {self.body[:40]!r}{'' if self.complete else ' ...'}>"


class Reader:
    """Reads messages from a socket; `raw` is all that came."""

    def __init__(self, sock):
        self.sock = sock
        self.raw = b""
        self.at = 0
        self.ended = False

    def more(self):
        try:
            piece = self.sock.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        self.raw += piece
        self.ended = not piece
        return bool(piece)

    def line(self):
        """Without CR LF; None at the end."""
        while b"\n" not in self.raw[self.at:]:
            if not self.more():
                return None
        end = self.raw.index(b"\n", self.at)
        line = self.raw[self.at:end]
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise Ambiguous(f"a line ends with {line[-1:]!r} and LF: {line!r}")
        self.at = end + 1
        return line[:-1]

    def exactly(self, size):
        while len(self.raw) - self.at < size:
            if not self.more():
                return None
        self.at += size
        return self.raw[self.at - size:self.at]

    def rest(self):
        while self.more():
            pass
        self.at, rest = len(self.raw), self.raw[self.at:]
        return rest

    def fields(self):
        fields = []
        while True:
            line = self.line()
            if not line:
                return fields if line == b"" else None
            match = FIELD.fullmatch(line)
            if not match:
                raise Ambiguous(f"no field line: {line!r}")
            fields.append(match.groups())

    def chunked(self, message):
        while True:
            line = self.line()
            if line is None:
                return
            if not re.fullmatch(rb"[0-9a-f]{1,16}", line):
                raise Ambiguous(f"no chunk size: {line!r}")
            if int(line, 16) == 0:
                message.trailers = self.fields()
                message.complete = message.trailers is not None
                return
            piece = self.exactly(int(line, 16) + 2)
            if piece is None:
                return
            if not piece.endswith(b"\r\n"):
                raise Ambiguous(f"a chunk ends with {piece[-2:]!r}")
            message.body += piece[:-2]

    def framing(self, message):
        """"chunked", a number, or None: nothing is said."""
        lengths = message.values("content-length")
        codings = message.values("transfer-encoding")
        if len(lengths) + len(codings) > 1:
            raise Ambiguous(f"framed twice: {message}")
        if codings:
            if codings != ["chunked"]:
                raise Ambiguous(f"transfer coding {codings}")
            return "chunked"
        if lengths:
            if not re.fullmatch("[0-9]{1,19}", lengths[0]):
                raise Ambiguous(f"content length {lengths}")
            return int(lengths[0])
        return None

    def body(self, message, framing):
        if framing == "chunked":
            self.chunked(message)
            return
        body = self.exactly(framing)
        message.complete = body is not None
        message.body = body if message.complete else self.raw[self.at:]

    def request(self):
        """None at an end between messages."""
        line = self.line()
        if line is None:
            if self.at < len(self.raw):
                return Message((b"?", self.raw[self.at:]), [])
            return None
        match = REQUEST_LINE.fullmatch(line)
        if not match:
            raise Ambiguous(f"no request line: {line!r}")
        fields = self.fields()
        message = Message(match.groups(), fields or [])
        if fields is None:
            return message
        if len(message.values("host")) != 1:
            raise Ambiguous(f"not one Host: {message}")
        self.check_hop(message)
        self.body(message, self.framing(message) or 0)
        return message

    def check_hop(self, message):
        named = [option.strip().lower() for value in message.values("connection")
                 for option in value.split(",")]
        for name in ONE_HOP:
            if name in ("connection", "transfer-encoding"):
                continue
            if message.values(name) and name not in named:
                raise Ambiguous(f"{name} was passed on: {message}")

    def response(self, bodiless=False):
        """None at an end between messages. `interim` is told by the status."""
        line = self.line()
        if line is None:
            return None
        match = STATUS_LINE.fullmatch(line)
        if not match:
            raise Ambiguous(f"no status line: {line!r}")
        fields = self.fields()
        message = Message((int(match[1]), match[2]), fields or [])
        status = message.start[0]
        if fields is None:
            return message
        framing = self.framing(message)
        if bodiless or status < 200 or status in (204, 304):
            message.complete = True
        elif framing is None:
            message.body = self.rest()
            message.complete = True
        else:
            self.body(message, framing)
        return message


def plain_answer(request):
    body = b"" if request.start[0] == b"HEAD" else b"ok"
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body


class RecordingOrigin:
    """Answers each complete request with ANSWER(request) (bytes; None: nothing, and it closes)."""

    def __init__(self, answer=plain_answer):
        self.address = net.free_address()
        self.answer = answer
        self.lock = threading.Lock()
        self.requests = []
        self.problems = []
        self.readers = []
        self.listener = net.listen(self.address)
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except socket.timeout:
                continue
            except OSError:
                return
            sock.settimeout(None)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        reader = Reader(sock)
        with self.lock:
            self.readers.append(reader)
        try:
            with sock:
                while self.serve_one(sock, reader):
                    pass
        except Ambiguous as problem:
            with self.lock:
                self.problems.append(str(problem))
        except OSError:
            pass
        reader.ended = True

    def serve_one(self, sock, reader):
        request = reader.request()
        if not request:
            return False
        with self.lock:
            self.requests.append(request)
        if not request.complete:
            return False
        answer = self.answer(request)
        if answer is None:
            return False
        sock.sendall(answer)
        return True

    def is_settled(self):
        """No connection is in the middle of a message."""
        with self.lock:
            return all(reader.ended or reader.at == len(reader.raw) for reader in self.readers)

    def take(self):
        """The requests since it was last asked."""
        wait_for(self.is_settled, 20, "the origin's connections to be between messages")
        with self.lock:
            requests, self.requests = self.requests, []
            self.readers = [reader for reader in self.readers if not reader.ended]
            problems, self.problems = self.problems, []
        assert not problems, problems
        return requests

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
