# SPDX-License-Identifier: MIT
"""The daemon as an operator has it: a YAML file, `weir run`, the admin socket, signals."""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

import yaml

from . import build
from .process import Process, check_sanitizers, wait_for


NEVER = ("flows_audit_failed", "drop_untrimmed", "pass_gap")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=10):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def config_of(listen, endpoints, paths=None, layers=None, tcp=None, upstream=None):
    """The usual configuration: one listener `in`, one upstream `out`."""
    listener = {"name": "in", "address": listen, "tcp": {"to": "out", **(tcp or {})}}
    if paths:
        listener["tcp"]["paths"] = paths
    if layers:
        listener["layers"] = layers
    endpoints = endpoints if isinstance(endpoints, list) else [endpoints]
    return {"listeners": [listener],
            "upstreams": [{"name": "out", "endpoints": endpoints, **(upstream or {})}]}


class Weir:
    """KEEPER: under a keeper, as `weir run` is by default; without one there is one process to
    measure and to kill."""
    name = "weir"

    def __init__(self, config, files=None, workers=2, keeper=False, options=(), env=None, wrap=()):
        """`wrap`: the words of a program that starts the daemon in its own place."""
        # Not pytest's folders: their names are too long for a Unix socket.
        self.folder = tempfile.mkdtemp(prefix="weir-test-")
        self.config_path = os.path.join(self.folder, "weir.yaml")
        self.socket_path = os.path.join(self.folder, "admin.sock")
        self.log_path = os.path.join(self.folder, "log")
        self.workers = workers
        self.files = files
        self.options = [*options] if keeper else ["--no-keeper", *options]
        self.wrap = [*wrap]
        self.env = env
        self.process = None
        self.expected = 0
        self.write(config)

    def write(self, config):
        if isinstance(config, str):
            text = config
        else:
            config = {"admin": {"socket": self.socket_path}, "workers": self.workers,
                      "log": {"level": "info"}, **config}
            text = yaml.safe_dump(config, sort_keys=False)
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        self.process = Process([*self.wrap, build.program("weir"), "run", "-c", self.config_path,
                                *self.options],
                               self.log_path, files=self.files, cwd=self.folder, env=self.env)
        wait_for(self.is_ready, 10 * build.SLOWER, "the daemon to be ready")
        return self

    def is_ready(self):
        if not self.process.is_running():
            raise AssertionError(f"the daemon has ended with {self.process.child.returncode}:\n"
                                 + self.log())
        try:
            return self.api("GET", "/v1/status")[0] == 200
        except OSError:
            return False

    def log(self):
        return self.process.output() if self.process else ""

    def api(self, method, path):
        """(status, JSON)"""
        connection = UnixConnection(self.socket_path, 10 * build.SLOWER)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
            kind = answer.getheader("Content-Type") or ""
            return answer.status, json.loads(body) if "json" in kind else body.decode()
        finally:
            connection.close()

    def get(self, path):
        status, body = self.api("GET", path)
        assert status == 200, (status, body)
        return body

    def reload(self, config):
        """Writes CONFIG and asks for it: (status, JSON)."""
        self.write(config)
        return self.api("POST", "/v1/reload")

    def pid(self):
        """Of the daemon: with a keeper that is not the process that was started."""
        return self.get("/v1/status")["pid"]

    def metrics(self):
        """{'name{labels}': value}"""
        lines = self.get("/metrics").splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def rss(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def ctl(self, *words, check=True):
        """weirctl's output."""
        done = subprocess.run([build.program("weirctl"), "--socket", self.socket_path, *words],
                              capture_output=True, text=True, timeout=20 * build.SLOWER,
                              check=False)
        if check:
            assert done.returncode == 0, done.stderr
        return done.stdout

    def wait_log(self, text, seconds=10):
        wait_for(lambda: text in self.log(), seconds * build.SLOWER, f"`{text}` in the log")

    def check_kernel_counters(self):
        """What the kernel path must never do: lose bytes, or count them otherwise than TCP did."""
        try:
            status, kernel = self.api("GET", "/v1/kernel")
        except OSError:
            return  # it is not listening any more: the test has ended it
        if status != 200 or not isinstance(kernel, dict):
            return
        wrong = {name: kernel["counters"].get(name, 0) for name in NEVER}
        assert not any(wrong.values()), f"the kernel path was not exact: {wrong}"

    def stop(self):
        """Ends it in order and looks for what went wrong unseen."""
        try:
            if self.process:
                if self.process.is_running():
                    self.check_kernel_counters()
                status = self.process.stop(30 * build.SLOWER)
                check_sanitizers(self.log())
                assert status == self.expected, f"exit status {status}:\n{self.log()[-4000:]}"
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self):
        self.process.send(signal.SIGKILL)
        self.process.wait(10)
        self.expected = -signal.SIGKILL
