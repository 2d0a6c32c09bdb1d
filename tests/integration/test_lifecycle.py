# SPDX-License-Identifier: MIT
"""Reload under load, mistakes on reload, drain: by signals and by the admin API."""
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEIR = os.path.join(TOP, os.environ.get("WEIR_BUILD", "build"), "weir")


def free_port():
    """Below the range that the kernel takes clients' ports from."""
    for port in range(21000 + os.getpid() % 5000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


class Echo(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.server = socket.create_server(("127.0.0.1", free_port()), backlog=512)
        self.port = self.server.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    @staticmethod
    def serve(peer):
        with peer:
            try:
                while data := peer.recv(4096):
                    peer.sendall(data)
            except OSError:
                pass


class Weir:
    def __init__(self, folder):
        self.folder = folder
        self.echo = Echo()
        self.port = free_port()
        self.config = os.path.join(folder, "weir.yaml")
        self.admin = os.path.join(folder, "admin.sock")
        self.write("echo")
        self.log = open(os.path.join(folder, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen([WEIR, "run", "-c", self.config], stderr=self.log)
        self.wait()

    def write(self, to):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"workers: 2\nadmin: {{ socket: {self.admin} }}\n"
                       f"listeners:\n"
                       f"  - {{ name: l, address: '127.0.0.1:{self.port}', tcp: {{ to: {to} }} }}\n"
                       f"upstreams:\n"
                       f"  - {{ name: echo, endpoints: ['127.0.0.1:{self.echo.port}'] }}\n")

    def wait(self):
        for _ in range(300):
            try:
                if self.ask("GET", "/v1/status")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the daemon does not start")

    def ask(self, method, target):
        connection = http.client.HTTPConnection("weir", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(self.admin)
        connection.request(method, target)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, json.loads(body)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def wait_refused(self):
        for _ in range(300):
            try:
                self.connect().close()
            except OSError:
                return
            time.sleep(0.05)
        raise AssertionError("it still listens")

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
        self.echo.server.close()


@pytest.fixture
def weir(tmp_path):
    weir = Weir(str(tmp_path))
    yield weir
    weir.stop()


def exchange(client, data=b"x" * 100):
    client.sendall(data)
    got = b""
    while len(got) < len(data):
        piece = client.recv(4096)
        assert piece, "the connection ended"
        got += piece
    assert got == data


def test_reload_under_load_fails_no_connection(weir):
    failures, done = [], []
    end = time.monotonic() + 4

    def load():
        while time.monotonic() < end:
            try:
                with weir.connect() as client:
                    exchange(client)
                done.append(1)
            except (OSError, AssertionError) as why:
                failures.append(repr(why))

    threads = [threading.Thread(target=load) for _ in range(4)]
    with weir.connect() as held:
        exchange(held)
        for thread in threads:
            thread.start()
        while time.monotonic() < end:
            assert weir.ask("POST", "/v1/reload")[0] == 200
            time.sleep(0.1)
        for thread in threads:
            thread.join()
        exchange(held)
    assert failures == []
    assert len(done) > 50
    assert weir.ask("GET", "/v1/status")[1]["generation"] > 5


def test_a_mistake_keeps_the_old_configuration(weir):
    weir.write("nobody")
    status, answer = weir.ask("POST", "/v1/reload")
    assert status == 400
    assert answer["error"]["file"] == weir.config and answer["error"]["line"] == 4
    assert "nobody" in answer["error"]["message"] and answer["error"]["remedy"]
    assert weir.ask("GET", "/v1/status")[1]["generation"] == 1
    with weir.connect() as client:
        exchange(client)


def test_term_drains_and_the_second_one_ends(weir):
    with weir.connect() as client:
        exchange(client)
        weir.process.send_signal(signal.SIGTERM)
        weir.wait_refused()
        exchange(client)
        weir.process.send_signal(signal.SIGTERM)
        assert weir.process.wait(20) == 0
    assert not os.path.exists(weir.admin)


def test_drain_ends_after_the_last_connection(weir):
    with weir.connect() as client:
        exchange(client)
        assert weir.ask("POST", "/v1/drain?deadline_ms=20000")[0] == 200
        time.sleep(0.3)
        exchange(client)
        assert weir.ask("GET", "/v1/status")[1]["state"] == "draining"
    assert weir.process.wait(20) == 0


def test_an_address_in_use_is_a_mistake_with_its_line(weir):
    other = subprocess.run([WEIR, "run", "-c", weir.config], stderr=subprocess.PIPE, text=True,
                           timeout=60)
    assert other.returncode == 1
    assert f"{weir.config}:4: cannot listen on 127.0.0.1:{weir.port}" in other.stderr
    with weir.connect() as client:
        exchange(client)
