# SPDX-License-Identifier: MIT
"""Sockets, ports and payload of small tests; big ones use the traffic tool (harness/load.py)."""
import ctypes
import errno
import os
import random
import socket
import struct
import threading

LOW, HIGH = 10000, 32000  # below the kernel's ephemeral ports
RANGES = 8  # for test processes that run side by side
_given = set()


def _port_range():
    """This process's own part, so that no other one takes a port between our look and our use."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    size = (HIGH - LOW) // RANGES
    first = LOW + int(worker[2:]) % RANGES * size
    return first, first + size - 1


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(1000):
        port = random.SystemRandom().randint(*_port_range())
        if port in _given:
            continue
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError("no free port")


def free_address(host="127.0.0.1"):
    return f"[{host}]:{free_port(host)}" if ":" in host else f"{host}:{free_port(host)}"


def parse(address):
    """(family, sockaddr) of Weir's text form."""
    if address.startswith("unix:@"):
        return socket.AF_UNIX, "\0" + address[6:]
    if address.startswith("unix:"):
        return socket.AF_UNIX, address[5:]
    host, _, port = address.rpartition(":")
    if host.startswith("["):
        return socket.AF_INET6, (host[1:-1], int(port))
    return socket.AF_INET, (host or "127.0.0.1", int(port))


def listen(address, backlog=1024):
    family, where = parse(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(where)
    sock.listen(backlog)
    sock.settimeout(20)
    return sock


def connect(address, timeout=20, source=None):
    family, where = parse(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    if source:
        sock.bind((source, 0))
    sock.connect(where)
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def can_connect(address):
    try:
        connect(address, 2).close()
    except OSError:
        return False
    return True


def sockets_of(pid):
    """Duplicates of all sockets of a process, each closed when the next one is asked for."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                if not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"):
                    continue
            except FileNotFoundError:
                continue  # it was closed
            mine = libc.syscall(438, pidfd, int(fd), 0)  # pidfd_getfd
            if mine >= 0:
                with socket.socket(fileno=mine) as sock:
                    yield sock
            elif ctypes.get_errno() != errno.EBADF:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
    finally:
        os.close(pidfd)


def peer_of(sock):
    """None when there is none."""
    try:
        return sock.getpeername()
    except OSError:
        return None


def reset(sock):
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def payload(size, seed=0):
    """Bytes that do not repeat, the same each time."""
    return random.Random(f"{seed}/{size}").randbytes(size)


def read_exactly(sock, size):
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(1 << 20, size - len(data)))
        if not piece:
            raise AssertionError(f"the end came after {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def read_to_end(sock):
    data = bytearray()
    while True:
        piece = sock.recv(1 << 20)
        if not piece:
            return bytes(data)
        data += piece


def ended(sock):
    """How the peer ended this connection: "end", "reset"; AssertionError when data comes."""
    try:
        data = sock.recv(65536)
    except ConnectionResetError:
        return "reset"
    assert data == b"", f"{len(data)} bytes came where the end was expected"
    return "end"


def is_refused(address):
    """Whether a new connection is reset. That may come before connect() has looked."""
    try:
        sock = connect(address)
    except ConnectionResetError:
        return True
    with sock:
        return ended(sock) == "reset"


class Later:
    """A function in a thread of its own; result() hands on what it returned or raised."""

    def __init__(self, fn, *args):
        self.value, self.error = None, None

        def run():
            try:
                self.value = fn(*args)
            except BaseException as error:  # handed on by result()
                self.error = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def result(self, seconds=60):
        self.thread.join(seconds)
        if self.thread.is_alive():
            raise AssertionError(f"not done within {seconds} s")
        if self.error:
            raise self.error
        return self.value


def same(got, expected):
    """Compares payload; says where it differs, not what it was."""
    if got == expected:
        return
    at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b),
              min(len(got), len(expected)))
    raise AssertionError(f"got {len(got)} of {len(expected)} bytes; the first difference is at {at}")
