# SPDX-License-Identifier: MIT
"""The traffic tool of tests/bench: an origin, and clients that check every byte."""
import json
import subprocess

from . import build
from .process import Process, wait_for


class Origin:
    """Serves on all of ADDRESSES until stop()."""

    def __init__(self, log, addresses):
        self.process = Process([build.tool("tests/load"), "origin", *addresses], log,
                               stdin=subprocess.PIPE)
        wait_for(lambda: "ready" in self.process.output() or not self.process.is_running(), 10,
                 "the origin")
        assert self.process.is_running(), self.process.output()

    def stop(self):
        """What it has counted."""
        self.process.child.stdin.close()
        self.process.wait(10)
        return json.loads(self.process.output().splitlines()[-1])


class Load:
    """A client under way."""

    running = []

    def __init__(self, kind, address, *options, stdin=subprocess.DEVNULL):
        argv = [build.tool("tests/load"), kind, "--to", address, *map(str, options)]
        if build.SLOWER > 1:
            argv += ["-T", str(20 * build.SLOWER)]
        self.child = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        Load.running.append(self)

    @classmethod
    def end_all(cls):
        """After a test that failed in the middle."""
        for load in cls.running:
            if load.child.poll() is None:
                load.child.kill()
                load.child.communicate()
        cls.running.clear()

    def wait_ready(self):
        line = self.child.stdout.readline()
        assert line == "ready\n", line + self.child.stderr.read()

    def release(self):
        self.child.stdin.close()
        self.child.stdin = None

    def result(self, seconds=240):
        """What it printed; the words of its faults under `text`."""
        try:
            out, err = self.child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            out, err = self.child.communicate()
            raise AssertionError(f"the traffic did not end within {seconds} s\n{err}") from None
        assert out.startswith("{"), f"{out}{err}"
        return {**json.loads(out), "text": err}


def run(kind, address, *options, seconds=240):
    """Runs a client to its end; every session must have been good."""
    result = Load(kind, address, *options).result(seconds)
    assert result["failed"] == 0 and result["good"] == result["sessions"] > 0, result
    return result


def hold(address, connections):
    """A client that keeps CONNECTIONS proven connections until release()."""
    load = Load("echo", address, "-H", "-c", connections, stdin=subprocess.PIPE)
    load.wait_ready()
    return load
