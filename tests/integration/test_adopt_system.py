# SPDX-License-Identifier: MIT
"""Adoption and what is around it: maps of another version, pinned maps, the service manager's
descriptor store."""
import array
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest
from test_adopt import Kept, exchange

from harness import build, net
from harness.process import wait_for
from harness.weir import Weir

pytestmark = pytest.mark.asan
SLOWER = build.SLOWER


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


def meta_map(pid):
    """The number of weir_meta, the only map of one element of 64 bytes that the process has."""
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as info:
                lines = dict(line.split(":", 1) for line in info if ":" in line)
        except OSError:
            continue
        if lines.get("value_size", "").strip() == "64" and \
                lines.get("max_entries", "").strip() == "1":
            return lines["map_id"].strip()
    raise AssertionError("no weir_meta")


def set_abi(pid, abi):
    """What a daemon of another build would have left."""
    if not shutil.which("bpftool"):
        pytest.skip("needs bpftool: it is not installed")
    number, key = meta_map(pid), ["key", "hex", "00", "00", "00", "00"]
    shown = subprocess.run(["bpftool", "-j", "map", "lookup", "id", number, *key],
                           capture_output=True, text=True, check=True)
    value = [byte[2:] for byte in json.loads(shown.stdout)["value"]]
    value[:4] = [f"{byte:02x}" for byte in abi.to_bytes(4, sys.byteorder)]
    subprocess.run(["bpftool", "map", "update", "id", number, *key, "value", "hex", *value],
                   check=True)


def test_another_abi_is_not_adopted(kept):
    """Its flows end with a reset rather than hang; the next ones are carried by maps of its own."""
    it = kept()
    client, server = it.join()
    pid = it.daemon.pid()
    set_abi(pid, 99)
    it.restart()
    assert net.ended(client) == "reset" and net.ended(server) == "reset"
    it.daemon.wait_log("flows of another ABI cannot be adopted and are reset theirs=99")
    cause = 'weir_flows_not_adopted_total{cause="other_abi"}'
    wait_for(lambda: it.daemon.metrics().get(cause) == 1, 10 * SLOWER, "a count")
    client, server = it.join()
    it.restart()
    it.daemon.wait_log("flows are adopted adopted=1 reset=0")
    exchange(client, server)


def test_another_abi_does_not_succeed(kept):
    """An upgrade would only end the flows: it fails, and nothing has changed."""
    it = kept()
    client, server = it.join()
    pid = it.daemon.pid()
    set_abi(pid, 99)
    status, answer = it.daemon.api("POST", "/v1/upgrade")
    assert status == 502 and "of ABI 99" in answer["error"]["message"], answer
    assert it.daemon.pid() == pid
    exchange(client, server)
    it.join()


@pytest.fixture
def bpffs(folder):
    path = os.path.join(folder, "bpf")
    os.mkdir(path)
    done = subprocess.run(["mount", "-t", "bpf", "weir-test", path], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"needs root, bpf: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


def test_pins_of_the_dead(kept, bpffs):
    """Keeper and daemon are killed together. What is pinned does not break the next start, and goes
    with it."""
    pin = f"{bpffs}/weir"
    it = kept()
    config = {**it.config, "offload": {"pin": pin}}
    it.daemon.write(config)
    it.restart()
    it.join()
    assert os.listdir(pin)
    pid = it.daemon.pid()
    it.daemon.kill()
    os.kill(pid, signal.SIGKILL)
    assert os.listdir(pin)
    again = Weir(config, keeper=True).start()
    try:
        assert again.get("/v1/status")["offload"]["available"], again.log()
        client = net.connect(it.address)
        server = it.listener.accept()[0]
        exchange(client, server)
        flows = json.loads(again.ctl("flows", "--json", "--pin", pin))
        assert len(flows) == 1
        client.close()
        server.close()
    finally:
        again.stop()
    assert not os.path.exists(pin)


def test_pins_stay_over_an_upgrade(kept, bpffs):
    pin = f"{bpffs}/weir"
    it = kept()
    it.daemon.write({**it.config, "offload": {"pin": pin}})
    it.restart()
    client, server = it.join()
    before = sorted(os.listdir(pin))
    old = it.daemon.pid()
    it.daemon.ctl("upgrade")
    it.daemon.wait_log("adopted=1 reset=0")
    wait_for(lambda: not os.path.exists(f"/proc/{old}"), 20 * SLOWER, "the end of the old one")
    assert sorted(os.listdir(pin)) == before
    exchange(client, server)
    # The tools read what the new one has, with its process as the owner.
    flows = json.loads(it.daemon.ctl("flows", "--json", "--pin", pin))
    assert len(flows) == 1


class Store:
    """The service manager's descriptor store (sd_notify(3), FDSTORE=1)."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.held = {}
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                text, fds = self.receive()
            except OSError:
                return
            lines = dict(line.split("=", 1) for line in text.splitlines())
            if "FDSTORE" in lines:
                self.held.setdefault(lines["FDNAME"], []).extend(fds)
            elif "FDSTOREREMOVE" in lines:
                for fd in self.held.pop(lines["FDNAME"], []):
                    os.close(fd)

    def receive(self):
        fds = array.array("i")
        text, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(4 * 16))
        for level, kind, data in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        return text.decode(), list(fds)

    def of(self, what):
        return [name for name in self.held if name.startswith(f"weir.{what}.")]

    def start(self, config_path, log):
        """The service again, with what is stored."""
        # In the order of a manager that puts each in front of those before.
        pairs = [(name, fd) for name, fds in reversed(self.held.items()) for fd in fds]
        script = ("import os, sys\n"
                  "fds = [os.dup(int(a)) for a in sys.argv[3].split(',')]\n"
                  "fds = [__import__('fcntl').fcntl(fd, 0, 200) for fd in fds]\n"
                  "for i, fd in enumerate(fds): os.dup2(fd, 3 + i)\n"
                  "for fd in fds: os.close(fd)\n"
                  "os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_PID=str(os.getpid()),"
                  " LISTEN_FDNAMES=sys.argv[4])\n"
                  "os.execv(sys.argv[1], ['weir', 'run', '-c', sys.argv[2]])\n")
        for _, fd in pairs:
            os.set_inheritable(fd, True)
        with open(log, "ab") as out:
            return subprocess.Popen(
                [sys.executable, "-c", script, build.program("weir"), config_path,
                 ",".join(str(fd) for _, fd in pairs), ":".join(name for name, _ in pairs)],
                close_fds=False, stdout=out, stderr=out,
                env={**os.environ, "NOTIFY_SOCKET": self.path})

    def close(self):
        self.socket.close()
        for fds in self.held.values():
            for fd in fds:
                os.close(fd)


@pytest.fixture
def store(folder):
    it = Store(folder)
    yield it
    it.close()


def test_the_service_manager_is_a_second_store(kept, store, folder):
    """The watchdog ends a keeper whose daemon hangs: flows and listeners are there at the next
    start."""
    it = kept(env={"NOTIFY_SOCKET": store.path})
    pairs = [it.join() for _ in range(3)]
    before = {flow["id"] for flow in it.flows()}
    wait_for(lambda: len(store.of(1)) == 3 and len(store.of(2)) == 7, 10 * SLOWER, "what is shared")
    assert not store.of(3)
    it.daemon.process.send(signal.SIGABRT)
    it.daemon.expected = 128 + signal.SIGKILL
    it.daemon.process.wait(10 * SLOWER)
    wait_for(lambda: len(store.of(3)) == 6, 10 * SLOWER, "the flows")
    for client, server in pairs:
        exchange(client, server)
    again = store.start(it.daemon.config_path, it.daemon.log_path)
    try:
        it.daemon.wait_log("flows are adopted adopted=3 reset=0")
        for client, server in pairs:
            exchange(client, server)
        assert {flow["id"] for flow in it.flows()} == before
        it.join()
        for client, server in pairs:
            client.close()
            assert net.ended(server) == "end"
            server.close()
    finally:
        again.terminate()
        for sock in it.open:
            sock.close()
        assert again.wait(30 * SLOWER) == 0
    wait_for(lambda: not store.of(1), 10, "an empty store")
