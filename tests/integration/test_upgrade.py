# SPDX-License-Identifier: MIT
"""`weirctl upgrade`: another process takes over; nothing is refused, nothing is reset. And when it
cannot, the old one goes on and says why."""
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest
from test_adopt import Kept, Talk, exchange

from harness import build, load, net
from harness.process import wait_for
from harness.weir import config_of

pytestmark = pytest.mark.asan
SLOWER = build.SLOWER
KEEPER = {"keeper": True, "options": ["--restarts", "0", "--backoff", "0"]}


@pytest.fixture
def kept(weir, folder, kernel_path):
    if kernel_path:
        pytest.skip(f"needs bpf: {kernel_path}")
    made = []

    def make(**options):
        made.append(Kept(weir, folder, **options))
        return made[-1]
    yield make
    for it in made:
        it.close()


def processes(daemon):
    """The daemons under its keeper."""
    done = subprocess.run(["pgrep", "-P", str(daemon.process.pid)], capture_output=True, text=True,
                          check=False)
    return [int(line) for line in done.stdout.split()]


def upgrade(daemon):
    pid = daemon.pid()
    daemon.ctl("upgrade")
    assert daemon.pid() != pid
    return pid


def test_under_load(weir, origin, path):
    """Short connections all the time, on every path: not one fails."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], path), **KEEPER)
    traffic = load.Load("echo", address, "-c", 20, "-r", 3, "-s", 100, "-t", 3)
    for _ in range(2):
        upgrade(daemon)
        time.sleep(0.3)
    result = traffic.result()
    assert result["failed"] == 0 and result["good"] > 100, result
    wait_for(lambda: len(processes(daemon)) == 1, 20 * SLOWER, "the end of the old ones")


def test_unix_listener(weir, origin, folder):
    address = f"unix:{folder}/in.sock"
    daemon = weir(config_of(address, origin["ipv4"]), **KEEPER)
    traffic = load.Load("echo", address, "-c", 10, "-r", 3, "-t", 2)
    upgrade(daemon)
    assert traffic.result()["failed"] == 0
    wait_for(lambda: len(processes(daemon)) == 1, 20 * SLOWER, "the end of the old one")
    load.run("echo", address, "-c", 4, "-n", 40)


@pytest.mark.tsan
def test_kernel_flows_move(kept):
    """They go on in the new process, with their record, and the old one ends."""
    it = kept()
    client, server = it.join()
    before = it.flows()[0]
    old = upgrade(it.daemon)
    it.daemon.wait_log("flows are adopted adopted=1 reset=0 lost_in_userspace=0")
    wait_for(lambda: old not in processes(it.daemon), 20 * SLOWER, "the end of the old process")
    exchange(client, server, b"more", b"than that")
    after = it.flows()[0]
    assert after["id"] == before["id"] and after["path"] == "sockmap"
    assert after["bytes_up"] == 6 and after["bytes_down"] == 13
    client.close()
    assert net.ended(server) == "end"
    server.close()
    line = it.lines(1)[0]
    assert line["bytes_up"] == 6 and line["bytes_down"] == 13 and line["end"] == "client_closed"


@pytest.mark.slow
def test_kernel_flows_under_traffic(kept):
    """Long flows with everything that may happen to them: no wrong byte, no reset."""
    it = kept()
    talks = [Talk(it, 10 * i) for i in range(6)]
    chance = random.Random(7)
    for _ in range(5):
        upgrade(it.daemon)
        time.sleep(chance.random())
    for talk in talks:
        talk.stop()
    assert "cannot be adopted" not in it.daemon.log()
    wait_for(lambda: not it.flows(), 10 * SLOWER, "the end of all flows")
    assert len(it.lines(len(talks))) == len(talks)


def test_interactive_flows_under_traffic(kept):
    it = kept()
    pairs = [it.join() for _ in range(8)]
    stopping = threading.Event()

    def talk(client, server, seed):
        messages, n = random.Random(seed), 0
        while not stopping.is_set():
            exchange(client, server, messages.randbytes(64), messages.randbytes(200))
            n += 1
        return n

    talks = [net.Later(talk, *pair, seed) for seed, pair in enumerate(pairs)]
    for _ in range(5):
        upgrade(it.daemon)
        time.sleep(0.2)
    stopping.set()
    counts = [part.result() for part in talks]
    for client, server in pairs:
        client.close()
        assert net.ended(server) == "end"
        server.close()
    ups = sorted(line["bytes_up"] for line in it.lines(len(pairs)))
    assert ups == sorted(2 + 64 * n for n in counts)


def test_userspace_drains(weir, origin):
    """Connections that the kernel does not carry end in peace in the old process, or at the
    deadline."""
    address = net.free_address()
    config = {**config_of(address, origin["ipv4"], ["copy"]),
              "shutdown": {"deadline": f"{3 * SLOWER}s"}}
    daemon = weir(config, **KEEPER)
    ends, stays = load.hold(address, 10), load.hold(address, 3)
    old = upgrade(daemon)
    assert old in processes(daemon)
    ends.release()
    assert ends.result()["good"] == 10
    assert old in processes(daemon)
    wait_for(lambda: old not in processes(daemon), 20 * SLOWER, "the deadline")
    stays.release()
    assert stays.result()["failed"] == 3
    load.run("echo", address, "-c", 4, "-n", 40)


def test_a_mistake_in_the_configuration(weir, origin):
    """The caller is told what and where; the old process goes on."""
    address = net.free_address()
    config = config_of(address, origin["ipv4"])
    daemon = weir(config, **KEEPER)
    pid = daemon.pid()
    daemon.write("listeners:\n  - { name: in, adress: '127.0.0.1:1' }\n")
    status, answer = daemon.api("POST", "/v1/upgrade")
    assert status == 502 and "weir.yaml:2" in answer["error"]["message"], answer
    assert daemon.pid() == pid and processes(daemon) == [pid]
    load.run("echo", address, "-c", 4, "-n", 40)
    daemon.write(config)
    upgrade(daemon)
    load.run("echo", address, "-c", 4, "-n", 40)


def test_an_address_that_is_taken(weir, origin):
    """It fails late, with its listeners half open; that does the old one no harm."""
    address, taken = net.free_address(), net.listen(net.free_address())
    config = config_of(address, origin["ipv4"])
    daemon = weir(config, **KEEPER)
    pid = daemon.pid()
    other = {"name": "other", "address": "%s:%d" % taken.getsockname(), "tcp": {"to": "out"}}
    daemon.write({**config, "listeners": config["listeners"] + [other]})
    status, answer = daemon.api("POST", "/v1/upgrade")
    assert status == 502 and "Address already in use" in answer["error"]["message"], answer
    assert daemon.pid() == pid
    load.run("echo", address, "-c", 4, "-n", 40)
    daemon.write(config)
    os.kill(pid, signal.SIGKILL)
    load.run("echo", address, "-c", 4, "-n", 40)
    taken.close()


@pytest.fixture
def installed(folder, monkeypatch):
    """The program under test, copied to where it can be replaced."""
    path = os.path.join(folder, "weir")
    shutil.copy(build.program("weir"), path)
    real = build.program
    monkeypatch.setattr(build, "program", lambda name: path if name == "weir" else real(name))
    return path


def replace(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)


@pytest.mark.parametrize("program,why", [
    ("#!/bin/sh\nexit 7\n", "has ended with status 7"),
    ("#!/bin/sh\nkill -SEGV $$\n", "was ended by signal 11"),
    ("not a program\n", "has ended with status 127"),
])
def test_a_program_that_does_not_start(weir, origin, installed, program, why):
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"]), **KEEPER)
    pid = daemon.pid()
    good = installed + ".good"
    shutil.copy(installed, good)
    replace(installed, program)
    status, answer = daemon.api("POST", "/v1/upgrade")
    assert status == 502 and why in answer["error"]["message"], answer
    assert daemon.pid() == pid
    os.rename(good, installed)
    upgrade(daemon)
    load.run("echo", address, "-c", 4, "-n", 40)


def test_without_a_keeper(weir, origin):
    daemon = weir(config_of(net.free_address(), origin["ipv4"]))
    status, answer = daemon.api("POST", "/v1/upgrade")
    assert status == 409 and "without a keeper" in answer["error"]["message"], answer


def test_the_successor_dies_later(kept):
    """What was moved once moves again."""
    it = kept()
    client, server = it.join()
    upgrade(it.daemon)
    it.daemon.wait_log("adopted=1 reset=0")
    it.restart()
    wait_for(lambda: it.flows(), 10 * SLOWER, "the flow")
    exchange(client, server)


def test_the_predecessor_dies(weir, origin):
    """While it drains: its connections are reset and counted by the one that serves."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], ["copy"]), **KEEPER)
    held = load.hold(address, 4)
    old = upgrade(daemon)
    os.kill(old, signal.SIGKILL)
    daemon.wait_log("lost_in_userspace=4")
    held.release()
    assert held.result()["failed"] == 4
    load.run("echo", address, "-c", 4, "-n", 40)


def test_stop_while_the_old_one_drains(weir, origin):
    """SIGTERM is for all."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"], ["copy"]), **KEEPER)
    held = load.hold(address, 4)
    upgrade(daemon)
    daemon.process.send(signal.SIGTERM)
    wait_for(lambda: not net.can_connect(address), 10 * SLOWER, "a closed listener")
    held.release()
    assert held.result()["good"] == 4
    assert daemon.process.wait(20 * SLOWER) == 0
