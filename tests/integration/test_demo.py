# SPDX-License-Identifier: MIT
"""`make run` and the demo that it starts, as a newcomer has them: on a terminal, without root."""
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

from harness import build, net
from harness.process import check_sanitizers

READY = "Ctrl-C ends it."
COLORS = re.compile(r"\033\[[0-9;]*[A-Za-z]")


class Terminal:
    """A program on a terminal of its own; `text` is what it has written so far."""

    def __init__(self, argv, user=None, cwd=None):
        self.text = ""
        outer, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        as_user = {"user": user, "group": "nogroup", "extra_groups": []} if user else {}

        def own_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.child = subprocess.Popen(argv, stdin=inner, stdout=inner, stderr=inner, cwd=cwd,
                                      start_new_session=True, preexec_fn=own_terminal, **as_user)
        os.close(inner)
        self.outer = outer

    def read(self, seconds):
        if not select.select([self.outer], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.outer, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def wait_for(self, pattern, since=0, seconds=30 * build.SLOWER):
        """The match of PATTERN in what came after the first SINCE characters."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, COLORS.sub("", self.text[since:]))
            if match:
                return match
            assert self.read(0.1) and time.monotonic() < end, \
                f"no {pattern!r} in:\n{self.text[-4000:]}"

    def press(self, keys):
        os.write(self.outer, keys)

    def end(self, seconds=20 * build.SLOWER):
        """Its exit status."""
        end = time.monotonic() + seconds
        while self.child.poll() is None:
            self.read(0.1)
            assert time.monotonic() < end, "it does not end:\n" + self.text[-4000:]
        while self.read(0):
            if not select.select([self.outer], [], [], 0)[0]:
                break
        check_sanitizers(self.text)
        return self.child.returncode

    def close(self):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        os.close(self.outer)


@pytest.fixture
def terminal():
    """terminal(argv, user=, cwd=)"""
    opened = []

    def start(argv, **options):
        opened.append(Terminal(argv, **options))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def addresses(text):
    """What the demo says to try: addresses of echo, web and metrics, and the weirctl command."""
    echo = re.search(r"nc -N 127\.0\.0\.1 (\d+)", text).group(1)
    web = re.search(r"curl (http://127\.0\.0\.1:\d+/) ", text).group(1)
    metrics = re.search(r"curl (http://127\.0\.0\.1:\d+/metrics)", text).group(1)
    weirctl = re.search(r"^ *(\S*weirctl) -s (\S+) flows", text, re.M).groups()
    return f"127.0.0.1:{echo}", web, metrics, weirctl


def curl(url):
    done = subprocess.run(["curl", "-sSf", url], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def try_all(demo, cwd=None, statuses=(0,)):
    """All that the demo says to try does what it says; the flow is in the table; Ctrl-C ends."""
    demo.wait_for(READY)
    echo, web, metrics, (weirctl, admin) = addresses(demo.text)
    assert "It flows" in curl(web)
    assert 'weir_connections_total{listener="web"} 1' in curl(metrics)
    with net.connect(echo) as client:
        client.sendall(b"hello")
        assert net.read_exactly(client, 5) == b"hello"
        port = client.getsockname()[1]
        demo.wait_for(rf"\d+ +echo +127\.0\.0\.1:{port} +\w+ +5 +5 ", len(demo.text))
        flows = subprocess.run([weirctl, "-s", admin, "flows"], capture_output=True, text=True,
                               timeout=60, check=True, cwd=cwd).stdout
        assert f"127.0.0.1:{port}" in flows
        client.shutdown(1)
        assert net.read_to_end(client) == b""
    demo.wait_for(r" 1 connections", len(demo.text))  # the demo's own guest
    demo.press(b"\x03")
    assert demo.end() in statuses, demo.text[-2000:]
    assert not os.path.exists(admin)
    assert not net.can_connect(echo)


@pytest.mark.asan
def test_demo_on_a_terminal(terminal):
    demo = terminal([build.program("weir"), "demo"], cwd=build.ROOT)
    try_all(demo, build.ROOT)


def test_guest_moves_into_the_kernel_and_back(terminal, kernel_path):
    """The demo's own flow, in the table, and what bpftool shows of it meanwhile."""
    if kernel_path:
        pytest.skip(f"needs bpf: {kernel_path}")
    demo = terminal([build.program("weir"), "demo"])
    demo.wait_for(READY)
    row = r"\d+ +echo +127\.0\.0\.1:\d+ +(\x1b\S*)?%s"
    demo.wait_for(row % "sockmap", len(demo.text), 30)
    command = re.search(r"^ *(bpftool map dump pinned (\S+))", demo.text, re.M)
    assert command, demo.text
    if shutil.which("bpftool"):
        dump = subprocess.run(command.group(1).split(), capture_output=True, text=True, timeout=60,
                              check=True).stdout
        assert "WEIR_FLOW_SOCKMAP" in dump and '"listener": "echo"' in dump, dump
    demo.wait_for(row % "splice", len(demo.text), 30)
    demo.wait_for(row % "sockmap", len(demo.text), 30)
    demo.press(b"\x03")
    assert demo.end() == 0, demo.text[-2000:]
    assert not os.path.exists(os.path.dirname(command.group(2)))


@pytest.mark.asan
def test_demo_without_root(terminal, folder):
    if os.geteuid() != 0:
        pytest.skip("needs root: to become somebody else; the other tests run without it")
    os.chmod(folder, 0o755)
    for name in ("weir", "weirctl"):
        shutil.copy(build.program(name), folder)
    try_all(terminal([f"{folder}/weir", "demo"], user="nobody", cwd="/"), "/")


def test_two_demos_take_different_ports(terminal):
    one = terminal([build.program("weir"), "demo"])
    one.wait_for(READY)
    two = terminal([build.program("weir"), "demo"])
    two.wait_for(READY)
    assert not set(addresses(one.text)) & set(addresses(two.text))
    try_all(two)
    try_all(one)


def test_ctrl_c_ends_open_connections_soon(terminal):
    """They have a second to end; a second Ctrl-C does not wait for that."""
    for presses in (1, 2):
        demo = terminal([build.program("weir"), "demo"])
        demo.wait_for(READY)
        with net.connect(addresses(demo.text)[0]) as client:
            client.sendall(b"x")
            assert net.read_exactly(client, 1) == b"x"
            for _ in range(presses):
                demo.press(b"\x03")
                time.sleep(0.2)
            assert net.ended(client) in ("reset", "end")
        assert demo.end() == 0
        pinned = re.search(r"bpftool map dump pinned (\S+)/", demo.text)
        assert not pinned or not os.path.exists(pinned.group(1))


def test_demo_without_a_terminal(tmp_path):
    """Its log is written instead of the table."""
    with open(tmp_path / "out", "w+", encoding="utf-8") as out:
        demo = subprocess.Popen([build.program("weir"), "demo"], stdout=out, stderr=out)
        try:
            end = time.monotonic() + 30
            while READY not in (text := (tmp_path / "out").read_text("utf-8")):
                assert demo.poll() is None and time.monotonic() < end, text
                time.sleep(0.05)
            curl(addresses(text)[1])
            while "listener=web" not in (text := (tmp_path / "out").read_text("utf-8")):
                assert time.monotonic() < end, text
                time.sleep(0.05)
            demo.send_signal(signal.SIGINT)
            assert demo.wait(20) == 0
        finally:
            demo.kill()
            demo.wait()
    assert "\033[" not in text


def test_make_run(terminal):
    """The first command of the README: nothing to install, nothing to build any more."""
    if build.FOLDER != os.path.join(build.ROOT, "build"):
        pytest.skip("needs build: `make run` uses that folder")
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    words = [f"{k}={v}" for k, v in env.items()]
    demo = terminal(["env", "-i", *words, "make", "run"], cwd=build.ROOT)
    demo.wait_for(READY, seconds=600)
    assert "build/weirctl -s " in demo.text
    # make itself ends by the signal when its child has ended in order, or like its child if that was
    # quicker; a child that failed would show as make's 2, or by its words.
    try_all(demo, build.ROOT, (0, -signal.SIGINT))
    assert "***" not in demo.text and "make" not in demo.text.split(READY)[0]
