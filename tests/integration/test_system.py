# SPDX-License-Identifier: MIT
"""The daemon among the programs of a system: journald, syslog, the service manager."""
import ctypes
import os
import signal

import pytest

from harness import build, load, net
from harness.process import Process, wait_for
from harness.system import JOURNALD, Journald, Manager, why_no_journald
from harness.weir import config_of

pytestmark = pytest.mark.asan
ACTIVATE = "/usr/bin/systemd-socket-activate"


@pytest.fixture
def journald(folder):
    why = why_no_journald()
    if why:
        pytest.skip(why)
    server = Journald(folder)
    yield server
    server.stop()


def log_to(place, origin, address):
    return {**config_of(address, origin["ipv4"], layers=[{"access_log": {}}]), "log": {"to": place}}


def test_journald_has_message_priority_and_fields(weir, origin, journald):
    address = net.free_address()
    daemon = weir(log_to("journald", origin, address), wrap=journald.wrap)
    entry = journald.wait_entry("weir", "daemon: running")
    assert entry["_TRANSPORT"] == "journal" and entry["PRIORITY"] == "6"
    assert entry["WEIR_OBJECT"] == "daemon" and entry["WEIR_WORKERS"] == "2"
    assert entry["_PID"] == str(daemon.process.pid)
    load.run("transfer", address, "-u", 1000, "-d", 500)
    entry = journald.wait_entry("weir", "client_closed")
    assert entry["WEIR_LISTENER"] == "in" and entry["WEIR_BYTES_UP"] == "1032"
    daemon.reload("listeners: []\nnonsense: 1\n")
    entry = journald.wait_entry("weir", "nonsense")
    assert entry["PRIORITY"] == "3"
    assert daemon.log() == ""


def test_syslog_has_severity_and_program(weir, origin, journald):
    address = net.free_address()
    daemon = weir(log_to("syslog", origin, address), wrap=journald.wrap)
    entry = journald.wait_entry("weir", "daemon: running")
    assert entry["_TRANSPORT"] == "syslog" and entry["PRIORITY"] == "6"
    assert entry["SYSLOG_FACILITY"] == "3" and entry["SYSLOG_PID"] == str(daemon.process.pid)
    load.run("transfer", address, "-u", 1000, "-d", 500)
    assert "bytes_up=1032" in journald.wait_entry("weir", "client_closed")["MESSAGE"]


@pytest.mark.parametrize("place", ["journald", "syslog"])
def test_log_outlives_a_restart_of_its_receiver(weir, origin, folder, journald, place):
    """journald goes and another one comes at the same paths: connections do not notice, and the
    log goes on."""
    def lines():
        return sum("client_closed" in entry["MESSAGE"] for entry in journald.entries("weir"))

    def more_lines():
        load.run("echo", address)
        return lines() > before

    address = net.free_address()
    weir(log_to(place, origin, address), wrap=journald.wrap)
    journald.wait_entry("weir", "daemon: running")
    keep = Process([*journald.wrap, "sleep", "1000"], os.path.join(folder, "log-keep"))
    inside = ["nsenter", f"--mount=/proc/{keep.pid}/ns/mnt"]
    wait_for(lambda: os.readlink(f"/proc/{keep.pid}/exe").endswith("sleep"), 10, "sleep")
    journald.stop()
    load.run("echo", address, "-n", 20)
    before = lines()
    second = Process([*inside, JOURNALD], os.path.join(folder, "log2"))
    try:
        wait_for(more_lines, 10, "a line after the restart", 0.2)
    finally:
        second.stop()
        keep.kill()


@pytest.fixture(params=[False, True], ids=["alone", "keeper"])
def activated(request, weir, origin):
    """activated(address, other addresses): a daemon that was given its listening sockets."""
    if not os.access(ACTIVATE, os.X_OK):
        pytest.skip("needs systemd: systemd-socket-activate is not installed")

    def start(*addresses):
        words = [w for a in addresses for w in ("-l", a.removeprefix("unix:"))]
        # It starts the daemon when the first client comes, who then waits in the backlog.
        first = net.Later(load_when_there, addresses[0])
        daemon = weir(config_of(addresses[0], origin["ipv4"]), wrap=[ACTIVATE, *words],
                      keeper=request.param)
        first.result()
        return daemon
    return start


def load_when_there(address):
    wait_for(lambda: net.can_connect(address), 10, "the activator")
    load.run("echo", address, "-c", 4, "-n", 40)


def listening(daemon):
    """Inodes of the listening TCP sockets that the daemon has open."""
    links = (os.readlink(f"/proc/{daemon.process.pid}/fd/{fd}")
             for fd in os.listdir(f"/proc/{daemon.process.pid}/fd"))
    mine = {link[8:-1] for link in links if link.startswith("socket:")}
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return {row[9] for row in rows if row[3] == "0A" and row[9] in mine}


def test_socket_activation(activated):
    """The socket that was handed over is the one that is served, by all workers, reloads too."""
    address = net.free_address()
    daemon = activated(address)
    before = listening(daemon)
    assert len(before) == 1
    assert daemon.api("POST", "/v1/reload")[0] == 200
    load.run("echo", address, "-c", 20, "-n", 500)
    assert listening(daemon) == before


def test_activated_unix_socket_stays(activated, folder):
    """The path belongs to the service manager and must be there for the next start."""
    address = f"unix:{folder}/in.sock"
    daemon = activated(address)
    load.run("echo", address, "-n", 20)
    daemon.process.send(signal.SIGTERM)
    assert daemon.process.wait(10 * build.SLOWER) == 0
    assert os.path.exists(f"{folder}/in.sock")


def test_activation_with_a_socket_that_nobody_wants(activated):
    """It is said, and does not stop the rest."""
    address, other = net.free_address(), net.free_address()
    daemon = activated(address, other)
    daemon.wait_log(f"address={other}")
    assert not net.can_connect(other)
    load.run("echo", address, "-n", 20)


@pytest.fixture
def manager(folder):
    it = Manager(folder)
    yield it
    it.close()


@pytest.mark.parametrize("keeper", [False, True])
def test_notification(weir, origin, manager, keeper):
    """READY, RELOADING with its time, READY again, STOPPING; and the watchdog is fed."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"]), keeper=keeper,
                  env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"})
    assert any("1 listeners, 2 workers" in line for line in manager.wait_for("READY=1"))
    manager.wait_for("WATCHDOG=1")
    daemon.process.send(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    assert any("generation 2" in line for line in manager.wait_for("READY=1"))
    with net.connect(address):
        wait_for(lambda: daemon.get("/v1/flows"), 5 * build.SLOWER, "a flow")
        daemon.process.send(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        manager.wait_for("WATCHDOG=1")
    assert daemon.process.wait(10 * build.SLOWER) == 0


def threads(daemon):
    """{name: id} of its threads."""
    folder = f"/proc/{daemon.process.pid}/task"
    names = {}
    for task in os.listdir(folder):
        with open(f"{folder}/{task}/comm", encoding="ascii") as comm:
            names[comm.read().strip()] = int(task)
    return names


@pytest.fixture
def frozen():
    """frozen(thread) stops one thread until the test lets it go (ptrace, so nothing else may
    trace it)."""
    libc = ctypes.CDLL(None, use_errno=True)
    held = []

    def request(number, thread):
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        if libc.ptrace(number, thread, None, None) != 0:
            pytest.skip(f"needs ptrace: {os.strerror(ctypes.get_errno())}")

    def freeze(thread):
        request(0x4206, thread)  # PTRACE_SEIZE
        held.append(thread)
        request(0x4207, thread)  # PTRACE_INTERRUPT
        os.waitpid(thread, 0x40000000)  # __WALL

    def thaw():
        while held:
            request(17, held.pop())  # PTRACE_DETACH

    freeze.end = thaw
    yield freeze
    thaw()


def test_worker_that_hangs_starves_the_watchdog(weir, origin, manager, frozen):
    """A daemon with a worker that does not run is not alive for the service manager."""
    daemon = weir(config_of(net.free_address(), origin["ipv4"]),
                  env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"})
    manager.wait_for("WATCHDOG=1")
    frozen(threads(daemon)["weir-1"])
    manager.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        for _ in range(20):  # what was on its way, then nothing
            manager.wait_for("WATCHDOG=1")
    frozen.end()
    manager.socket.settimeout(30)
    manager.wait_for("WATCHDOG=1")
