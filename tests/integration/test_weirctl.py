# SPDX-License-Identifier: MIT
"""The control tool against answers that a test chooses: tables, JSON, refusals, broken servers, and
the terminal."""
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scripted import LISTENERS, UPSTREAMS, Scripted, flows, http  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEIRCTL = os.path.join(ROOT, os.environ.get("WEIR_BUILD", "build"), "weirctl")

STATUS = {"version": "0.1.0", "pid": 1, "uptime_s": 99999, "workers": 2, "generation": 3,
          "configuration": "/etc/weir/weir.yaml", "state": "running",
          "connections": {"active": 3, "accepted": 99}, "bytes": {"up": 123456, "down": 9999999},
          "offload": {"available": False, "why": "needs root"}}


def ctl(path, *words, **environment):
    kept = {key: value for key, value in os.environ.items()
            if key not in ("WEIR_ADMIN", "NO_COLOR")}
    return subprocess.run([WEIRCTL, "-s", path, *words], capture_output=True, text=True,
                          timeout=60, check=False, env={**kept, **environment})


@pytest.fixture
def admin():
    servers = []

    def start(answers):
        folder = tempfile.mkdtemp(prefix="weir-test-")
        servers.append((Scripted(folder, answers), folder))
        return servers[-1][0]

    yield start
    for server, folder in servers:
        server.close()
        shutil.rmtree(folder)


def test_tables_are_aligned_and_plain_when_piped(admin):
    server = admin({"GET /v1/status": STATUS, "GET /v1/listeners": LISTENERS,
                    "GET /v1/upstreams": UPSTREAMS})
    assert ctl(server.path, "listeners").stdout == (
        "NAME  ADDRESS          TO  ACTIVE  ACCEPTED  REFUSED  ERRORS\n"
        "db    127.0.0.1:15432  pg       3        99        1       0\n")
    rows = ctl(server.path, "upstreams").stdout.splitlines()
    assert rows[1].split() == ["pg", "round_robin", "127.0.0.1:5432", "healthy", "1m17s", "2",
                               "1", "5", "0", "8/9", "-"]
    status = ctl(server.path, "status").stdout
    for text in ("running", "1d03h", "121KiB up, 9.54MiB down", "not available: needs root"):
        assert text in status
    assert "\033" not in status


def test_json_is_the_answer_as_it_is(admin):
    answer = b'[ {"id":9007199254740993,\n"x":1.50} ]'
    server = admin({"GET /v1/flows?listener=a%20b": http(200, answer)})
    done = ctl(server.path, "flows", "--json", "--listener", "a b")
    assert (done.returncode, done.stdout) == (0, answer.decode() + "\n")


def test_socket_from_the_environment(admin):
    server = admin({"GET /v1/status": STATUS})
    done = subprocess.run([WEIRCTL, "status", "--json"], capture_output=True, text=True,
                          timeout=60, check=False, env={**os.environ, "WEIR_ADMIN": server.path})
    assert json.loads(done.stdout) == STATUS


def test_refusals_say_where_and_what_to_do(admin):
    error = {"error": {"file": "a.yaml", "line": 3, "message": "unknown key 'x'",
                       "remedy": "did you mean 'y'?"}}
    server = admin({"POST /v1/reload": lambda: http(400, error)})
    done = ctl(server.path, "reload")
    assert done.returncode == 1
    assert done.stderr == "weirctl: a.yaml:3: unknown key 'x'; did you mean 'y'?\n"
    done = ctl(server.path, "flow", "7", "close")
    assert (done.returncode, done.stderr) == (1, "weirctl: no such\n")


@pytest.mark.parametrize("words,asked", [
    (("flow", "7", "close"), "POST /v1/flows/7/close"),
    (("flow", "7", "path", "auto"), "POST /v1/flows/7/path?path=auto"),
    (("upstream", "pg", "drain", "[::1]:80"), "POST /v1/upstreams/pg/endpoints/%5B::1%5D:80/drain"),
    (("upstream", "pg", "resume", "unix:/x"), "POST /v1/upstreams/pg/endpoints/unix:%2Fx/resume"),
    (("log", "debug"), "POST /v1/log?level=debug"),
    (("drain",), "POST /v1/drain"),
    (("drain", "--deadline", "1.5s"), "POST /v1/drain?deadline_ms=1500"),
    (("tasks", "--stacks"), "GET /v1/tasks?stacks=1"),
    (("metrics",), "GET /metrics"),
])
def test_each_command_asks_the_right_thing(admin, words, asked):
    server = admin({asked: http(200, b"[]")})
    done = ctl(server.path, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.asked == [asked]


@pytest.mark.parametrize("words", [
    (), ("bogus",), ("status", "extra"), ("log",), ("log", "loud"), ("flow", "x", "close"),
    ("flow", "7"), ("flow", "7", "path", "fast"), ("flow", "7", "explode"), ("flows", "2s"),
    ("flows", "--watch=0"), ("upstream", "a", "explode", "b"), ("drain", "--deadline", "soon"),
    ("--bogus",), ("status", "--bogus"),
])
def test_wrong_usage(words):
    done = ctl("/nonexistent/socket", *words)
    assert done.returncode == 2
    assert done.stderr != "" and done.stdout == ""
    assert "no daemon answers" not in done.stderr


def test_nobody_there(tmp_path):
    missing = str(tmp_path / "s")
    done = ctl(missing, "status")
    assert done.returncode == 2
    assert missing in done.stderr and "weir run" in done.stderr
    assert ctl("/" + "x" * 200, "status").returncode == 2


@pytest.mark.parametrize("answer", [
    b"", b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", http(200, b"no json"),
    http(200, b'{"a":'), http(200, b'"text"'), http(200, b"[1, 2]"),
])
def test_broken_servers(admin, answer):
    server = admin({"GET /v1/listeners": lambda: answer})
    done = ctl(server.path, "listeners")
    assert done.returncode == 2
    assert done.stderr.startswith("weirctl: ")


def test_nothing_from_outside_acts_on_the_terminal(admin):
    evil = [{**LISTENERS[0], "name": "\033[2Jevil\r\n", "to": "\u009b1m\u202e"}]
    server = admin({"GET /v1/listeners": evil,
                    "POST /v1/reload": lambda: http(400, {"error": {"message": "\033[2J"}})})
    for done in (ctl(server.path, "listeners", LC_ALL="C.UTF-8"), ctl(server.path, "reload")):
        text = done.stdout + done.stderr
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\x9b\u202e]", text)


def on_terminal(path, *words, seconds, rows=12, columns=80, stop=signal.SIGINT):
    """What the tool writes on a terminal of its own, and its exit status."""
    child, master = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
        os.environ.pop("NO_COLOR", None)
        time.sleep(0.2)  # until the size is set
        os.execv(WEIRCTL, [WEIRCTL, "-s", path, *words])
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    output, end = b"", time.monotonic() + seconds
    os.set_blocking(master, False)
    stopped = False
    while True:
        try:
            piece = os.read(master, 65536)
            if not piece:
                break
            output += piece
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            break
        if stop and not stopped and time.monotonic() > end:
            os.kill(child, stop)
            stopped = True
        assert time.monotonic() < end + 20
    _, status = os.waitpid(child, 0)
    os.close(master)
    return output.decode(), os.waitstatus_to_exitcode(status)


def test_watch_redraws_in_place_and_gives_the_terminal_back(admin):
    server = admin({"GET /v1/flows": flows(*range(1000, 41000, 1000))})
    output, status = on_terminal(server.path, "flows", "--watch", "200ms", seconds=1.5)
    assert status == 0
    assert output.startswith("\033[?1049h\033[?25l") and output.endswith("\033[?25h\033[?1049l")
    pictures = output.split("\033[H")[1:]
    assert len(pictures) >= 4
    plain = re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", pictures[-1]).replace("\r", "").split("\n")
    assert plain[0].startswith("40 flows, ")
    assert plain[1].split()[:2] == ["ID", "LISTENER"]
    # The fastest first, as many as fit into 12 rows with the cursor on the last one.
    assert [line.split()[0] for line in plain[2:11]] == [str(n) for n in range(40, 31, -1)]
    assert len(plain) == 12
    assert all(len(line) <= 80 for line in plain)
    speed = float(re.search(r"([0-9.]+)KiB/s", plain[2]).group(1))
    assert 40000 / 1024 * 2 < speed < 40000 / 1024 * 6


def test_colour_only_where_it_is_wanted(admin):
    server = admin({"GET /v1/upstreams": UPSTREAMS})
    assert "\033[32mhealthy\033[0m" in on_terminal(server.path, "upstreams", seconds=3,
                                                   columns=200, stop=None)[0]
    assert "\033" not in on_terminal(server.path, "upstreams", "--no-color", seconds=3,
                                     columns=200, stop=None)[0]


def test_watch_finds_a_daemon_again_and_works_without_a_terminal(admin):
    broken = [http(200, []), b"", http(200, []), http(200, [])]
    server = admin({"GET /v1/flows": lambda: broken.pop(0) if broken else b""})
    child = subprocess.Popen([WEIRCTL, "-s", server.path, "flows", "-w0.1"], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 20
    while len(server.asked) < 5 and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    output, errors = child.communicate(timeout=20)
    assert child.returncode == 0
    assert output.count("0 flows, ") == 3
    assert "weirctl: " in errors and "\033" not in output
